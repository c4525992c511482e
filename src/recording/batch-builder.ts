/**
 * Gathers what one flush will write: one access row a (session, file), however many kernel rows
 * it came from. Owns the merging; must not know where rows come from.
 */
import type {
  AccessUpdate,
  LossUpdate,
  MissingDropped,
  MissingLookup,
  NewFile,
} from '../store/types.ts';

export class BatchBuilder {
  readonly files: NewFile[] = [];
  losses: LossUpdate[] = [];
  readonly missing: MissingLookup[] = [];
  readonly missingDropped: MissingDropped[] = [];
  readonly #accesses = new Map<string, AccessUpdate>();
  readonly #refused = new Map<number, LossUpdate>();
  readonly #touched = new Set<string>();

  add(sighting: AccessUpdate): void {
    const key = `${sighting.sessionId}:${sighting.fileId}:${sighting.evidence}`;
    const before = this.#accesses.get(key);
    this.#touched.add(`${sighting.sessionId}:${sighting.fileId}`);
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
            created: before.created === true || sighting.created === true,
          },
    );
  }

  /** Accesses of clients for which there was no session: one loss of the recording. */
  refuse(
    recordingId: number,
    { count, firstUs, lastUs }: Pick<AccessUpdate, 'count' | 'firstUs' | 'lastUs'>,
  ): void {
    const before = this.#refused.get(recordingId);
    const loss = {
      recordingId,
      sessionId: null,
      where: 'session-limit',
      count: (before?.count ?? 0) + count,
      fromUs: Math.min(before?.fromUs ?? firstUs, firstUs),
      toUs: Math.max(before?.toUs ?? lastUs, lastUs),
      detail: 'more clients came than sessions may be opened',
      alone: true,
    };
    if (before === undefined) this.losses.push(loss);
    else this.losses[this.losses.indexOf(before)] = loss;
    this.#refused.set(recordingId, loss);
  }

  /** Has the session touched the file in this flush? */
  has(sessionId: number, fileId: number): boolean {
    return this.#touched.has(`${sessionId}:${fileId}`);
  }

  accesses(): AccessUpdate[] {
    return [...this.#accesses.values()];
  }
}
