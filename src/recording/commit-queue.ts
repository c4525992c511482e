/**
 * The last hop: batches wait here until the store has taken them, so that a full disk loses
 * nothing while memory lasts. Owns the bound and the count of what it had to drop.
 */
import { TraceError } from '../common/errors.ts';
import type { Store } from '../store/store.ts';
import type { IngestBatch } from '../store/types.ts';

/** About a quarter of an hour of flushes, a second each. */
const LONGEST = 1000;
/** Accesses that may wait: about 100 MB. Clients decide how many come in one flush. */
const MOST_ACCESSES = 500_000;
/** Files, names and sessions, which cannot be dropped since later batches refer to them. */
const MOST_KEPT = 200_000;

export class CommitQueue {
  readonly #store: Pick<Store, 'ingest'>;
  readonly #waiting: IngestBatch[] = [];
  readonly #mostAccesses: number;
  #accesses = 0;
  #kept = 0;
  #dropped: { count: number; readonly fromUs: number } | null = null;

  constructor(store: Pick<Store, 'ingest'>, mostAccesses = MOST_ACCESSES) {
    this.#store = store;
    this.#mostAccesses = mostAccesses;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Nothing more may be taken from the sensors, which count what they then cannot keep. */
  get full(): boolean {
    return this.#kept > MOST_KEPT;
  }

  /**
   * Commits everything that waits, oldest first; throws what the store throws. What the disk
   * refuses waits; what the store itself cannot take is a bug, would block all that follows, and
   * is counted as lost.
   */
  commit(batch: IngestBatch): void {
    this.#waiting.push(batch);
    this.#accesses += accessesIn(batch);
    this.#kept += keptIn(batch);
    if (this.#waiting.length > LONGEST) this.#dropAccesses();
    // The newest is not dropped unseen: the disk may take it.
    while (this.#accesses > this.#mostAccesses && this.#waiting.length > 1 && this.#dropAccesses());
    this.retry();
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

  /** Commits what waits; throws what the store throws. */
  retry(): void {
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        this.#store.ingest(next);
      } catch (error) {
        if (!(error instanceof TraceError)) {
          this.#shift();
          this.#drop(next);
        }
        throw error;
      }
      this.#shift();
    }
  }

  /** Sessions, files and names are kept: later batches refer to them. */
  #dropAccesses(): boolean {
    const index = this.#waiting.findIndex((waiting) => accessesIn(waiting) > 0);
    const batch = this.#waiting[index];
    if (batch === undefined) return false;
    this.#drop(batch);
    this.#accesses -= accessesIn(batch);
    const { missing = [], missingDropped = [] } = batch;
    this.#kept += missing.length;
    this.#waiting[index] = {
      ...batch,
      accesses: [],
      missing: [],
      missingDropped: [...missingDropped, ...missing],
    };
    return true;
  }

  #shift(): void {
    const batch = this.#waiting.shift();
    if (batch === undefined) return;
    this.#accesses -= accessesIn(batch);
    this.#kept -= keptIn(batch);
  }

  #drop({ accesses = [], atUs }: IngestBatch): void {
    this.#dropped ??= { count: 0, fromUs: atUs };
    this.#dropped.count += Math.max(1, accesses.length);
  }
}

/** What can be dropped. */
function accessesIn({ accesses = [], missing = [] }: IngestBatch): number {
  return accesses.length + missing.length;
}

/** What cannot. */
function keptIn({
  opened,
  closed,
  revised,
  identities,
  files,
  names,
  losses,
  missingDropped,
}: IngestBatch): number {
  const lists = [opened, closed, revised, identities, files, names, losses, missingDropped];
  return lists.reduce((sum, list) => sum + (list?.length ?? 0), 0);
}
