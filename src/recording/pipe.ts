/**
 * One flush: what the sensors have goes through attribution to the committer. Owns the session
 * machine, the witnesses, and when the kernel's queues are drained first. Must not know how
 * recordings begin and end, nor what becomes of a batch.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { BootSessions, type SessionEffect } from '../attribution/boot-sessions.ts';
import type { NfsBatch } from '../common/batches.ts';
import type { Store } from '../store/store.ts';
import type { LossGrowth } from '../store/types.ts';
import { TraceError } from '../common/errors.ts';
import { BatchBuilder } from './batch-builder.ts';
import { nowUs } from './clock.ts';
import { Committer } from './committer.ts';
import { coveredUs } from './drained.ts';
import { stallOf, type Notice } from './effects.ts';
import type { ExportTable } from './export-table.ts';
import { FileAttributor } from './file-attributor.ts';
import { Intake } from './intake.ts';
import { LateSyncs } from './late-syncs.ts';
import { NfsAttributor } from './nfs-attributor.ts';
import { Nfs4Renewals } from './nfs4-renewals.ts';
import type { RootRecording } from './root-recording.ts';
import type { SensorSet } from './sensors.ts';
import type { WallClock } from './wall-clock.ts';
import { WitnessBench } from './witness-bench.ts';

export interface PipeOptions {
  readonly store: Store;
  readonly sensors: SensorSet;
  /** By root id; the recorder adds and removes. */
  readonly roots: ReadonlyMap<number, RootRecording>;
  readonly exports: ExportTable;
  /** Losses that go on, of roots that are away; monotonic. */
  readonly growing?: () => readonly LossGrowth[];
  /** Silence that ends a session, microseconds. */
  readonly quietUs: number;
  /** Ask for the names of clients' addresses. */
  readonly reverseLookup?: boolean;
  /** TCP ports of NFS servers of user space. */
  readonly serverPorts: readonly number[];
  /** Time between two flushes as it should be, microseconds. */
  readonly flushUs?: number | undefined;
  /** Memory for what the store does not take. */
  readonly pendingBytes?: number | undefined;
  /** Called with what a person should know: a loss, a collision, a session that opened. */
  readonly onNotice: (notice: Notice) => void;
}

/** A flush that is later than this finds events whose clients may have gone meanwhile. */
const STALL_US = 10_000_000;
/** At the end the queues get this long to be drained, and the store is asked so often. */
const LAST_SYNC_MS = 1500;
const RETRY_MS = 200;

/** `if-needed`: only if the witnesses disagree, and in vain if need be. */
type Drain = 'whole' | 'if-needed' | 'never';

/** Enough for a commit of its own: docs/performance.md has what more at once costs in memory. */
const ENOUGH_ROWS = 16_000;

export class Pipe {
  readonly sessions: BootSessions;
  readonly #options: PipeOptions;
  readonly #witnesses = new WitnessBench();
  readonly #committer: Committer;
  readonly #nfsAttributor: NfsAttributor;
  readonly #fileAttributor: FileAttributor;
  readonly #syncs: LateSyncs;
  readonly #intake: Intake;
  readonly #renewals = new Nfs4Renewals();
  #nextFileId: number;
  #failure: string | null = null;
  /** Why the kernel's queues could not be drained for somebody who needs the whole. */
  #late: unknown = null;
  /** Did a client ever show in file events alone: of a server of user space? */
  #byFileEvents = false;
  #flushUs: number;
  #serverPorts: readonly number[];

