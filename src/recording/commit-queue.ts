/**
 * The last hop: batches wait here until the store has taken them, so that a full disk loses
 * nothing while memory lasts. Owns the bound and the count of what it had to drop.
 */
import { TraceError } from '../common/errors.ts';
import type { Store } from '../store/store.ts';
import type { IngestBatch } from '../store/types.ts';

/** About a quarter of an hour of flushes, a second each. */
const LONGEST = 1000;

export class CommitQueue {
  readonly #store: Pick<Store, 'ingest'>;
  readonly #waiting: IngestBatch[] = [];
  #dropped: { count: number; readonly fromUs: number } | null = null;

  constructor(store: Pick<Store, 'ingest'>) {
    this.#store = store;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /**
   * Commits everything that waits, oldest first; throws what the store throws. What the disk
   * refuses waits; what the store itself cannot take is a bug, would block all that follows, and
   * is counted as lost.
   */
  commit(batch: IngestBatch): void {
    this.#waiting.push(batch);
    if (this.#waiting.length > LONGEST) this.#dropAccesses();
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        this.#store.ingest(next);
      } catch (error) {
        if (!(error instanceof TraceError)) {
          this.#waiting.shift();
          this.#drop(next);
        }
        throw error;
      }
      this.#waiting.shift();
    }
    if (this.#dropped === null) return;
    const { count, fromUs } = this.#dropped;
    this.#store.ingest({
      atUs: batch.atUs,
      losses: [
        { recordingId: null, sessionId: null, where: 'writer', count, fromUs, toUs: batch.atUs },
      ],
    });
    this.#dropped = null;
  }

  /** Sessions, files and names are kept: later batches refer to them. */
  #dropAccesses(): void {
    const index = this.#waiting.findIndex(({ accesses = [] }) => accesses.length > 0);
    const batch = this.#waiting[index];
    if (batch === undefined) return;
    this.#drop(batch);
    const { missing = [], missingDropped = [] } = batch;
    this.#waiting[index] = {
      ...batch,
      accesses: [],
      missing: [],
      missingDropped: [...missingDropped, ...missing],
    };
  }

  #drop({ accesses = [], atUs }: IngestBatch): void {
    this.#dropped ??= { count: 0, fromUs: atUs };
    this.#dropped.count += Math.max(1, accesses.length);
  }
}
