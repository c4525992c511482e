/**
 * The pipe: sensors into attribution into the store, for all roots under recording.
 * Owns the sources, the boot-session machine and the flush; one flush is one transaction.
 * Must not know HTTP, the command line or images.
 */
import { BootSessions, type SessionEffect } from '../attribution/boot-sessions.ts';
import type { FileBatch, FileEvent, LossCount, NfsBatch } from '../common/batches.ts';
import { TraceError } from '../common/errors.ts';
import type { Store } from '../store/store.ts';
import type { LossUpdate, RecordingRow } from '../store/types.ts';
import { BatchBuilder } from './batch-builder.ts';
import { ClientFilter } from './client-filter.ts';
import { monotonicOf, nowUs, wallNowUs, wallTranslation } from './clock.ts';
import { batchOfEffects, noticesOfEffects, type Notice } from './effects.ts';
import { CommitQueue } from './commit-queue.ts';
import { ExportTable } from './export-table.ts';
import { FileAttributor } from './file-attributor.ts';
import { NfsAttributor } from './nfs-attributor.ts';
import { RootRecording } from './root-recording.ts';
import { Sensors, type SensorsOptions, type SensorsStatus } from './sensors.ts';
import { WitnessBench } from './witness-bench.ts';

/** An idle recorder still commits this often: after a crash the gap begins at the last commit. */
const HEARTBEAT_US = 5_000_000;

export interface RecorderOptions extends SensorsOptions {
  readonly store: Store;
  /** Silence that ends a session, microseconds. */
  readonly quietUs: number;
  readonly serverPorts: readonly number[];
  /** Called with what a person should know: a loss, a collision, a module that appeared. */
  readonly onNotice: (notice: Notice) => void;
}

export interface StartRequest {
  readonly path: Buffer;
  readonly label: string | null;
  readonly clients: readonly string[];
}

export interface RecordingStatus {
  readonly rootId: number;
  readonly recordingId: number;
  readonly path: Buffer;
  readonly label: string | null;
  readonly objects: number;
  readonly startedUs: number;
}

