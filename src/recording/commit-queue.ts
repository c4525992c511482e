/**
 * The last hop: batches wait here until the store has taken them, so that a full disk loses
 * nothing while memory lasts. Owns the bound, the search for a row that the store refuses, and the
 * count of everything that had to go, which waits until the store takes something again: so that
 * it cannot grow either. What is counted is kept as CLOCK_MONOTONIC: the clock may be set meanwhile.
 */
import { TraceError } from '../common/errors.ts';
import type { Store } from '../store/store.ts';
import type { IngestBatch, LossUpdate, MissingDropped } from '../store/types.ts';
import { bytesOfBatch, halvesOfBatch, rowOf, rowsOfBatch } from './batch-parts.ts';

const DEFAULT_BYTES = 64 * 1024 * 1024;
const SHOWN_DETAILS = 3;
const NOBODYS = { recordingId: null, sessionId: null } as const;

export interface CommitQueueOptions {
  readonly store: Pick<Store, 'ingest'>;
  /** Memory for what the store does not take; what is over is dropped and counted. */
  readonly limitBytes?: number | undefined;
}

interface Waiting {
  readonly batch: IngestBatch;
  readonly bytes: number;
}

export class CommitQueue {
  readonly #store: Pick<Store, 'ingest'>;
  readonly #limit: number;
  readonly #waiting: Waiting[] = [];
  #bytes = 0;
  /** By place and whose it is: what was dropped, or set aside, and is not told yet. Monotonic. */
  readonly #losses = new Map<string, LossUpdate>();
  /** Of the last batch that the store took: if the daemon is killed, the gap begins there. */
  #claimedUs = 0;

  constructor({ store, limitBytes = DEFAULT_BYTES }: CommitQueueOptions) {
    this.#store = store;
    this.#limit = limitBytes;
  }

  /** Batches that the store has not taken. */
  get waiting(): number {
    return this.#waiting.length;
  }

  /** Must what comes now be dropped, because what waits cannot be made less any more? */
  get full(): boolean {
    return this.#bytes > this.#limit;
  }

  /** Is there a loss that can be told: one that nothing waits before? */
  get hasLosses(): boolean {
    return this.#losses.size > 0 && this.waiting === 0;
  }

