/**
 * One root under recording: which of its objects have been seen, under which file ids, and which
 * names the store believes they have. Owns the handle index of the root and its upkeep.
 * Must not know sessions, clients or SQL.
 */
import { statSync } from 'node:fs';
import type { FileEvent, FileHandle } from '../common/batches.ts';
import { FAN_CREATE, FAN_MOVED_TO, FAN_ONDIR, NAME_MASK } from '../fanotify-ts/masks.ts';
import { HandleIndex, type IndexSummary } from '../fanotify-ts/handle-index.ts';
import type { ExportKey } from '../attribution/handle.ts';
import type { KnownFile, NameChange, NewFile } from '../store/types.ts';
import type { ClientFilter } from './client-filter.ts';

/** Where an initramfs or a root file system keeps the first program, relative to the root. */
const INIT_PATHS = new Set(
  ['init', 'sbin/init', 'usr/sbin/init', 'lib/systemd/systemd', 'usr/lib/systemd/systemd'].map(
    (path) => Buffer.from(path).toString('latin1'),
  ),
);

/** What the store calls this recording. */
export interface RecordingIdentity {
  readonly rootId: number;
  readonly recordingId: number;
  readonly clients: ClientFilter;
  readonly label: string | null;
  /** Wall clock, microseconds. */
  readonly startedUs: number;
}

export class RootRecording {
  /** Absolute, symlinks resolved. */
  readonly path: Buffer;
  readonly #index: HandleIndex;
  readonly #fileIdOf = new Map<number, number>();
  readonly #liveNames = new Map<number, readonly Buffer[]>();
  readonly #initFiles = new Set<number>();
  readonly #created = new Set<number>();
  #identity: RecordingIdentity | null = null;
  #summary: IndexSummary | null = null;
  #generation = 0;
  #device = -1;

  constructor(options: { readonly path: Buffer }) {
    this.path = options.path;
    this.#index = new HandleIndex({ root: options.path });
  }