  constructor(options: PipeOptions) {
    this.#options = options;
    const { store, sensors, roots, exports } = options;
    this.#flushUs = options.flushUs ?? 0;
    this.#serverPorts = options.serverPorts;
    const next = store.nextIds();
    this.#nextFileId = next.file;
    const { nextFileId } = this;
    const serverPorts = (): readonly number[] => this.#serverPorts;
    this.#committer = new Committer({
      store,
      roots,
      serverPorts,
      nextFileId,
      growing: options.growing ?? (() => []),
      knownClients: () => exports.clients(),
      tier: () => sensors.tier,
      reverseLookup: options.reverseLookup === true,
      pendingBytes: options.pendingBytes,
      onNotice: options.onNotice,
    });
    this.#syncs = new LateSyncs(options);
    this.#intake = new Intake(options);
    const { toMonotonic } = this.wall;
    this.sessions = new BootSessions({
      nextSessionId: next.session,
      quietUs: options.quietUs,
      identities: store.identities(),
      open: store.openSessions().map((session) => ({
        ...session,
        openedUs: toMonotonic(session.openedUs),
        lastUs: toMonotonic(session.lastUs),
      })),
      pending: store.pendingBoots().map((boot) => ({ ...boot, atUs: toMonotonic(boot.atUs) })),
    });
    const shared = { roots, sessions: this.sessions, witnesses: this.#witnesses, nextFileId };
    this.#nfsAttributor = new NfsAttributor({
      ...shared,
      exports,
      refreshNames: async () => {
        await this.#syncs.files();
        this.#intake.takeFiles();
      },
    });
    this.#fileAttributor = new FileAttributor({ ...shared, serverPorts });
  }

  /** What every time that is written, or shown, is translated by. */
  get wall(): WallClock {
    return this.#committer.wall;
  }

  /** Takes over what may change while recording runs. */
  reconfigure(options: {
    readonly quietUs: number;
    readonly serverPorts: readonly number[];
    readonly flushUs: number;
  }): void {
    this.sessions.quietUs = options.quietUs;
    this.#serverPorts = options.serverPorts;
    this.#flushUs = options.flushUs;
  }

  /** Calls whose file handle nothing explained. */
  get unresolved(): number {
    return this.#nfsAttributor.unresolved;
  }

  /** Calls on exports that are not recorded. */
  get outside(): number {
    return this.#nfsAttributor.outside;
  }

  /** Wall clock, microseconds. */
  get lastCommitUs(): number {
    return this.wall.toWall(this.#committer.lastUs);
  }

  /** Why the last flush failed; null if it did not. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Flushes that the store has not taken yet. */
  get uncommitted(): number {
    return this.#committer.waiting;
  }

  /** Must what comes now be dropped, because the store takes nothing? */
  get full(): boolean {
    return this.#committer.full;
  }

  /** The number of a file that the store does not know. */
  readonly nextFileId = (): number => this.#nextFileId++;

  forget(root: RootRecording): void {
    this.#witnesses.forget(root);
    this.#committer.forget(root);
  }

  /**
   * @param whole first drain the kernel's own queues. Twice, so that reads which fall between the
   *   drains of the two witnesses are judged too. Throws if they cannot be drained in time.
   * @param withinMs how long each drain of the kernel's queues may take
   */
  async flush(whole: boolean, withinMs?: number): Promise<void> {
    await this.#noting(async () => {
      await this.#flushOnce(whole ? 'whole' : 'if-needed', withinMs);
      if (!whole) return;
      await this.#flushOnce('whole', withinMs);
      await this.#committer.settle({ whole, traced: this.#traced });
    });
  }

  /**
   * The last flush: a whole one, or, when the kernel's queues cannot be drained in time, one of what
   * has come out of them.
   * @param endUs until when it is tried again, monotonic
   */
  async finish(endUs: number): Promise<void> {
    for (;;)
      try {
        await this.flush(true, LAST_SYNC_MS);
        return;
      } catch (error) {
        if (!(error instanceof TraceError)) throw error;
        if (nowUs() < endUs) {
          await delay(RETRY_MS);
          continue;
        }
        // It was the store, and what was drained waits for it.
        if (error !== this.#late) throw error;
        await this.#noting(() => this.#flushOnce('never'));
        const text = `ended without what the kernel still had: ${error.message}`;
        this.#options.onNotice({ level: 'warn', text });
        return;
      }
  }

  /** The failure that `status` tells of is that of the last flush. */
  async #noting(work: () => Promise<void>): Promise<void> {
    try {
      await work();
      this.#failure = null;
    } catch (error) {
      this.#failure = (error as Error).message;
      throw error;
    }
  }

  async #flushOnce(drain: Drain, withinMs?: number): Promise<void> {
    // Once, so that all times of one batch are of one clock.
    this.wall.look();
    // First, since a file system that was unmounted cannot be brought up to date.
    await this.#options.exports.refresh();
    this.#tellRecalled();
    const drained = await this.#isDrained(drain, withinMs);
    this.#witnesses.next(nowUs());
    const beganUs = nowUs();
    let builder = new BatchBuilder();
    let effects: SessionEffect[] = [];
    const { toWall } = this.wall;
    let failure: Error | null = null;
    for (let more = true; more;) {
      if (builder.accesses().length >= ENOUGH_ROWS) {
        await this.commitWithRescan(effects, builder, false);
        [builder, effects] = [new BatchBuilder(), []];
      }
      // The trace first: what it names has then been created in an event of the file side.
      const trace = this.#intake.takeTrace();
      more = trace.more === true;
      const whole = drained && !more;
      try {
        if (this.#committer.full) this.#drop(trace);
        else await this.#attribute(trace, { builder, effects, toWall, drained: whole });
      } catch (error) {
        // The sensors have given it away, and the session machine has seen a part of it: that part
        // is written, so that the store knows what the machine knows, and the rest is a loss.
        failure = error as Error;
        this.#takeAbandoned(trace, { builder, toWall }, failure);
      }
      if (!more)
        this.#committer.noteSeen(coveredUs(beganUs, this.#intake.filesUntilUs, trace.untilUs));
      this.#addLosses(builder, trace, toWall);
    }
    // What is suspicious only now is judged in the next flush, after both queues were drained.
    if (!this.#options.sensors.traced) this.#witnesses.discard();
    else if (failure === null && (drained || !this.#witnesses.suspicious))
      builder.losses.push(...this.#witnesses.judge(toWall));
    await this.commitWithRescan(effects, builder, drained);
    if (failure !== null) throw failure;
  }

  /** In a batch before that of the uses: names that went while nobody watched are none of theirs. */
  #tellRecalled(): void {
    const recalled = [...this.#options.roots.values()].filter((root) => root.takeRecalled());
    if (recalled.length === 0) return;
    try {
      this.commit([]);
    } catch (error) {
      // It waits, and so does what follows.
      if (!(error instanceof TraceError)) throw error;
    }
  }

  /** Has everything that happened before this call come out of the kernel's queues? */
  async #isDrained(drain: Drain, withinMs?: number): Promise<boolean> {
    if (drain === 'whole')
      await this.#options.sensors.sync(withinMs).catch((error: unknown) => {
        this.#late = error;
        throw error;
      });
    else if (drain === 'never' || !this.#witnesses.suspicious) return false;
    else if (!(await this.#syncs.all())) {
      if (this.#syncs.hopeless) this.#witnesses.discard();
      return false;
    }
    return true;
  }

  /** File events are the record of some client if any was ever known by them. */
  get #traced(): boolean {
    return this.#options.sensors.tier !== 'sole-client' && !this.#byFileEvents;
  }

  /** Writes losses after a look at what they may have hidden. */
  commitWithRescan(
    effects: readonly SessionEffect[],
    builder: BatchBuilder,
    whole: boolean,
  ): Promise<void> {
    return this.#committer.commitWithRescan(effects, builder, { whole, traced: this.#traced });
  }

  /** Writes what the session machine decided, with the accesses and losses of a builder. */
  commit(effects: readonly SessionEffect[], builder?: BatchBuilder): void {
    this.#committer.commit(effects, builder);
  }

  /** The same, when no other commit may follow that would tell what this one has lost. */
  async commitLast(effects: readonly SessionEffect[], builder?: BatchBuilder): Promise<void> {
    this.commit(effects, builder);
    await this.#committer.settle({ whole: true, traced: this.#traced });
  }

  /** The store has taken nothing for so long that memory is full: what comes is only counted. */
  #drop(trace: NfsBatch): void {
    this.#intake.takeFiles();
    const { count, fromUs } = this.#intake.abandon(trace);
    this.#committer.noteDropped(count, fromUs);
  }

  /** Everything that was drained, and what it makes the session machine do. */
  async #attribute(
    trace: NfsBatch,
    {
      builder,
      effects,
      toWall,
      drained,
    }: {
      readonly builder: BatchBuilder;
      readonly effects: SessionEffect[];
      readonly toWall: (us: number) => number;
      readonly drained: boolean;
    },
  ): Promise<void> {
    this.#intake.takeFiles();
    await this.#nfsAttributor.attribute(trace, { builder, effects, toWall, whole: drained });
    const { traced } = this.#options.sensors;
    const before = effects.length;
    try {
      const { files, filesFromUs } = this.#intake;
      const named = this.#fileAttributor.attribute(files, { traced, builder, effects, toWall });
      if (named > 0) this.#byFileEvents = true;
      const knownUs = nowUs();
      if (named > 0 && knownUs - filesFromUs > this.#flushUs + STALL_US)
        builder.losses.push(stallOf(named, toWall(filesFromUs), toWall(knownUs)));
    } finally {
      this.#committer.noteSoleClient(effects.slice(before));
    }
    this.#intake.clearFiles();
    // The sessions that the rest belongs to are not quiet.
    if (trace.more === true) return;
    const now = nowUs();
    if (this.sessions.isCurious(now))
      effects.push(...this.sessions.renewed(this.#renewals.read(), now));
    effects.push(...this.sessions.tick(now));
  }

  /** What an attribution that failed may not have looked at any more, all of it, as one loss. */
  #takeAbandoned(
    trace: NfsBatch,
    { builder, toWall }: { builder: BatchBuilder; toWall: (us: number) => number },
    error: Error,
  ): void {
    const { count, fromUs } = this.#intake.abandon(trace);
    if (count === 0) return;
    builder.losses.push({
      recordingId: null,
      sessionId: null,
      where: 'attribution',
      count,
      fromUs: toWall(fromUs),
      toUs: toWall(nowUs()),
      detail: error.message,
    });
  }

  #addLosses(builder: BatchBuilder, trace: NfsBatch, toWall: (us: number) => number): void {
    for (const { where, count, fromUs, toUs } of this.#intake.losses(trace))
      builder.losses.push({
        recordingId: null,
        sessionId: null,
        where,
        count,
        fromUs: toWall(fromUs),
        toUs: toWall(toUs),
      });
  }
}
