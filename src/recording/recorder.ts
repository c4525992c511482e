/**
 * Which roots are recorded: begins, resumes and ends recordings, one request at a time.
 * Owns the sensors, the roots and the pipe between them and the store. Must not know HTTP, the
 * command line or images.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { TraceError } from '../common/errors.ts';
import { BatchBuilder } from './batch-builder.ts';
import { growthOf } from './absent-roots.ts';
import { ClientFilter } from './client-filter.ts';
import { nowUs } from './clock.ts';
import { ExportTable } from './export-table.ts';
import { knownFilesOf } from './file-numbers.ts';
import { endLeftOpen, GivenSessions } from './given-sessions.ts';
import { Pipe } from './pipe.ts';
import { RootPlaces, type Resumed } from './root-places.ts';
import { RootRecording } from './root-recording.ts';
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
import { withoutWalkSince } from './walks.ts';

export type * from './recorder-types.ts';

/** At the end the sensors get this long to hand over what they have. */
const LAST_SYNC_MS = 1500;

/**
 * How long the answer to a start waits for the root's listing, so that most answers tell what it
 * could not take in: of up to some 5,000 files. find(1) takes 54 ms for 100,000 (warm caches), and the
 * command's own start as much.
 */
const FIRST_WORD_MS = 10;

export class Recorder {
  /** Sessions that somebody gives. */
  readonly given: GivenSessions;
  readonly #options: RecorderOptions;
  readonly #roots = new Map<number, RootRecording>();
  readonly #sensors: SensorSet;
  readonly #exports: ExportTable;
  readonly #pipe: Pipe;
  readonly #places: RootPlaces;
  readonly #turns = new Turns();
  /** Is what was resumed at the start being listed? Nothing was committed yet. */
  #listing = false;
  #ended = false;

