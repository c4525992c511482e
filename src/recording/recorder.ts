/**
 * Which roots are recorded: begins, resumes and ends recordings, one request at a time.
 * Owns the sensors, the roots and the pipe between them and the store. Must not know HTTP, the
 * command line or images.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { OpenSession, SessionDrops, SessionEffect } from '../attribution/boot-sessions.ts';
import { TraceError } from '../common/errors.ts';
import type { RecordingRow } from '../store/types.ts';
import { BatchBuilder } from './batch-builder.ts';
import { ClientFilter } from './client-filter.ts';
import { monotonicOf, nowUs, wallNowUs } from './clock.ts';
import type { Notice } from './effects.ts';
import { ExportTable, type ExportReader } from './export-table.ts';
import { Pipe, type PipeOptions } from './pipe.ts';
import { RootRecording } from './root-recording.ts';
import type { RootIndex } from './volume.ts';
import { Sensors, type SensorSet, type SensorsOptions, type SensorsStatus } from './sensors.ts';

/**
 * How long the answer to a start waits for the root's listing, so that most answers tell what it
 * could not take in. 100,000 files take longer; find(1) needs more than this for them.
 */
const FIRST_WORD_MS = 30;

export type RecorderOptions = SensorsOptions &
  Omit<PipeOptions, 'sensors' | 'roots' | 'exports'> & {
    /** Instead of this machine's kernel and trees. */
    readonly replay?: ReplayParts | undefined;
  };

/** What a replay puts in the place of the kernel. */
export interface ReplayParts {
  readonly sensors: SensorSet;
  readonly exports: ExportReader;
  readonly root: (path: Buffer) => RootIndex | undefined;
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
  /** Its first listing is under way: what clients do is taken, and gets its names afterwards. */
  readonly walking: boolean;
  readonly startedUs: number;
  /** Directories that the last walk could not list: handles from there have no name. */
  readonly unreadable: number;
  /** Mounts below the root that are not recorded. */
  readonly mountsBelow: number;
  /** Objects that share the hash of their NFS handle with another. */
  readonly collisions: number;
  /** Objects and names that there was no room for. */
  readonly refused: number;
}