  get options(): RecordingIdentity {
    if (this.#identity === null) throw new Error('begin() comes first');
    return this.#identity;
  }

  /** `st_dev` of the root's file system. */
  get device(): number {
    return this.#device;
  }

  get objects(): number {
    return this.#index.objects;
  }

  /** Opens the root directory; throws if it is none or its file system gives no handles. */
  open(): void {
    this.#index.open();
    this.#device = statSync(this.path).dev;
  }

  /** Takes its identity, and what the store already knows of the root from earlier. */
  begin(identity: RecordingIdentity, known: Iterable<KnownFile>): void {
    this.#identity = identity;
    for (const { id, handle, names } of known) {
      this.#liveNames.set(id, names);
      const object = this.#index.idOfHandle(handle);
      if (object >= 0) this.#remember(object, id, names);
    }
  }

  close(): void {
    this.#index.close();
  }

  /** @param rootHandle handle of the exported directory, when that is not this root */
  useExport({ fsidType, fsid }: ExportKey, rootHandle: FileHandle | null): void {
    if (rootHandle === null) this.#index.addExportKey({ fsidType, fsid });
    else this.#index.addExportKey({ fsidType, fsid }, rootHandle);
  }

  /** Does the hash stand for the root directory itself? */
  isRootHash(hash: number): boolean {
    return this.objectsOfHash(hash).some((object) => this.pathOf(object).length === 0);
  }

  /** The object's first name, relative to the root; empty for the root itself. */
  pathOf(object: number): Buffer {
    return this.#index.pathsOf(object)[0] ?? Buffer.from('?');
  }

  /** Objects that an NFS file-handle hash stands for: none, one, or several on a collision. */
  objectsOfHash(hash: number): number[] {
    return this.#index.idsOfHash(hash);
  }

  /** The object a file event is about, or -1 if it is not of this root. */
  objectOfEvent(event: FileEvent): number {
    if (event.object !== null) return this.#index.idOfHandle(event.object);
    if (event.parent !== null && event.name?.toString('latin1') === '.')
      return this.#index.idOfHandle(event.parent);
    return -1;
  }

  /**
   * The object of an event that {@link objectOfEvent} does not know, after another look at its
   * directory: -1 if it is not of this root or has gone, null if its directory can't be listed now.
   */
  seek({ object, parent }: FileEvent): number | null {
    if (object === null || parent === null) return -1;
    const directory = this.#index.idOfHandle(parent);
    if (directory < 0 || this.#index.isGone(directory)) return -1;
    if (!this.#index.refreshDirectory(parent)) return this.#index.isGone(directory) ? -1 : null;
    return this.#index.idOfHandle(object);
  }

  isDirectory(object: number): boolean {
    return this.#index.isDirectory(object);
  }

  /** Does this directory have this name now? */
  hasChild(directory: number, name: Buffer): boolean {
    return this.#index.childOf(directory, name) >= 0;
  }

  isInit(object: number): boolean {
    return this.#initFiles.has(object);
  }

  /** Did an NFS client create this object while the recording ran? */
  isCreated(object: number): boolean {
    return this.#created.has(object);
  }

  /** Brings the index up to date with creations, deletions and renames that were seen. */
  followNames(events: readonly FileEvent[]): void {
    const changed = new Map<string, FileEvent>();
    for (const event of events) {
      if ((event.mask & NAME_MASK) === 0 || event.parent === null || event.name === null) continue;
      if (this.#index.idOfHandle(event.parent) < 0) continue;
      const { parent, name, object } = event;
      if (object !== null && (event.mask & (FAN_CREATE | FAN_MOVED_TO)) !== 0) {
        // A new name of something known is a hard link, not a new object.
        const isNew = this.#index.idOfHandle(object) < 0;
        this.#index.learn({ parent, name, object, directory: (event.mask & FAN_ONDIR) !== 0 });
        if (isNew && (event.mask & FAN_CREATE) !== 0 && event.pidClass !== 'other')
          this.#created.add(this.#index.idOfHandle(object));
      }
      changed.set(`${parent.type}:${parent.bytes.toString('latin1')}`, event);
    }
    // The directory as it is now settles in which order creations and deletions came.
    for (const { parent } of changed.values())
      if (parent !== null) this.#index.refreshDirectory(parent);
  }

  /** Walks the whole root: at first, and for a handle that nothing has announced. */
  async rewalk(): Promise<void> {
    this.#summary = await this.#index.walk();
  }

  /** What the last walk found, and what it could not look at. */
  get summary(): IndexSummary | null {
    return this.#summary;
  }

  /** The file id of an object; a first sight gives it one and adds its row to `files`. */
  fileOf(object: number, nextId: () => number, files: NewFile[]): number {
    const known = this.#fileIdOf.get(object);
    if (known !== undefined) return known;
    const id = nextId();
    const names = this.#index.pathsOf(object);
    const stat = this.#index.statOf(object);
    files.push({
      id,
      rootId: this.options.rootId,
      handle: this.#index.handleOf(object),
      dev: stat?.dev ?? 0,
      inode: BigInt(stat?.inode ?? 0),
      mode: stat?.mode ?? (this.#index.isDirectory(object) ? 0o040000 : 0),
      uid: stat?.uid ?? 0,
      gid: stat?.gid ?? 0,
      size: stat?.size ?? 0,
      mtimeNs: stat?.mtimeNs ?? 0n,
      nlink: stat?.nlink ?? 0,
      names,
    });
    this.#liveNames.set(id, names);
    this.#remember(object, id, names);
    return id;
  }

  /** Names of already known files that appeared or went since the last call. */
  nameChanges(): NameChange[] {
    const generation = this.#index.namesGeneration;
    if (generation === this.#generation) return [];
    this.#generation = generation;
    const objectOf = new Map([...this.#fileIdOf].map(([object, file]) => [file, object]));
    const changes: NameChange[] = [];
    for (const [fileId, before] of this.#liveNames) {
      const object = objectOf.get(fileId);
      const gone = object === undefined || this.#index.isGone(object);
      const now = gone ? [] : this.#index.pathsOf(object);
      for (const path of now)
        if (!before.some((other) => other.equals(path)))
          changes.push({ fileId, path, change: 'added' });
      for (const path of before)
        if (!now.some((other) => other.equals(path)))
          changes.push({ fileId, path, change: 'removed' });
      this.#liveNames.set(fileId, now);
    }
    return changes;
  }

  #remember(object: number, id: number, names: readonly Buffer[]): void {
    this.#fileIdOf.set(object, id);
    if (names.some((name) => INIT_PATHS.has(name.toString('latin1')))) this.#initFiles.add(object);
  }
}
