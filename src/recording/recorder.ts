/**
 * Which roots are recorded: begins, resumes and ends recordings, one request at a time.
 * Owns the sensors, the roots and the pipe between them and the store. Must not know HTTP, the
 * command line or images.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { TraceError } from '../common/errors.ts';
import {
  absenceOf,
  AbsentRoots,
  beginningOf,
  growthOf,
  remountOf,
  type AbsentRoot,
} from './absent-roots.ts';
import { BatchBuilder } from './batch-builder.ts';
import { ClientFilter } from './client-filter.ts';
import { nowUs } from './clock.ts';
import { ExportTable } from './export-table.ts';
import { Pipe } from './pipe.ts';
import { RootRecording } from './root-recording.ts';
import { walksUnderWay } from './volumes.ts';
import {
  closedIn,
  describe,
  describeAbsent,
  noticeOfTier,
  type RecorderOptions,
  type RecorderStatus,
  type RecordingStatus,
  type StartRequest,
  type StoppedRecording,
} from './recorder-types.ts';
import { Sensors, type SensorSet } from './sensors.ts';
import { Turns } from './turns.ts';

export type * from './recorder-types.ts';

/** At the end the sensors get this long to hand over what they have. */
const LAST_SYNC_MS = 1500;

/**
 * How long the answer to a start waits for the root's listing, so that most answers tell what it
 * could not take in. 100,000 files take longer; find(1) needs more than this for them.
 */