  /** What had to go since the last call; nothing while batches wait. */
  takeLosses(toWall: (us: number) => number): LossUpdate[] {
    if (!this.hasLosses) return [];
    const losses = [...this.#losses.values()];
    this.#losses.clear();
    return losses.map((loss) => ({
      ...loss,
      fromUs: toWall(loss.fromUs),
      toUs: toWall(loss.toUs),
    }));
  }

  /** What was drained but cannot be kept, being over the bound. */
  noteDropped(count: number, fromUs: number, toUs: number): void {
    if (count > 0) this.note({ ...NOBODYS, where: 'writer', count, fromUs, toUs });
  }

  /** A loss that is to be told when something can be; times are monotonic. */
  note(loss: LossUpdate): void {
    const { where, recordingId, sessionId, alone = false } = loss;
    const key = `${where} ${recordingId ?? ''} ${sessionId ?? ''} ${alone}`;
    const before = this.#losses.get(key);
    const details = linesOf(before);
    for (const line of linesOf(loss)) if (!details.includes(line)) details.push(line);
    this.#losses.set(key, {
      ...loss,
      count: loss.count + (before?.count ?? 0),
      fromUs: Math.min(loss.fromUs, before?.fromUs ?? Infinity),
      toUs: Math.max(loss.toUs, before?.toUs ?? -Infinity),
      detail: details.length === 0 ? null : details.slice(0, SHOWN_DETAILS).join('\n'),
    });
  }

  /**
   * Commits everything that waits, oldest first; throws what the store throws when it can take
   * nothing now (disk full, locked, read-only): all of it waits. A row that the store refuses for
   * itself would block all that follow: it is found, set aside alone, and counted.
   */
  commit(batch: IngestBatch): void {
    this.#push(batch);
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      try {
        const atUs = this.#claimOf(next.batch);
        this.#store.ingest({ ...next.batch, atUs });
        this.#claimedUs = atUs;
        this.#remove(0);
      } catch (error) {
        if (error instanceof TraceError) {
          // Only now: a batch over the bound is none of the memory's matter if the store takes it.
          for (let at = 0; this.full && at < this.#waiting.length; at += 1) this.#dropAccesses(at);
          throw error;
        }
        this.#divide(next.batch, error as Error);
      }
    }
  }

  /** Until when the store may say that it has everything: not beyond a loss that it is not told. */
  #claimOf({ atUs, shiftUs = 0 }: IngestBatch): number {
    return this.#losses.size === 0 ? atUs : Math.min(atUs, this.#claimedUs + shiftUs);
  }

  #push(batch: IngestBatch): void {
    // Nothing to write, while others wait: only a reason to try again.
    if (this.#waiting.length > 0 && rowsOfBatch(batch) === 0) return;
    const bytes = bytesOfBatch(batch);
    this.#waiting.push({ batch, bytes });
    this.#bytes += bytes;
  }

  #remove(at: number): void {
    const [gone] = this.#waiting.splice(at, 1);
    this.#bytes -= gone?.bytes ?? 0;
  }

  #divide(batch: IngestBatch, error: Error): void {
    this.#remove(0);
    if (rowsOfBatch(batch) <= 1) {
      this.#setAside(batch, error);
      return;
    }
    for (const half of halvesOfBatch(batch).reverse()) {
      const bytes = bytesOfBatch(half);
      this.#waiting.unshift({ batch: half, bytes });
      this.#bytes += bytes;
    }
  }

  #setAside(batch: IngestBatch, { message }: Error): void {
    const [loss] = batch.losses ?? [];
    const { kind, sessionId = null, recordingId = null, ...row } = rowOf(batch);
    const { count = loss?.count, firstUs = loss?.fromUs, lastUs = loss?.toUs } = row;
    const offsetUs = batch.clock?.offsetUs ?? 0;
    this.note({
      recordingId,
      sessionId,
      where: loss?.where ?? 'refused-batch',
      count: Math.max(1, count ?? 0),
      fromUs: (firstUs ?? batch.atUs) - offsetUs,
      toUs: (lastUs ?? batch.atUs) - offsetUs,
      detail: `the store refused ${kind}: ${message}`,
    });
  }

  /** Sessions, files and names are kept: later batches refer to them. */
  #dropAccesses(at: number): void {
    const found = this.#waiting[at];
    const { accesses = [], missing = [], missingDropped = [], clock } = found?.batch ?? {};
    if (found === undefined || accesses.length + missing.length === 0) return;
    const offsetUs = clock?.offsetUs ?? 0;
    for (const { sessionId, count, firstUs, lastUs } of accesses)
      this.note({
        ...NOBODYS,
        sessionId,
        where: 'writer',
        count,
        fromUs: firstUs - offsetUs,
        toUs: lastUs - offsetUs,
      });
    const batch = {
      ...found.batch,
      accesses: [],
      missing: [],
      // By session: of each name only its count is kept.
      missingDropped: countsBySession([...missingDropped, ...missing]),
    };
    const bytes = bytesOfBatch(batch);
    this.#waiting[at] = { batch, bytes };
    this.#bytes += bytes - found.bytes;
  }
}

function linesOf(loss: LossUpdate | undefined): string[] {
  return (loss?.detail ?? '').split('\n').filter((line) => line !== '');
}

function countsBySession(dropped: readonly MissingDropped[]): MissingDropped[] {
  const counts = new Map<number, number>();
  for (const { sessionId, count } of dropped)
    counts.set(sessionId, (counts.get(sessionId) ?? 0) + count);
  return [...counts].map(([sessionId, count]) => ({ sessionId, count }));
}