export interface RecorderStatus extends SensorsStatus {
  readonly recordings: readonly RecordingStatus[];
  /** Calls whose file handle nothing explained. */
  readonly unresolved: number;
  /** Calls on exports that are not recorded. */
  readonly outside: number;
  /** Wall clock, microseconds. */
  readonly lastCommitUs: number;
  /** Why the last flush failed; null if it did not. */
  readonly failure: string | null;
  /** Flushes that the store has not taken yet. */
  readonly uncommitted: number;
  /** Sessions that are open now. */
  readonly open: readonly OpenSession[];
  /** What bounds on clients made us drop, since start. */
  readonly drops: SessionDrops;
}

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #roots = new Map<number, RootRecording>();
  readonly #sensors: SensorSet;
  readonly #exports: ExportTable;
  readonly #pipe: Pipe;
  /** One piece of work at a time; later callers wait for their turn. */
  #tail: Promise<unknown> = Promise.resolve();

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
    });
  }

  /** Starts the sensors and resumes every recording that the store says was running. */
  async start(): Promise<void> {
    const { store, onNotice } = this.#options;
    this.#sensors.start();
    const { untraced } = this.#sensors.status();
    if (untraced !== null) onNotice(noticeOfTier(untraced));
    try {
      await this.#exclusively(async () => {
        // Read once: the first root's gap is a commit of its own.
        const lastUs = store.lastIngestUs();
        for (const recording of store.activeRecordings()) await this.#resume(recording, lastUs);
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
      this.#exclusively(async () => {
        const root = this.#begin(request);
        const walk = this.#walk(root);
        await Promise.race([walk, delay(FIRST_WORD_MS)]);
        resolve(describe(root));
        await walk;
      }).catch(reject);
    });
  }

  #begin(request: StartRequest): RootRecording {
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
    const root = this.#newRoot(request.path);
    root.open();
    const startedUs = wallNowUs();
    try {
      const rootId = store.ensureRoot(request.path);
      const recordingId = store.startRecording({
        rootId,
        label: request.label,
        clients: [...request.clients],
        tier: this.#sensors.tier,
        atUs: startedUs,
      });
      root.begin({ rootId, recordingId, clients, label: request.label, startedUs }, []);
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
    return this.#exclusively(() => {
      const root = this.#roots.get(rootId);
      return Promise.resolve(root === undefined ? [] : [describe(root)]);
    });
  }

  /** Ends the recording of one root after draining every queue; the sessions that this ended. */
  stopRoot(rootId: number): Promise<number[]> {
    return this.#exclusively(async () => {
      await this.#pipe.flush(true);
      const root = this.#roots.get(rootId);
      if (root === undefined) return [];
      const effects = this.#pipe.sessions.closeRoot(rootId, nowUs(), 'stop');
      this.#pipe.commit(effects);
      this.#options.store.stopRecording(root.options.recordingId, wallNowUs());
      this.#drop(root);
      return closedIn(effects);
    });
  }

  /** Takes what the sensors have and commits it. */
  flush(): Promise<void> {
    return this.#exclusively(async () => {
      await this.#pipe.flush(false);
      if (this.#options.tap !== undefined) this.#exports.record(this.#options.tap);
    });
  }

  /** Closes a client's sessions by hand; its next access opens a new one. Gives their ids. */
  beginSession(client: string, rootId: number | null): Promise<number[]> {
    return this.#exclusively(async () => {
      await this.#pipe.flush(true);
      const effects = this.#pipe.sessions.begin(client, rootId, nowUs());
      this.#pipe.commit(effects);
      return closedIn(effects);
    });
  }

  /** A named moment in every open session; flushes first, so that it lies after what was seen. */
  mark(text: string): Promise<number[]> {
    return this.#exclusively(async () => {
      await this.#pipe.flush(true);
      return this.#options.store.addMark({ text, atUs: wallNowUs() });
    });
  }

  status(): RecorderStatus {
    return {
      ...this.#sensors.status(),
      recordings: [...this.#roots.values()].map(describe),
      unresolved: this.#pipe.unresolved,
      outside: this.#pipe.outside,
      lastCommitUs: this.#pipe.lastCommitUs,
      failure: this.#pipe.failure,
      uncommitted: this.#pipe.uncommitted,
      open: this.#pipe.sessions.open,
      drops: this.#pipe.sessions.drops,
    };
  }

  rootIdOf(path: Buffer): number | undefined {
    return [...this.#roots.values()].find((root) => root.path.equals(path))?.options.rootId;
  }

  /** Last flush, then the sensors stop. Recordings stay active in the store and resume later. */
  stop(): Promise<void> {
    return this.#exclusively(async () => {
      try {
        await this.#pipe.flush(true);
      } finally {
        this.#endTap();
        for (const root of this.#roots.values()) root.close();
        this.#roots.clear();
        this.#exports.close();
        await this.#sensors.stop();
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

  /** @param lastUs when the daemon before this one committed last */
  async #resume(recording: RecordingRow, lastUs: number | null): Promise<void> {
    const { store, onNotice } = this.#options;
    const { rootId, id: recordingId, root: path, label, clients, startedUs } = recording;
    /** The time without a daemon, up to now, as a loss. */
    const gap = (): BatchBuilder => {
      const builder = new BatchBuilder();
      builder.losses.push({
        recordingId,
        sessionId: null,
        fromUs: Math.max(lastUs ?? 0, startedUs),
        toUs: wallNowUs(),
        where: 'daemon-restart',
        count: 1,
        detail: 'no daemon was running; what clients did meanwhile is not known',
      });
      return builder;
    };
    const root = this.#newRoot(path);
    try {
      root.open();
    } catch (error) {
      // A root that is gone now must not keep the others from being recorded.
      if (!(error instanceof TraceError)) throw error;
      onNotice({ level: 'warn', text: `recording of ${path.toString()} ended: ${error.message}` });
      this.#pipe.commit(this.#pipe.sessions.closeRoot(rootId, nowUs(), 'stop'), gap());
      store.stopRecording(recordingId, wallNowUs());
      return;
    }
    const filter = new ClientFilter(clients);
    root.begin({ rootId, recordingId, clients: filter, label, startedUs }, []);
    this.#roots.set(rootId, root);
    await this.#walk(root);
    this.#roots.set(rootId, root);
    this.#pipe.sessions.openRoot(rootId, monotonicOf()(startedUs));
    this.#pipe.commit([], gap());
    onNotice({ level: 'info', text: `recording of ${path.toString()} goes on` });
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

  #exclusively<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work);
    this.#tail = result.catch(() => undefined);
    return result;
  }
}

function describe(root: RootRecording): RecordingStatus {
  const { rootId, recordingId, label, startedUs } = root.options;
  return {
    rootId,
    recordingId,
    path: root.path,
    label,
    objects: root.objects,
    walking: root.summary === null,
    startedUs,
    unreadable: root.summary?.unreadable ?? 0,
    mountsBelow: root.mountsBelow,
    collisions: root.summary?.collisions ?? 0,
    refused: root.refused,
  };
}

function closedIn(effects: readonly SessionEffect[]): number[] {
  return effects.flatMap((effect) => (effect.kind === 'closed' ? [effect.id] : []));
}

function noticeOfTier({ message, hint = '' }: TraceError): Notice {
  return { level: 'warn', text: `${message}; tier sole-client. ${hint}` };
}