export interface RecorderStatus extends SensorsStatus {
  readonly recordings: readonly RecordingStatus[];
  /** Calls whose file handle nothing explained. */
  readonly unresolved: number;
  /** Calls on exports that are not recorded. */
  readonly outside: number;
  /** Wall clock, microseconds. */
  readonly lastCommitUs: number;
}

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #roots = new Map<number, RootRecording>();
  readonly #sensors: Sensors;
  readonly #exports: ExportTable;
  readonly #witnesses = new WitnessBench();
  readonly #queue: CommitQueue;
  readonly #sessions: BootSessions;
  readonly #nfsAttributor: NfsAttributor;
  readonly #fileAttributor: FileAttributor;
  /** File events taken since the last commit. */
  #events: FileEvent[] = [];
  #fileLosses: LossCount[] = [];
  #fileUntilUs = 0;
  /** Sessions that file events alone opened since the last commit. */
  readonly #soleClient = new Set<number>();
  #nextFileId: number;
  #lastCommitUs = wallNowUs();
  /** One piece of work at a time; later callers wait for their turn. */
  #tail: Promise<unknown> = Promise.resolve();

  constructor(options: RecorderOptions) {
    this.#options = options;
    const { store } = options;
    this.#queue = new CommitQueue(store);
    this.#sensors = new Sensors(options);
    this.#exports = new ExportTable({ roots: this.#roots });
    const next = store.nextIds();
    this.#nextFileId = next.file;
    const toMonotonic = monotonicOf();
    this.#sessions = new BootSessions({
      nextSessionId: next.session,
      quietUs: options.quietUs,
      identities: store.identities(),
      open: store.openSessions().map((session) => ({
        ...session,
        openedUs: toMonotonic(session.openedUs),
        lastUs: toMonotonic(session.lastUs),
      })),
    });
    const shared = {
      roots: this.#roots,
      sessions: this.#sessions,
      witnesses: this.#witnesses,
      nextFileId: () => this.#nextFileId++,
    };
    this.#nfsAttributor = new NfsAttributor({
      ...shared,
      exports: this.#exports,
      refreshNames: async () => {
        await this.#sensors.syncFiles();
        this.#takeFileEvents();
      },
    });
    this.#fileAttributor = new FileAttributor({ ...shared, serverPorts: options.serverPorts });
  }

  /** Starts the sensors and resumes every recording that the store says was running. */
  async start(): Promise<void> {
    const { store, onNotice } = this.#options;
    this.#sensors.start();
    const { untraced } = this.#sensors.status();
    if (untraced !== null) onNotice(noticeOfTier(untraced));
    try {
      await this.#exclusively(async () => {
        for (const recording of store.activeRecordings()) await this.#resume(recording);
      });
    } catch (error) {
      await this.#sensors.stop();
      throw error;
    }
  }

  /** Begins to record a root; answers when events are really being taken. */
  startRoot(request: StartRequest): Promise<RecordingStatus> {
    return this.#exclusively(async () => {
      const { store } = this.#options;
      for (const root of this.#roots.values())
        if (root.path.equals(request.path))
          throw new TraceError({
            code: 'already-recorded',
            message: `${request.path.toString()} is already being recorded`,
            hint: 'see `trace status`; `trace stop --root DIR` ends it',
            exit: 'busy',
          });
      const clients = new ClientFilter(request.clients);
      // Nothing is written before the root has been opened: a refused start leaves no trace.
      const root = new RootRecording({ path: request.path });
      await this.#open(root);
      const startedUs = wallNowUs();
      let rootId: number;
      try {
        rootId = store.ensureRoot(request.path);
        const recordingId = store.startRecording({
          rootId,
          label: request.label,
          clients: [...request.clients],
          tier: this.#sensors.tier,
          atUs: startedUs,
        });
        root.begin(
          { rootId, recordingId, clients, label: request.label, startedUs },
          store.knownFiles(rootId),
        );
      } catch (error) {
        this.#sensors.unwatch(root.path);
        root.close();
        throw error;
      }
      this.#adopt(root);
      this.#sessions.openRoot(rootId, nowUs());
      return describe(root);
    });
  }

  /** Ends the recording of one root after draining every queue; the sessions that this ended. */
  stopRoot(rootId: number): Promise<number[]> {
    return this.#exclusively(async () => {
      await this.#flush(true);
      const root = this.#roots.get(rootId);
      if (root === undefined) return [];
      const effects = this.#sessions.closeRoot(rootId, nowUs(), 'stop');
      this.#commit(effects, new BatchBuilder());
      this.#options.store.stopRecording(root.options.recordingId, wallNowUs());
      this.#drop(root);
      return closedIn(effects);
    });
  }

  /** Takes what the sensors have and commits it. */
  flush(): Promise<void> {
    return this.#exclusively(() => this.#flush(false));
  }

  /** Closes a client's sessions by hand; its next access opens a new one. Gives their ids. */
  beginSession(client: string, rootId: number | null): Promise<number[]> {
    return this.#exclusively(async () => {
      await this.#flush(true);
      const effects = this.#sessions.begin(client, rootId, nowUs());
      this.#commit(effects, new BatchBuilder());
      return closedIn(effects);
    });
  }

  /** A named moment in every open session; flushes first, so that it lies after what was seen. */
  mark(text: string): Promise<number[]> {
    return this.#exclusively(async () => {
      await this.#flush(true);
      return this.#options.store.addMark({ text, atUs: wallNowUs() });
    });
  }

  status(): RecorderStatus {
    return {
      ...this.#sensors.status(),
      recordings: [...this.#roots.values()].map(describe),
      unresolved: this.#nfsAttributor.unresolved,
      outside: this.#nfsAttributor.outside,
      lastCommitUs: this.#lastCommitUs,
    };
  }

  rootIdOf(path: Buffer): number | undefined {
    return [...this.#roots.values()].find((root) => root.path.equals(path))?.options.rootId;
  }

  /** Last flush, then the sensors stop. Recordings stay active in the store and resume later. */
  stop(): Promise<void> {
    return this.#exclusively(async () => {
      try {
        await this.#flush(true);
      } finally {
        await this.#sensors.stop();
        for (const root of [...this.#roots.values()]) root.close();
        this.#roots.clear();
        this.#exports.close();
      }
    });
  }

  /**
   * @param whole first drain the kernel's own queues. Twice, so that reads which fall between the
   *   drains of the two witnesses are judged too.
   */
  async #flush(whole: boolean): Promise<void> {
    if (whole) {
      await this.#flushOnce(true);
      await this.#flushOnce(true);
    } else await this.#flushOnce(this.#witnesses.suspicious);
  }

  async #flushOnce(drained: boolean): Promise<void> {
    if (drained) await this.#sensors.sync();
    this.#witnesses.next(wallNowUs());
    // The trace first: what it names has then been created in an event of the file side.
    const trace = this.#sensors.drainTrace();
    this.#takeFileEvents();
    const builder = new BatchBuilder();
    const toWall = wallTranslation();
    const effects = await this.#nfsAttributor.attribute(trace, {
      builder,
      toWall,
      whole: drained,
    });
    const files: FileBatch = { events: this.#events, losses: [], untilUs: this.#fileUntilUs };
    this.#events = [];
    const { traced } = this.#sensors;
    const byFiles = this.#fileAttributor.attribute(files, { traced, builder, toWall });
    for (const effect of byFiles)
      if (effect.kind === 'opened') this.#soleClient.add(effect.session.id);
    effects.push(...byFiles);
    effects.push(...this.#sessions.tick(nowUs()));
    this.#addLosses(builder, trace, toWall);
    // What is suspicious only now is judged in the next flush, after both queues were drained.
    if (traced && (drained || !this.#witnesses.suspicious))
      builder.losses.push(...this.#witnesses.judge());
    this.#commit(effects, builder);
  }

  /** Drains the file side and lets every index follow it. */
  #takeFileEvents(): void {
    const batch = this.#sensors.drainFiles();
    for (const root of this.#roots.values()) root.followNames(batch.events);
    this.#events.push(...batch.events);
    this.#fileLosses.push(...batch.losses);
    this.#fileUntilUs = batch.untilUs;
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

  #commit(effects: readonly SessionEffect[], builder: BatchBuilder): void {
    const { onNotice } = this.#options;
    const atUs = wallNowUs();
    const names = [...this.#roots.values()].flatMap((root) => root.nameChanges());
    const accesses = builder.accesses();
    const idle =
      this.#queue.waiting === 0 &&
      [effects, names, accesses, builder.losses].every(({ length }) => length === 0);
    if (idle && atUs - this.#lastCommitUs < HEARTBEAT_US) return;
    this.#queue.commit({
      atUs,
      ...batchOfEffects(effects, wallTranslation(), (id) =>
        this.#soleClient.has(id) ? 'sole-client' : this.#sensors.tier,
      ),
      files: builder.files,
      names,
      accesses,
      losses: builder.losses,
    });
    this.#lastCommitUs = atUs;
    this.#soleClient.clear();
    for (const notice of noticesOfEffects(effects)) onNotice(notice);
    for (const loss of builder.losses) onNotice(noticeOfLoss(loss));
  }

  async #resume(recording: RecordingRow): Promise<void> {
    const { store, onNotice } = this.#options;
    const { rootId, id: recordingId, root: path, label, clients, startedUs } = recording;
    const builder = new BatchBuilder();
    const gap = {
      recordingId,
      sessionId: null,
      fromUs: store.lastIngestUs() ?? startedUs,
      toUs: wallNowUs(),
    };
    builder.losses.push({
      ...gap,
      where: 'daemon-restart',
      count: 1,
      detail: 'no daemon was running; what clients did meanwhile is not known',
    });
    const root = new RootRecording({ path });
    try {
      await this.#open(root);
    } catch (error) {
      // A root that is gone now must not keep the others from being recorded.
      if (!(error instanceof TraceError)) throw error;
      onNotice({ level: 'warn', text: `recording of ${path.toString()} ended: ${error.message}` });
      this.#commit(this.#sessions.closeRoot(rootId, nowUs(), 'stop'), builder);
      store.stopRecording(recordingId, wallNowUs());
      return;
    }
    const filter = new ClientFilter(clients);
    root.begin(
      { rootId, recordingId, clients: filter, label, startedUs },
      store.knownFiles(rootId),
    );
    this.#adopt(root);
    this.#commit([], builder);
    onNotice({ level: 'info', text: `recording of ${path.toString()} goes on` });
  }

  async #open(root: RootRecording): Promise<void> {
    root.open();
    let watched = false;
    try {
      // Watched before it is walked: what changes meanwhile is seen by one or the other.
      this.#sensors.watch(root.path);
      watched = true;
      await root.rewalk();
    } catch (error) {
      if (watched) this.#sensors.unwatch(root.path);
      root.close();
      throw error;
    }
  }

  #adopt(root: RootRecording): void {
    this.#roots.set(root.options.rootId, root);
    this.#exports.refresh();
    this.#exports.applyTo(root);
  }

  #drop(root: RootRecording): void {
    this.#roots.delete(root.options.rootId);
    this.#witnesses.forget(root);
    this.#sensors.unwatch(root.path);
    root.close();
  }

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

function describe(root: RootRecording): RecordingStatus {
  const { rootId, recordingId, label, startedUs } = root.options;
  return { rootId, recordingId, path: root.path, label, objects: root.objects, startedUs };
}

function closedIn(effects: readonly SessionEffect[]): number[] {
  return effects.flatMap((effect) => (effect.kind === 'closed' ? [effect.id] : []));
}

function noticeOfTier({ message, hint = '' }: TraceError): Notice {
  return { level: 'warn', text: `${message}; tier sole-client. ${hint}` };
}

function noticeOfLoss({ where, count, detail }: LossUpdate): Notice {
  const about = detail === undefined || detail === null ? '' : `: ${detail}`;
  return { level: 'warn', text: `loss (${where}, ${count})${about}` };
}