const FIRST_WORD_MS = 30;

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #roots = new Map<number, RootRecording>();
  readonly #absent = new AbsentRoots();
  readonly #sensors: SensorSet;
  readonly #exports: ExportTable;
  readonly #pipe: Pipe;
  readonly #turns = new Turns();
  /** When every root was last seen in its place, monotonic. */
  #placedUs = nowUs();

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#sensors = options.replay?.sensors ?? new Sensors(options);
    this.#exports = new ExportTable({
      roots: this.#roots,
      reader: options.replay?.exports,
      onRefused: (mount, { message }) => {
        options.onNotice({ level: 'warn', text: `${mount.at.toString()}: ${message}` });
      },
    });
    this.#pipe = new Pipe({
      ...options,
      sensors: this.#sensors,
      roots: this.#roots,
      exports: this.#exports,
      growing: () => this.#absent.growing(),
    });
  }

  /** Starts the sensors and resumes every recording that the store says was running. */
  async start(): Promise<void> {
    const { store, onNotice } = this.#options;
    const { toMonotonic } = this.#pipe.wall;
    this.#sensors.start();
    const { untraced } = this.#sensors.status();
    if (untraced !== null) onNotice(noticeOfTier(untraced));
    try {
      await this.#turns.take(async () => {
        // Read once: the first root's gap is a commit of its own.
        const lastUs = store.lastIngestUs();
        for (const recording of store.activeRecordings()) {
          const startedUs = toMonotonic(recording.startedUs);
          const fromUs = Math.max(toMonotonic(lastUs ?? 0), startedUs);
          await this.#resume({ recording, startedUs, fromUs, toldUs: null, why: '' });
        }
      });
    } catch (error) {
      await this.#sensors.stop();
      throw error;
    }
  }

  /**
   * Begins to record a root; answers when events are really being taken. The root's listing goes on
   * after that unless it is quick; everything else that is asked meanwhile waits for its end.
   */
  startRoot(request: StartRequest): Promise<RecordingStatus> {
    return new Promise((resolve, reject) => {
      this.#turns
        .take(async () => {
          const root = this.#begin(request);
          const walk = this.#walk(root);
          await Promise.race([walk, delay(FIRST_WORD_MS)]);
          resolve(this.#describe(root));
          await walk;
        })
        .catch(reject);
    });
  }

  #begin(request: StartRequest): RootRecording {
    const { store } = this.#options;
    const { onLoss = 'warn' } = request;
    if (this.rootIdOf(request.path) !== undefined)
      throw new TraceError({
        code: 'already-recorded',
        message: `${request.path.toString()} is already being recorded`,
        hint: 'see `trace status`; `trace stop --root DIR` ends it',
        exit: 'busy',
      });
    const clients = new ClientFilter(request.clients);
    // Nothing is written before the root has been opened: a refused start leaves no trace.
    const root = this.#newRoot(request.path);
    root.open();
    const startedUs = nowUs();
    try {
      // A step of the clock that waits for the store would move what comes before it.
      this.#pipe.commit([]);
      const rootId = store.ensureRoot(request.path);
      const recordingId = store.startRecording({
        rootId,
        label: request.label,
        clients: [...request.clients],
        tier: this.#sensors.tier,
        onLoss,
        atUs: this.#pipe.wall.toWall(startedUs),
      });
      root.begin({ rootId, recordingId, clients, label: request.label, onLoss, startedUs }, []);
    } catch (error) {
      root.close();
      throw error;
    }
    this.#roots.set(root.options.rootId, root);
    this.#pipe.sessions.openRoot(root.options.rootId, nowUs());
    return root;
  }

  /**
   * Lists a root for the first time, with what is mounted below it and exported. Events wait in the
   * sensors: flushes wait for this.
   */
  async #walk(root: RootRecording): Promise<void> {
    await this.#exports.refresh({ always: true });
    root.recall(this.#options.store.knownFiles(root.options.rootId));
    if (this.#options.tap !== undefined) root.record(this.#options.tap, 'begin');
  }

  /** A root once its listing has ended; none if it is not recorded. */
  walked(rootId: number): Promise<RecordingStatus[]> {
    return this.#turns.take(() => {
      const root = this.#roots.get(rootId);
      return Promise.resolve(root === undefined ? [] : [this.#describe(root)]);
    });
  }

  /** Ends the recording of one root after draining every queue; null if it is not recorded. */
  stopRoot(rootId: number): Promise<StoppedRecording | null> {
    return this.#turns.take(async () => {
      await this.#pipe.flush(true);
      const { store } = this.#options;
      const root = this.#roots.get(rootId);
      const absent = this.#absent.get(rootId);
      const identity = root?.options ?? absent?.recording;
      if (identity === undefined) return null;
      const recordingId = root?.options.recordingId ?? absent?.recording.id ?? 0;
      const effects = this.#pipe.sessions.closeRoot(rootId, nowUs(), 'stop');
      const builder = new BatchBuilder();
      const { wall } = this.#pipe;
      if (absent !== undefined) builder.grown.push(...growthOf(absent));
      await this.#pipe.commitLast(effects, builder);
      store.stopRecording(recordingId, wall.nowUs);
      if (root !== undefined) this.#drop(root);
      this.#absent.delete(rootId);
      return {
        recordingId,
        sessions: closedIn(effects),
        onLoss: identity.onLoss,
        losses: store.lossesOfRecording(recordingId),
      };
    });
  }

  /** Takes what the sensors have and commits it; looks after roots that come and go. */
  flush(): Promise<void> {
    return this.#turns.take(async () => {
      await this.#followRoots();
      await this.#pipe.flush(false);
      if (this.#options.tap !== undefined) this.#exports.record(this.#options.tap);
    });
  }

  /** Resolves when both sensors have proven that their threads read; rejects if one does not. */
  probe(withinMs: number): Promise<void> {
    return this.#sensors.sync(withinMs);
  }

  /** How long the work under way has taken; walks of a root, which may be large, left out. */
  get busyMs(): number {
    return walksUnderWay() > 0 ? 0 : this.#turns.busyUs / 1000;
  }

  /** Takes over what may change while recording runs. */
  reconfigure(options: Parameters<Pipe['reconfigure']>[0]): void {
    this.#pipe.reconfigure(options);
  }

  /** Closes a client's sessions by hand; its next access opens a new one. Gives their ids. */
  beginSession(client: string, rootId: number | null): Promise<number[]> {
    return this.#turns.take(async () => {
      await this.#pipe.flush(true);
      const effects = this.#pipe.sessions.begin(client, rootId, nowUs());
      this.#pipe.commit(effects);
      return closedIn(effects);
    });
  }

  /** A named moment in every open session; flushes first, so that it lies after what was seen. */
  mark(text: string): Promise<number[]> {
    return this.#turns.take(async () => {
      await this.#pipe.flush(true);
      return this.#options.store.addMark({ text, atUs: this.#pipe.wall.nowUs });
    });
  }

  status(): RecorderStatus {
    return {
      ...this.#sensors.status(),
      recordings: [
        ...[...this.#roots.values()].map((root) => this.#describe(root)),
        ...this.#absent.all().map((absent) => describeAbsent(absent, this.#pipe.wall.toWall)),
      ],
      unresolved: this.#pipe.unresolved,
      outside: this.#pipe.outside,
      lastCommitUs: this.#pipe.lastCommitUs,
      failure: this.#pipe.failure,
      uncommitted: this.#pipe.uncommitted,
      open: this.#pipe.sessions.open,
      drops: this.#pipe.sessions.drops,
    };
  }

  #describe(root: RootRecording): RecordingStatus {
    return describe(root, this.#pipe.wall.toWall);
  }

  rootIdOf(path: Buffer): number | undefined {
    const root = [...this.#roots.values()].find((one) => one.path.equals(path));
    const absent = this.#absent.all().find(({ recording }) => recording.root.equals(path));
    return root?.options.rootId ?? absent?.recording.rootId;
  }

  /**
   * Last flush, then the sensors stop. Recordings stay active in the store and resume later.
   * @param options.withinMs for how long a store that refuses is asked again
   */
  stop(options: { readonly withinMs: number } = { withinMs: 0 }): Promise<void> {
    const end = nowUs() + options.withinMs * 1000;
    return this.#turns.take(async () => {
      try {
        await this.#pipe.finish(end);
      } finally {
        this.#endTap();
        for (const root of this.#roots.values()) root.close();
        this.#roots.clear();
        this.#exports.close();
        await this.#sensors.stop(LAST_SYNC_MS);
      }
    });
  }

  #endTap(): void {
    const { tap } = this.#options;
    if (tap === undefined) return;
    this.#exports.record(tap);
    this.#exports.recordOutside(tap);
    for (const root of this.#roots.values()) root.record(tap, 'end');
    tap.close();
  }

  /**
   * Goes on with a recording, or, while its root is not there, waits for it: it may be mounted
   * later than the daemon starts. The time without it is a loss.
   */
  async #resume(absent: AbsentRoot): Promise<void> {
    const { onNotice } = this.#options;
    const { recording, startedUs } = absent;
    const { toWall } = this.#pipe.wall;
    const { rootId, id: recordingId, root: path, label, clients, onLoss } = recording;
    const root = this.#newRoot(path);
    const builder = new BatchBuilder();
    try {
      root.open();
      builder.losses.push(absenceOf(absent, toWall));
      builder.grown.push(...growthOf(absent));
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      const { message: why } = error;
      if (absent.why !== why)
        onNotice({ level: 'warn', text: `recording of ${path.toString()} waits: ${why}` });
      // The gap of the daemon ends here, and the absence begins.
      if (absent.toldUs === null) this.#beginAbsence({ ...absent, toldUs: nowUs(), why });
      else this.#absent.put({ ...absent, why });
      return;
    }
    const filter = new ClientFilter(clients);
    root.begin({ rootId, recordingId, clients: filter, label, onLoss, startedUs }, []);
    this.#roots.set(rootId, root);
    await this.#walk(root);
    this.#absent.delete(rootId);
    this.#pipe.sessions.openRoot(rootId, startedUs);
    await this.#pipe.commitWithRescan([], builder, true);
    onNotice({ level: 'info', text: `recording of ${path.toString()} goes on` });
  }

  /** A root that was unmounted or replaced is let go of; one that came back is taken up again. */
  async #followRoots(): Promise<void> {
    const displaced = [...this.#roots.values()].filter((root) => !root.isInPlace());
    // What was mounted on a root, or unmounted from it, is taken in as it is: see volumes.ts.
    if (displaced.length > 0) await this.#exports.refresh();
    for (const root of displaced)
      if (root.isInPlace()) await this.#noteRemount(root.options.recordingId);
    for (const root of [...this.#roots.values()]) {
      if (root.isInPlace()) continue;
      const { rootId, startedUs } = root.options;
      const recording = this.#options.store.activeRecordings().find((one) => one.rootId === rootId);
      await this.#pipe.flush(false);
      this.#drop(root);
      if (recording === undefined) continue;
      const why = 'the directory is not where it was: unmounted, moved or replaced';
      this.#options.onNotice({
        level: 'warn',
        text: `recording of ${root.path.toString()} waits: ${why}`,
      });
      const fromUs = this.#placedUs;
      this.#beginAbsence({ recording, startedUs, fromUs, toldUs: fromUs, why });
    }
    this.#placedUs = nowUs();
    for (const absent of this.#absent.due(nowUs())) await this.#resume(absent);
  }

  async #noteRemount(recordingId: number): Promise<void> {
    const builder = new BatchBuilder();
    builder.losses.push(remountOf(recordingId, this.#placedUs, this.#pipe.wall.toWall));
    await this.#pipe.commitWithRescan([], builder, true);
  }

  /** Told when it begins: if this daemon were killed, nobody would know of it. */
  #beginAbsence(absent: AbsentRoot & { readonly toldUs: number }): void {
    const { toWall } = this.#pipe.wall;
    const builder = new BatchBuilder();
    // Nobody looked for the root before: until now it was the daemon that was away.
    if (absent.toldUs > absent.fromUs)
      builder.losses.push(absenceOf({ ...absent, toldUs: null }, toWall));
    builder.losses.push(beginningOf(absent, toWall));
    this.#absent.put(absent);
    this.#pipe.commit([], builder);
  }

  #newRoot(path: Buffer): RootRecording {
    const index = this.#options.replay?.root(path);
    return index === undefined
      ? new RootRecording({ path, watcher: this.#sensors })
      : new RootRecording({ path, index });
  }

  #drop(root: RootRecording): void {
    this.#roots.delete(root.options.rootId);
    this.#pipe.forget(root);
    root.close();
  }
}
