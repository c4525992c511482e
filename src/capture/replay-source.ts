/**
 * Recorded batches behind the interface of the real sensors: what is due at the replay's own time
 * is drained, so that arrival can be varied. Owns that time and what has not been drained yet.
 * Must not know roots, sessions or the store.
 */
import type { FileBatch, FileEvent, LossCount, NfsBatch, NfsRow } from '../common/batches.ts';
import type { Tier } from '../common/words.ts';
import { FanotifySource } from './fanotify-source.ts';
import { NfsdSource } from './nfsd-source.ts';

/** A piece of a source's stream: a batch as it was drained, or a single event. */
export interface Piece<Batch> {
  /** When it can be drained. */
  readonly arrivesUs: number;
  /** When it happened: from then on a sync brings it. */
  readonly atUs: number;
  readonly batch: Batch;
}

export interface ReplaySensorsOptions {
  /** Each in the order of its stream. */
  readonly trace: readonly Piece<NfsBatch>[];
  readonly files: readonly Piece<FileBatch>[];
  readonly tier: Tier;
  /** Whether to hand the last batch over once more instead of the next. Default: never. */
  readonly again?: () => boolean;
}

/** One source: what waits, and what was handed over last. */
class Stream<Batch extends { readonly sequence?: number }> {
  readonly #pieces: readonly Piece<Batch>[];
  readonly #merge: (batches: readonly Batch[], untilUs: number) => Batch;
  #next = 0;
  #sequence = 0;
  #last: Batch | null = null;
  #synced = false;

  constructor(
    pieces: readonly Piece<Batch>[],
    merge: (batches: readonly Batch[], untilUs: number) => Batch,
  ) {
    this.#pieces = pieces;
    this.#merge = merge;
  }

  sync(): void {
    this.#synced = true;
  }

  drain(nowUs: number, again: boolean): Batch {
    if (again && !this.#synced && this.#last !== null) return this.#last;
    const due: Batch[] = [];
    for (; this.#next < this.#pieces.length; this.#next += 1) {
      const piece = this.#pieces[this.#next];
      if (piece === undefined) break;
      if (piece.arrivesUs > nowUs && !(this.#synced && piece.atUs <= nowUs)) break;
      due.push(piece.batch);
    }
    this.#synced = false;
    this.#sequence += 1;
    this.#last = { ...this.#merge(due, nowUs), sequence: this.#sequence };
    return this.#last;
  }
}

export class ReplaySensors {
  readonly tier: Tier;
  readonly #trace: Stream<NfsBatch>;
  readonly #files: Stream<FileBatch>;
  readonly #again: () => boolean;
  #nowUs = 0;

  constructor({ trace, files, tier, again = () => false }: ReplaySensorsOptions) {
    this.tier = tier;
    this.#again = again;
    this.#trace = new Stream(trace, (batches, untilUs) => ({
      rows: countedRows(batches),
      markers: batches.flatMap(({ markers }) => markers),
      losses: lossesOf(batches),
      lookups: batches.flatMap(({ lookups = [] }) => lookups),
      lookupsDropped: batches.flatMap(({ lookupsDropped = [] }) => lookupsDropped),
      unsigned: new Map(batches.flatMap(({ unsigned = [] }) => [...unsigned])),
      untilUs,
    }));
    this.#files = new Stream(files, (batches, untilUs) => ({
      events: countedEvents(batches),
      losses: lossesOf(batches),
      untilUs,
    }));
  }

  /** The replay's clock: what a drain gives. */
  set nowUs(us: number) {
    this.#nowUs = us;
  }

  get nowUs(): number {
    return this.#nowUs;
  }

  start(): void {
    // Nothing runs: drains are all there is.
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  /** Everything recorded is of watched trees. */
  watch(): Buffer {
    return Buffer.alloc(8);
  }

  unwatch(): void {
    // As watch().
  }

  sync(): Promise<void> {
    this.#trace.sync();
    this.#files.sync();
    return Promise.resolve();
  }

  syncFiles(): Promise<void> {
    this.#files.sync();
    return Promise.resolve();
  }

  drainTrace(): NfsBatch {
    return this.#trace.drain(this.#nowUs, this.#again());
  }

  drainFiles(): FileBatch {
    return this.#files.drain(this.#nowUs, this.#again());
  }

  get traced(): boolean {
    return this.tier !== 'sole-client';
  }

  /** Of sensors that never ran. */
  status(): {
    tier: Tier;
    untraced: null;
    nfsd: ReturnType<NfsdSource['status']>;
    fanotify: ReturnType<FanotifySource['status']>;
  } {
    return {
      tier: this.tier,
      untraced: null,
      nfsd: new NfsdSource().status(),
      fanotify: new FanotifySource({ serverNames: [] }).status(),
    };
  }
}

/** As the sensors' own tables count: equal rows become one, in the order of their first event. */
function countedRows(batches: readonly NfsBatch[]): NfsRow[] {
  const rows = new Map<string, NfsRow>();
  for (const batch of batches)
    for (const row of batch.rows) {
      const { epoch, client, hash, kind, type, access } = row;
      const key = [epoch, client, hash, kind, type, access].join(' ');
      const before = rows.get(key);
      rows.set(key, before === undefined ? row : sumOf(before, row));
    }
  return [...rows.values()];
}

function sumOf(a: NfsRow, b: NfsRow): NfsRow {
  return {
    ...a,
    count: a.count + b.count,
    bytes: a.bytes + b.bytes,
    minOffset: Math.min(a.minOffset, b.minOffset),
    firstUs: Math.min(a.firstUs, b.firstUs),
    lastUs: Math.max(a.lastUs, b.lastUs),
    order: Math.min(a.order, b.order),
  };
}

function countedEvents(batches: readonly FileBatch[]): FileEvent[] {
  const events = new Map<string, FileEvent>();
  for (const batch of batches)
    for (const event of batch.events) {
      const key = JSON.stringify({ ...event, count: 0 });
      const before = events.get(key);
      events.set(key, { ...event, count: event.count + (before?.count ?? 0) });
    }
  return [...events.values()];
}

function lossesOf(batches: readonly { readonly losses: readonly LossCount[] }[]): LossCount[] {
  return batches.flatMap(({ losses }): readonly LossCount[] => losses);
}
