/**
 * One flush: what the sensors have goes through attribution into the store, in one transaction.
 * Owns the session machine, the witnesses and what waits for the next commit. Must not know how
 * recordings begin and end.
 */
import { BootSessions, type SessionEffect } from '../attribution/boot-sessions.ts';
import type { FileBatch, FileEvent, LossCount, NfsBatch } from '../common/batches.ts';
import type { Store } from '../store/store.ts';
import type { NameChange } from '../store/types.ts';
import { BatchBuilder } from './batch-builder.ts';
import { ClientNames } from './client-names.ts';
import { ClockSteps } from './clock-steps.ts';
import { monotonicOf, nowUs, wallNowUs, wallTranslation } from './clock.ts';
import { CommitQueue } from './commit-queue.ts';
import {
  batchOfEffects,
  noticeOfLoss,
  noticeOfStep,
  noticesOfEffects,
  stallOf,
  type Notice,
} from './effects.ts';
import type { ExportTable } from './export-table.ts';
import { FileAttributor } from './file-attributor.ts';
import { NfsAttributor } from './nfs-attributor.ts';
import { Nfs4Renewals } from './nfs4-renewals.ts';
import { Rescan } from './rescan.ts';
import type { RootRecording } from './root-recording.ts';
import type { SensorSet } from './sensors.ts';
import { SessionSpans } from './session-spans.ts';
import { WitnessBench } from './witness-bench.ts';

/** An idle recorder still commits this often: after a crash the gap begins at the last commit. */
const HEARTBEAT_US = 5_000_000;

export interface PipeOptions {
  readonly store: Store;
  readonly sensors: SensorSet;
  /** By root id; the recorder adds and removes. */
  readonly roots: ReadonlyMap<number, RootRecording>;
  readonly exports: ExportTable;
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

export class Pipe {
  readonly sessions: BootSessions;
  readonly #options: PipeOptions;
  readonly #witnesses = new WitnessBench();
  readonly #spans: SessionSpans;
  readonly #rescan: Rescan;
  readonly #queue: CommitQueue;
  readonly #nfsAttributor: NfsAttributor;
  readonly #fileAttributor: FileAttributor;
  readonly #renewals = new Nfs4Renewals();
  readonly #names: ClientNames | null;
  readonly #steps: ClockSteps;
  /** File events taken since the last commit. */
  #events: FileEvent[] = [];
  #fileLosses: LossCount[] = [];
  #fileUntilUs = 0;
  /** Sessions that file events alone opened since the last commit. */
  readonly #soleClient = new Set<number>();
  /** Of the last batches taken. */
  #traceSequence = 0;
  #fileSequence = 0;
  #nextFileId: number;
  #lastCommitUs = wallNowUs();
  #failure: string | null = null;
  /** When the sensors were drained last, monotonic. */
  #drainedUs = nowUs();
  /** Did a client ever show in file events alone: of a server of user space? */
  #byFileEvents = false;
  #flushUs: number;
  #serverPorts: readonly number[];

