/**
 * The end of a flush: a look at what its losses may have hidden, and everything of it as one batch
 * for the store. Owns the recording's wall clock, what waits for the store, and what is told to a
 * person once it is committed. Must not know sensors or how things were attributed.
 */
import type { SessionEffect } from '../attribution/boot-sessions.ts';
import type { Tier } from '../common/words.ts';
import type { Store } from '../store/store.ts';
import type { IngestBatch, LossGrowth, LossUpdate } from '../store/types.ts';
import { BatchBuilder } from './batch-builder.ts';
import { ClientNames } from './client-names.ts';
import { nowUs } from './clock.ts';
import { CommitQueue } from './commit-queue.ts';
import {
  batchOfEffects,
  noticeOfLoss,
  noticeOfStep,
  noticesOfEffects,
  type Notice,
} from './effects.ts';
import { Rescan } from './rescan.ts';
import type { RootRecording } from './root-recording.ts';
import { SessionSpans } from './session-spans.ts';
import { WallClock } from './wall-clock.ts';

/** An idle recorder still commits this often: after a crash the gap begins at what the last commit had. */
const HEARTBEAT_US = 5_000_000;
/** Telling what the store refused may be refused again. */
const ROUNDS = 3;

export interface CommitterOptions {
  readonly store: Store;
  readonly roots: ReadonlyMap<number, RootRecording>;
  /** Losses that go on, monotonic. */
  readonly growing: () => readonly LossGrowth[];
  /** Addresses that have asked the kernel's server lately. */
  readonly knownClients: () => Iterable<string>;
  readonly tier: () => Tier;
  readonly serverPorts: () => readonly number[];
  readonly nextFileId: () => number;
  readonly reverseLookup: boolean;
  readonly pendingBytes: number | undefined;
  readonly onNotice: (notice: Notice) => void;
}

/** How the losses of a flush are looked into: see {@link Rescan.apply}. */
interface Look {
  readonly whole: boolean;
  readonly traced: boolean;
}

export class Committer {
  readonly wall: WallClock;
  readonly #options: CommitterOptions;
  readonly #spans: SessionSpans;
  readonly #rescan: Rescan;
  readonly #queue: CommitQueue;
  readonly #names: ClientNames | null;
  /** Sessions that file events alone opened since the last commit. */
  readonly #soleClient = new Set<number>();
  /** Monotonic. */
  #lastUs = nowUs();
  /** All that happened before is in the batches up to now; monotonic. */
  #seenUs = nowUs();
  /** When losses that go on were told last, monotonic. */
  #grownUs = nowUs();