  constructor(options: RecorderOptions) {
    this.#options = options;
    endLeftOpen(options.store);
    this.#sensors = options.replay?.sensors ?? new Sensors(options);
    this.#exports = new ExportTable({
      roots: this.#roots,
      reader: options.replay?.exports,
      onRefused: (mount, { message, hint }) => {
        const text = `${mount.at.toString()}: ${message}${hint === undefined ? '' : `; ${hint}`}`;
        options.onNotice({ level: 'warn', text });
      },
    });
    this.#pipe = new Pipe({
      ...options,
      sensors: this.#sensors,
      roots: this.#roots,
      exports: this.#exports,
      growing: () => this.#places.absent.growing(),
    });
    this.given = new GivenSessions({
      store: options.store,
      pipe: this.#pipe,
      roots: this.#roots,
      turn: (work) => this.#turns.take(work),
    });
    this.#places = new RootPlaces({
      store: options.store,
      onNotice: options.onNotice,
      roots: this.#roots,
      exports: this.#exports,
      pipe: this.#pipe,
      open: (path) => {
        const root = this.#newRoot(path);
        root.open();
        return root;
      },
      drop: (root) => this.#drop(root),
      walk: (roots) => this.#walk(roots),
    });
  }

  /**
   * Starts the sensors and resumes every recording that the store says was running: from then on
   * each is taken, or known to be absent. Their listings go on after that; everything else that is
   * asked meanwhile waits for their end.
   */
  async start(): Promise<void> {
    const { onNotice } = this.#options;
    this.#sensors.start();
    const { untraced } = this.#sensors.status();
    if (untraced !== null) onNotice(noticeOfTier(untraced));
    let resumed: Resumed;
    try {
      resumed = this.#places.resumeAll();
    } catch (error) {
      await this.#sensors.stop();
      throw error;
    }
    // One commit for all: a daemon that is killed before finds the whole gap again.
    this.#listing = true;
    const listed = (): boolean => {
      const wanted = this.#listing;
      this.#listing = false;
      return wanted;
    };
    void this.#turns
      .take(() => this.#places.goOn(resumed, listed))
      .catch((error: unknown) => {
        onNotice({ level: 'warn', text: `recordings go on, but: ${(error as Error).message}` });
      });
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
          const walk = this.#walk([root]);
          try {
            await Promise.race([walk, delay(FIRST_WORD_MS)]);
          } catch (error) {
            this.#abandon(root);
            throw error;
          }
          resolve(this.#describe(root));
          await this.#places.orLater(walk);
        })
        .catch(reject);
    });
  }

  #begin(request: StartRequest): RootRecording {
    const { store } = this.#options;
    const { onLoss = 'warn', keepContent = false } = request;
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
        keepContent,
        atUs: this.#pipe.wall.toWall(startedUs),
      });
      const { label } = request;
      const identity = { rootId, recordingId, clients, label, onLoss, startedUs };
      root.begin(identity, knownFilesOf(store, rootId));
    } catch (error) {
      root.close();
      throw error;
    }
    this.#roots.set(root.options.rootId, root);
    this.#pipe.sessions.openRoot(root.options.rootId, nowUs());
    return root;
  }

  /** A start that failed on the way to its answer: whoever asked is told, and nothing is recorded. */
  #abandon(root: RootRecording): void {
    const { rootId, recordingId } = root.options;
    this.#options.store.stopRecording(recordingId, this.#pipe.wall.nowUs);
    this.#drop(root);
    this.#pipe.commit(this.#pipe.sessions.closeRoot(rootId, nowUs(), 'stop'));
  }

  /**
   * Lists roots for the first time, with what is mounted below them and exported. Events wait in the
   * sensors: flushes wait for this.
   */
  async #walk(roots: readonly RootRecording[]): Promise<void> {
    await this.#exports.refresh({ always: true });
    const { tap } = this.#options;
    if (tap !== undefined) for (const root of roots) root.record(tap, 'begin');
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
      await this.#flush(true);
      const { store } = this.#options;
      const root = this.#roots.get(rootId);
      const absent = this.#places.absent.get(rootId);
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
      this.#places.absent.delete(rootId);
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
      if (this.#ended) return;
      await this.#places.follow();
      try {
        await this.#flush(false);
        this.given.stopEnded();
      } finally {
        for (const root of this.#roots.values()) root.letGo();
      }
      if (this.#options.tap !== undefined) this.#exports.record(this.#options.tap);
    });
  }

  /** Resolves when both sensors have proven that their threads read; rejects if one does not. */
  probe(withinMs: number): Promise<void> {
    return this.#sensors.sync(withinMs);
  }

  /** For how long the work under way has not ended; walks, which may be long, are left out. */
  get busyMs(): number {
    return this.#turns.busyUs(withoutWalkSince) / 1000;
  }

  /** Takes over what may change while recording runs. */
  reconfigure(options: Parameters<Pipe['reconfigure']>[0]): void {
    this.#pipe.reconfigure(options);
  }

  /** Closes a client's sessions by hand; its next access opens a new one. Gives their ids. */
  beginSession(client: string, rootId: number | null): Promise<number[]> {
    return this.#turns.take(async () => {
      await this.#flush(true);
      const effects = this.#pipe.sessions.begin(client, rootId, nowUs());
      this.#pipe.commit(effects);
      return closedIn(effects);
    });
  }

  /** A named moment in every open session; flushes first, so that it lies after what was seen. */
  mark(text: string): Promise<number[]> {
    return this.#turns.take(async () => {
      await this.#flush(true);
      return this.#options.store.addMark({ text, atUs: this.#pipe.wall.nowUs });
    });
  }

  status(): RecorderStatus {
    return {
      ...this.#sensors.status(),
      recordings: [
        ...[...this.#roots.values()].map((root) => this.#describe(root)),
        ...this.#places.absent.all().map((one) => describeAbsent(one, this.#pipe.wall.toWall)),
      ],
      unresolved: this.#pipe.unresolved,
      outside: this.#pipe.outside,
      lastCommitUs: this.#pipe.lastCommitUs,
      failure: this.#pipe.failure,
      uncommitted: this.#pipe.uncommitted,
      open: [...this.#pipe.sessions.open, ...this.given.open],
      drops: this.#pipe.sessions.drops,
    };
  }

  #describe(root: RootRecording): RecordingStatus {
    return describe(root, this.#pipe.wall.toWall);
  }

  rootIdOf(path: Buffer): number | undefined {
    const root = [...this.#roots.values()].find((one) => one.path.equals(path));
    const absent = this.#places.absent.all().find(({ recording }) => recording.root.equals(path));
    return root?.options.rootId ?? absent?.recording.rootId;
  }

  /**
   * For whoever is about to {@link stop} it: the listing of what was resumed at the start, which may
   * take minutes, ends now. Nothing is committed any more: the next start finds the same gap, and
   * what was taken since is in it.
   */
  endListing(): void {
    if (!this.#listing) return;
    this.#listing = false;
    this.#ended = true;
    for (const root of this.#roots.values()) root.close();
  }

  /**
   * Last flush, then the sensors stop. Recordings stay active in the store and resume later.
   * @param options.withinMs for how long a store that refuses is asked again
   */
  stop(options: { readonly withinMs: number } = { withinMs: 0 }): Promise<void> {
    const end = nowUs() + options.withinMs * 1000;
    this.endListing();
    return this.#turns.take(async () => {
      try {
        if (this.#ended) return;
        await this.#pipe.finish(end);
        await this.#places.noteRemounts();
      } finally {
        this.#endTap();
        for (const root of this.#roots.values()) root.close();
        this.#roots.clear();
        this.#exports.close();
        this.given.close();
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

  /** A flush notices what became of mounts; what that means for a recording is told here. */
  async #flush(whole: boolean): Promise<void> {
    if (this.#ended)
      throw new TraceError({ code: 'ending', message: 'the daemon ends', exit: 'unavailable' });
    await this.#pipe.flush(whole);
    await this.#places.noteRemounts();
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