  constructor(options: PipeOptions) {
    this.#options = options;
    const { store, sensors, roots, exports } = options;
    this.#flushUs = options.flushUs ?? 0;
    this.#serverPorts = options.serverPorts;
    this.#queue = new CommitQueue({ store, limitBytes: options.pendingBytes });
    const next = store.nextIds();
    this.#nextFileId = next.file;
    this.#names = options.reverseLookup === true ? new ClientNames() : null;
    this.#steps = new ClockSteps({ known: store.clock() });
    const shiftUs = this.#steps.take();
    // The time of the last batch moves along: the gap that follows it begins there.
    if (shiftUs !== 0)
      store.ingest({
        atUs: (store.lastIngestUs() ?? 0) + shiftUs,
        shiftUs,
        clock: this.#steps.row,
      });
    const toMonotonic = monotonicOf();
    const open = store.openSessions();
    this.#spans = new SessionSpans(open);
    this.sessions = new BootSessions({
      nextSessionId: next.session,
      quietUs: options.quietUs,
      identities: store.identities(),
      open: open.map((session) => ({
        ...session,
        openedUs: toMonotonic(session.openedUs),
        lastUs: toMonotonic(session.lastUs),
      })),
      pending: store.pendingBoots().map((boot) => ({ ...boot, atUs: toMonotonic(boot.atUs) })),
    });
    const shared = {
      roots,
      sessions: this.sessions,
      witnesses: this.#witnesses,
      nextFileId: () => this.#nextFileId++,
    };
    this.#nfsAttributor = new NfsAttributor({
      ...shared,
      exports,
      refreshNames: async () => {
        await sensors.syncFiles();
        this.#takeFileEvents();
      },
    });
    const serverPorts = (): readonly number[] => this.#serverPorts;
    this.#fileAttributor = new FileAttributor({ ...shared, serverPorts });
    this.#rescan = new Rescan({
      ...shared,
      serverPorts,
      spans: this.#spans,
      knownClients: () => exports.clients(),
      filesOf: (session) => new Set(store.fileIdsOf(session)),
    });
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
    return this.#lastCommitUs;
  }

  /** Why the last flush failed; null if it did not. */
  get failure(): string | null {
    return this.#failure;
  }

  /** Flushes that the store has not taken yet. */
  get uncommitted(): number {
    return this.#queue.waiting;
  }

  forget(root: RootRecording): void {
    this.#witnesses.forget(root);
    this.#rescan.forget(root);
  }

  /**
   * @param whole first drain the kernel's own queues. Twice, so that reads which fall between the
   *   drains of the two witnesses are judged too.
   * @param withinMs how long each drain of the kernel's queues may take
   */
  async flush(whole: boolean, withinMs?: number): Promise<void> {
    try {
      await this.#flushOnce(whole || this.#witnesses.suspicious, withinMs);
      if (whole) await this.#flushOnce(true, withinMs);
      this.#failure = null;
    } catch (error) {
      this.#failure = (error as Error).message;
      throw error;
    }
  }

  async #flushOnce(drained: boolean, withinMs?: number): Promise<void> {
    // First, since a file system that was unmounted cannot be brought up to date.
    await this.#options.exports.refresh();
    if (drained) await this.#options.sensors.sync(withinMs);
    this.#witnesses.next(wallNowUs());
    // The trace first: what it names has then been created in an event of the file side.
    const trace = this.#unseenTrace(this.#options.sensors.drainTrace());
    const builder = new BatchBuilder();
    const effects: SessionEffect[] = [];
    const toWall = wallTranslation();
    let failure: Error | null = null;
    try {
      if (this.#queue.full) this.#drop(trace, toWall);
      else await this.#attribute(trace, { builder, effects, toWall, drained });
    } catch (error) {
      // The sensors have given it away, and the session machine has seen a part of it: that part
      // is written, so that the store knows what the machine knows, and the rest is a loss.
      failure = error as Error;
      this.#takeAbandoned(trace, { builder, toWall }, failure);
    }
    this.#addLosses(builder, trace, toWall);
    // What is suspicious only now is judged in the next flush, after both queues were drained.
    const { traced } = this.#options.sensors;
    if (!traced) this.#witnesses.discard();
    else if (failure === null && (drained || !this.#witnesses.suspicious))
      builder.losses.push(...this.#witnesses.judge());
    await this.commitWithRescan(effects, builder, drained);
    if (failure !== null) throw failure;
  }

  /** Writes losses after a look at what they may have hidden. */
  async commitWithRescan(
    effects: readonly SessionEffect[],
    builder: BatchBuilder,
    whole: boolean,
  ): Promise<void> {
    builder.losses.push(...this.#queue.takeLosses());
    this.#follow(effects);
    // File events are the record of some client if any was ever known by them.
    const traced = this.#options.sensors.tier !== 'sole-client' && !this.#byFileEvents;
    await this.#rescan.apply(builder, { whole, traced });
    this.commit(effects, builder);
  }

  #follow(effects: readonly SessionEffect[]): void {
    const atUs = wallNowUs();
    this.#spans.follow({ atUs, ...batchOfEffects(effects, wallTranslation(), () => 'exact') });
  }

  /** The store has taken nothing for so long that memory is full: what comes is only counted. */
  #drop(trace: NfsBatch, toWall: (us: number) => number): void {
    this.#takeFileEvents();
    const { count, fromUs } = this.#contents(trace, toWall);
    this.#events = [];
    this.#queue.noteDropped(count, fromUs, wallNowUs());
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
    this.#takeFileEvents();
    const lastUs = this.#drainedUs;
    this.#drainedUs = nowUs();
    await this.#nfsAttributor.attribute(trace, { builder, effects, toWall, whole: drained });
    const files: FileBatch = { events: this.#events, losses: [], untilUs: this.#fileUntilUs };
    const { traced } = this.#options.sensors;
    const before = effects.length;
    try {
      const named = this.#fileAttributor.attribute(files, { traced, builder, effects, toWall });
      if (named > 0) this.#byFileEvents = true;
      if (named > 0 && this.#drainedUs - lastUs > this.#flushUs + STALL_US)
        builder.losses.push(stallOf(named, toWall(lastUs), toWall(this.#drainedUs)));
    } finally {
      for (const effect of effects.slice(before))
        if (effect.kind === 'opened') this.#soleClient.add(effect.session.id);
    }
    this.#events = [];
    const now = nowUs();
    if (this.sessions.isCurious(now))
      effects.push(...this.sessions.renewed(this.#renewals.read(), now));
    effects.push(...this.sessions.tick(now));
  }

  /** Nothing of a batch that was taken before: its counts would be doubled. */
  #unseenTrace(batch: NfsBatch): NfsBatch {
    if (batch.sequence === undefined) return batch;
    if (batch.sequence <= this.#traceSequence)
      return { rows: [], markers: [], losses: [], untilUs: batch.untilUs };
    this.#traceSequence = batch.sequence;
    return batch;
  }

  /** Drains the file side and lets every index follow it. */
  #takeFileEvents(): void {
    const batch = this.#options.sensors.drainFiles();
    if (batch.sequence !== undefined) {
      if (batch.sequence <= this.#fileSequence) return;
      this.#fileSequence = batch.sequence;
    }
    // Not push(...): as arguments a full table's 262,144 rows overflow the stack.
    this.#events = this.#events.concat(batch.events);
    this.#fileLosses.push(...batch.losses);
    this.#fileUntilUs = batch.untilUs;
    for (const root of this.#options.roots.values()) root.followNames(batch.events);
  }

  /** What an attribution that failed may not have looked at any more, all of it, as one loss. */
  #takeAbandoned(
    { rows, markers }: NfsBatch,
    { builder, toWall }: { builder: BatchBuilder; toWall: (us: number) => number },
    error: Error,
  ): void {
    const { count, fromUs } = this.#contents({ rows, markers }, toWall);
    this.#events = [];
    if (count === 0) return;
    builder.losses.push({
      recordingId: null,
      sessionId: null,
      where: 'attribution',
      count,
      fromUs,
      toUs: wallNowUs(),
      detail: error.message,
    });
  }

  /** How much was drained, and since when it may be. */
  #contents(
    { rows, markers }: Pick<NfsBatch, 'rows' | 'markers'>,
    toWall: (us: number) => number,
  ): { readonly count: number; readonly fromUs: number } {
    const sum = (counts: readonly { readonly count: number }[]): number =>
      counts.reduce((total, { count }) => total + count, 0);
    const firsts = [...rows.map(({ firstUs }) => firstUs), ...markers.map(({ atUs }) => atUs)];
    // Events of files have no time; they came since the last drain.
    const earliest = (least: number, us: number): number => Math.min(least, toWall(us));
    return {
      count: sum(rows) + sum(this.#events) + markers.length,
      fromUs: firsts.reduce(earliest, toWall(this.#drainedUs)),
    };
  }

  #addLosses(builder: BatchBuilder, trace: NfsBatch, toWall: (us: number) => number): void {
    for (const { where, count, fromUs, toUs } of [...trace.losses, ...this.#fileLosses])
      builder.losses.push({
        recordingId: null,
        sessionId: null,
        where,
        count,
        fromUs: toWall(fromUs),
        toUs: toWall(toUs),
      });
    this.#fileLosses = [];
  }

  /** What a client made too large to be kept: a loss. */
  #noteLeftOut(root: RootRecording, { losses }: BatchBuilder, atUs: number): void {
    const count = root.takeLeftOut();
    if (count === 0) return;
    losses.push({
      recordingId: root.options.recordingId,
      sessionId: null,
      where: 'index',
      count,
      fromUs: this.#lastCommitUs,
      toUs: atUs,
      detail: 'objects or names beyond what is kept: see docs/handle-index.md',
    });
  }

  /** Writes what the session machine decided, with the accesses and losses of a builder. */
  commit(effects: readonly SessionEffect[], builder = new BatchBuilder()): void {
    const { onNotice } = this.#options;
    const atUs = wallNowUs();
    const names: NameChange[] = [];
    for (const root of this.#options.roots.values()) {
      for (const change of root.nameChanges()) names.push(change);
      this.#noteLeftOut(root, builder, atUs);
    }
    const mounts = [...this.#options.roots.values()].flatMap((root) => root.newMounts());
    const accesses = builder.accesses();
    const { losses, missing, missingDropped } = builder;
    const clientNames = this.#names?.take() ?? [];
    const shiftUs = this.#steps.take();
    this.#spans.shift(shiftUs);
    this.#follow(effects);
    const idle =
      this.#queue.waiting === 0 &&
      shiftUs === 0 &&
      [effects, mounts, names, clientNames, accesses, losses, missing, missingDropped].every(
        ({ length }) => length === 0,
      );
    if (idle && atUs - this.#lastCommitUs < HEARTBEAT_US) return;
    this.#queue.commit({
      atUs,
      clock: this.#steps.row,
      shiftUs,
      clientNames,
      ...batchOfEffects(effects, wallTranslation(), (id) =>
        this.#soleClient.has(id) ? 'sole-client' : this.#options.sensors.tier,
      ),
      files: builder.files,
      mounts,
      names,
      accesses,
      missing,
      missingDropped,
      losses,
    });
    this.#lastCommitUs = atUs;
    this.#soleClient.clear();
    if (shiftUs !== 0) onNotice(noticeOfStep(shiftUs));
    for (const effect of effects)
      if (effect.kind === 'opened') this.#names?.want(effect.session.client);
    for (const notice of noticesOfEffects(effects)) onNotice(notice);
    for (const loss of losses) onNotice(noticeOfLoss(loss));
  }
}
