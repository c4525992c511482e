/**
 * Gathers what one flush will write: one access row a (session, file), however many kernel rows
 * it came from. Owns the merging; must not know where rows come from.
 */
import type { Evidence } from '../common/words.ts';
import type { AccessUpdate, LossUpdate, NewFile } from '../store/types.ts';

export interface Sighting {
  readonly sessionId: number;
  readonly fileId: number;
  /** Operation bits. */
  readonly operations: number;
  readonly count: number;
  readonly bytes: number;
  /** Wall clock, microseconds. */
  readonly firstUs: number;
  readonly lastUs: number;
  readonly order: number;
  readonly evidence: Evidence;
  readonly created: boolean;
}

export class BatchBuilder {
  readonly files: NewFile[] = [];
  readonly losses: LossUpdate[] = [];
  readonly #accesses = new Map<string, AccessUpdate>();

  add(sighting: Sighting): void {
    const key = `${sighting.sessionId}:${sighting.fileId}:${sighting.evidence}`;
    const before = this.#accesses.get(key);
    this.#accesses.set(
      key,
      before === undefined
        ? sighting
        : {
            ...before,
            operations: before.operations | sighting.operations,
            count: before.count + sighting.count,
            bytes: before.bytes + sighting.bytes,
            firstUs: Math.min(before.firstUs, sighting.firstUs),
            lastUs: Math.max(before.lastUs, sighting.lastUs),
            order: Math.min(before.order, sighting.order),
            created: before.created === true || sighting.created,
          },
    );
  }

  accesses(): AccessUpdate[] {
    return [...this.#accesses.values()];
  }
}
