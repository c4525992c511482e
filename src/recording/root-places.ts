/**
 * Where recorded roots are: resumes recordings, waits for roots that are absent, looks after those
 * that were moved, unmounted or mounted again, and tells what nobody saw meanwhile.
 * Owns the roots that are absent. Must not know who asks for recordings, nor what sensors see.
 */
import { TraceError } from '../common/errors.ts';
import type { Store } from '../store/store.ts';
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
import type { Notice } from './effects.ts';
import type { ExportTable } from './export-table.ts';
import { knownFilesOf } from './file-numbers.ts';
import type { Pipe } from './pipe.ts';
import type { RootRecording } from './root-recording.ts';

export interface RootPlacesOptions {
  readonly store: Store;
  readonly onNotice: (notice: Notice) => void;
  readonly roots: Map<number, RootRecording>;
  readonly exports: ExportTable;
  readonly pipe: Pipe;
  /** Opens and watches a root; throws TraceError if it is not there. */
  readonly open: (path: Buffer) => RootRecording;
  readonly drop: (root: RootRecording) => void;
  /** Lists roots for the first time. */
  readonly walk: (roots: readonly RootRecording[]) => Promise<void>;
}

/** Recordings that are taken up again, and what was missed of them and of those that are absent. */
export interface Resumed {
  readonly roots: RootRecording[];
  readonly builder: BatchBuilder;
}

export class RootPlaces {
  readonly absent = new AbsentRoots();
  readonly #options: RootPlacesOptions;
  /** When every root was last seen in its place, monotonic. */
  #placedUs = nowUs();

  constructor(options: RootPlacesOptions) {
    this.#options = options;
  }

  /**
   * Takes up every recording that the store says was running, or knows it to be absent. Then
   * {@link goOn}: one commit for all, so that a daemon that is killed before finds the gap again.
   */
  resumeAll(): Resumed {
    const { store, pipe } = this.#options;
    const { toMonotonic } = pipe.wall;
    const resumed: Resumed = { roots: [], builder: new BatchBuilder() };
    const lastUs = store.lastIngestUs();
    for (const recording of store.activeRecordings()) {
      const startedUs = toMonotonic(recording.startedUs);
      const fromUs = Math.max(toMonotonic(lastUs ?? 0), startedUs);
      this.#resume({ recording, startedUs, fromUs, toldUs: null, why: '' }, resumed);
    }
    return resumed;
  }

  /**
   * Lists the roots that were taken up again, and tells what was missed.
   * @param listed called then: false if the rest is not wanted any more
   */
  async goOn({ roots, builder }: Resumed, listed: () => boolean = () => true): Promise<void> {
    if (roots.length > 0) await this.orLater(this.#options.walk(roots));
    if (!listed()) return;
    if (builder.losses.length > 0) await this.#options.pipe.commitWithRescan([], builder, true);
    for (const { path } of roots)
      this.#options.onNotice({ level: 'info', text: `recording of ${path.toString()} goes on` });
  }

  /** A root that was unmounted or replaced is let go of; one that came back is taken up again. */
  async follow(): Promise<void> {
    const displaced = [...this.#options.roots.values()].filter((root) => !root.isInPlace());
    // What was mounted on a root, or unmounted from it, is taken in as it is: see volumes.ts.
    if (displaced.length > 0) await this.#options.exports.refresh();
    await this.noteRemounts();
    for (const root of [...this.#options.roots.values()]) {
      if (root.isInPlace()) continue;
      const { recordingId, startedUs } = root.options;
      const active = this.#options.store.activeRecordings();
      const recording = active.find(({ id }) => id === recordingId);
      await this.#options.pipe.flush(false);
      this.#options.drop(root);
      if (recording === undefined) continue;
      const why = 'the directory is not where it was: unmounted, moved or replaced';
      this.#options.onNotice({
        level: 'warn',
        text: `recording of ${root.path.toString()} waits: ${why}`,
      });
      const fromUs = this.#placedUs;
      const builder = new BatchBuilder();
      this.#beginAbsence({ recording, startedUs, fromUs, toldUs: fromUs, why }, builder);
      // If this daemon were killed, nobody would know of it.
      this.#options.pipe.commit([], builder);
    }
    this.#placedUs = nowUs();
    const resumed: Resumed = { roots: [], builder: new BatchBuilder() };
    for (const absent of this.absent.due(nowUs())) this.#resume(absent, resumed);
    await this.goOn(resumed);
  }

  /** Roots that another mount has become: nobody watched them for a moment. */
  async noteRemounts(): Promise<void> {
    const builder = new BatchBuilder();
    for (const root of this.#options.roots.values()) {
      const unwatched = root.takeReplaced();
      if (unwatched === null) continue;
      const { recordingId } = root.options;
      builder.losses.push(remountOf(recordingId, unwatched, this.#options.pipe.wall.toWall));
    }
    if (builder.losses.length > 0) await this.#options.pipe.commitWithRescan([], builder, true);
  }

  /** A listing that fails of roots that are taken already: each flush tries it again. */
  async orLater(walk: Promise<void>): Promise<void> {
    try {
      await walk;
    } catch (error) {
      const text = `roots could not be listed, and will be tried again: ${(error as Error).message}`;
      this.#options.onNotice({ level: 'warn', text });
    }
  }

  /**
   * Takes up a recording again, or, while its root is not there, waits for it: it may be mounted
   * later than the daemon starts. The time without it is a loss. What is resumed must {@link goOn}.
   */
  #resume(absent: AbsentRoot, { roots, builder }: Resumed): void {
    const { recording, startedUs } = absent;
    const { rootId, id: recordingId, root: path, label, clients, onLoss } = recording;
    let root: RootRecording;
    try {
      root = this.#options.open(path);
      builder.losses.push(absenceOf(absent, this.#options.pipe.wall.toWall));
      builder.grown.push(...growthOf(absent));
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      const { message: why } = error;
      if (absent.why !== why)
        this.#options.onNotice({
          level: 'warn',
          text: `recording of ${path.toString()} waits: ${why}`,
        });
      // The gap of the daemon ends here, and the absence begins.
      if (absent.toldUs === null) this.#beginAbsence({ ...absent, toldUs: nowUs(), why }, builder);
      else this.absent.put({ ...absent, why });
      return;
    }
    const filter = new ClientFilter(clients);
    const identity = { rootId, recordingId, clients: filter, label, onLoss, startedUs };
    root.begin(identity, knownFilesOf(this.#options.store, rootId));
    this.#options.roots.set(rootId, root);
    this.absent.delete(rootId);
    this.#options.pipe.sessions.openRoot(rootId, startedUs);
    roots.push(root);
  }

  #beginAbsence(
    absent: AbsentRoot & { readonly toldUs: number },
    { losses }: Pick<BatchBuilder, 'losses'>,
  ): void {
    const { toWall } = this.#options.pipe.wall;
    // Nobody looked for the root before: until now it was the daemon that was away.
    if (absent.toldUs > absent.fromUs) losses.push(absenceOf({ ...absent, toldUs: null }, toWall));
    losses.push(beginningOf(absent, toWall));
    this.absent.put(absent);
  }
}