  constructor(options: CommitterOptions) {
    this.#options = options;
    const { store, roots, serverPorts, nextFileId } = options;
    this.#queue = new CommitQueue({ store, limitBytes: options.pendingBytes });
    this.#names = options.reverseLookup ? new ClientNames() : null;
    const lastUs = store.lastIngestUs();
    this.wall = new WallClock({ known: store.clock(), lastUs });
    const shiftUs = this.wall.takeStep();
    // The time of the last batch moves along: the gap that follows it begins there.
    if (shiftUs !== 0)
      store.ingest({ atUs: (lastUs ?? 0) + shiftUs, shiftUs, clock: this.wall.row });
    const open = store.openSessions();
    this.#spans = new SessionSpans(
      open.map((session) => ({ ...session, openedUs: this.wall.toMonotonic(session.openedUs) })),
    );
    this.#rescan = new Rescan({
      roots,
      serverPorts,
      nextFileId,
      spans: this.#spans,
      wall: this.wall,
      waiting: () => this.#queue.waiting,
      knownClients: options.knownClients,
      filesOf: (session) => new Set(store.fileIdsOf(session)),
    });
  }

  /** Must what comes now be dropped? */
  get full(): boolean {
    return this.#queue.full;
  }

  /** Batches that the store has not taken. */
  get waiting(): number {
    return this.#queue.waiting;
  }

  /** When something was committed last; monotonic. */
  get lastUs(): number {
    return this.#lastUs;
  }

  forget(root: RootRecording): void {
    this.#rescan.forget(root);
  }

  /**
   * What happened before this moment has been drained. If a daemon ends without a word the gap begins
   * here, not when the batch was written: a flush may take seconds.
   */
  noteSeen(untilUs: number): void {
    this.#seenUs = Math.max(this.#seenUs, untilUs);
  }

  /** Sessions that only file events know of: their tier is not the trace's. */
  noteSoleClient(effects: readonly SessionEffect[]): void {
    for (const effect of effects)
      if (effect.kind === 'opened') this.#soleClient.add(effect.session.id);
  }

  /** What was drained while there was no room for it; monotonic. */
  noteDropped(count: number, fromUs: number): void {
    this.#queue.noteDropped(count, fromUs, nowUs());
  }

  /** Writes losses after a look at what they may have hidden. */
  async commitWithRescan(
    effects: readonly SessionEffect[],
    builder: BatchBuilder,
    look: Look,
  ): Promise<void> {
    builder.losses.push(...this.#queue.takeLosses(this.wall.toWall));
    this.#spans.follow(effects, nowUs());
    try {
      await this.#rescan.apply(builder, look);
    } finally {
      // Whatever became of the look: the sensors have given this away.
      this.commit(effects, builder);
    }
  }

  /** Tells what the last commit itself has lost, when no other may follow. */
  async settle(look: Look): Promise<void> {
    for (let round = 0; round < ROUNDS && this.#queue.hasLosses; round += 1)
      await this.commitWithRescan([], new BatchBuilder(), look);
  }

  /** Writes what the session machine decided, with the accesses and losses of a builder. */
  commit(effects: readonly SessionEffect[], builder = new BatchBuilder()): void {
    const { wall } = this;
    const now = nowUs();
    this.#spans.follow(effects, now);
    const shiftUs = wall.takeStep();
    const batch: IngestBatch = {
      atUs: wall.toWall(Math.min(now, this.#seenUs)),
      clock: wall.row,
      shiftUs,
      clientNames: this.#names?.take() ?? [],
      ...batchOfEffects(effects, wall.toWall, (id) =>
        this.#soleClient.has(id) ? 'sole-client' : this.#options.tier(),
      ),
      ...(this.#queue.full ? this.#leave(builder) : this.#take(builder, now)),
    };
    const idle =
      this.#queue.waiting === 0 &&
      shiftUs === 0 &&
      effects.length + builder.grown.length === 0 &&
      Object.values(batch).every((rows) => !Array.isArray(rows) || rows.length === 0);
    if (idle && now - this.#lastUs < HEARTBEAT_US) return;
    try {
      this.#queue.commit({ ...batch, grown: this.#grown(builder, now) });
      this.#lastUs = now;
      this.#soleClient.clear();
    } finally {
      // What waits has happened all the same.
      this.#tell(effects, batch.losses ?? [], shiftUs);
    }
  }

  /** What the roots have of names and limits, with what the builder has. */
  #take(builder: BatchBuilder, now: number): Partial<IngestBatch> {
    const roots = [...this.#options.roots.values()];
    const names = roots.flatMap((root) => root.nameChanges());
    for (const root of roots) this.#noteLeftOut(root, builder, now);
    return {
      files: builder.files,
      mounts: roots.flatMap((root) => root.newMounts()),
      names: [...builder.names, ...names],
      accesses: builder.accesses(),
      missing: builder.missing,
      missingDropped: builder.missingDropped,
      losses: builder.losses,
    };
  }

  /**
   * While there is no room: names stay where they are, where each object is there once however
   * often it changes, and losses become counts.
   */
  #leave(builder: BatchBuilder): Partial<IngestBatch> {
    const { toMonotonic } = this.wall;
    for (const loss of builder.losses)
      this.#queue.note({
        ...loss,
        fromUs: toMonotonic(loss.fromUs),
        toUs: toMonotonic(loss.toUs),
      });
    const { files, names, missing, missingDropped } = builder;
    return { files, names, accesses: builder.accesses(), missing, missingDropped };
  }

  /** Not each time, and not while batches wait: the last word of a loss is the one that counts. */
  #grown(builder: BatchBuilder, now: number): LossGrowth[] {
    const due = now - this.#grownUs >= HEARTBEAT_US && this.#queue.waiting === 0;
    if (due) this.#grownUs = now;
    return [...builder.grown, ...(due ? this.#options.growing() : [])].map((loss) => ({
      ...loss,
      fromUs: this.wall.toWall(loss.fromUs),
      toUs: this.wall.toWall(loss.toUs),
    }));
  }

  /** What a client made too large to be kept: a loss. */
  #noteLeftOut(root: RootRecording, { losses }: BatchBuilder, now: number): void {
    const count = root.takeLeftOut();
    if (count === 0) return;
    losses.push({
      recordingId: root.options.recordingId,
      sessionId: null,
      where: 'index',
      count,
      fromUs: this.wall.toWall(this.#lastUs),
      toUs: this.wall.toWall(now),
      detail: 'objects or names beyond what is kept: see docs/handle-index.md',
    });
  }

  #tell(effects: readonly SessionEffect[], losses: readonly LossUpdate[], shiftUs: number): void {
    const { onNotice } = this.#options;
    if (shiftUs !== 0) onNotice(noticeOfStep(shiftUs));
    for (const effect of effects)
      if (effect.kind === 'opened' && effect.tier === undefined)
        this.#names?.want(effect.session.client);
    for (const notice of noticesOfEffects(effects)) onNotice(notice);
    for (const loss of losses) onNotice(noticeOfLoss(loss));
  }
}
