/**
 * One root under recording: which of its objects have been seen, under which file ids, and which
 * names the store believes they have. Owns the handle index of the root and its upkeep.
 * Must not know sessions, clients or SQL.
 */
import { statSync } from 'node:fs';
import type { BatchTap } from '../capture/batch-tap.ts';
import type { FileEvent, FileHandle } from '../common/batches.ts';
import { FAN_CREATE, FAN_MOVED_TO, FAN_ONDIR, NAME_MASK } from '../fanotify-ts/masks.ts';
import { HandleIndex, type IndexSummary, type ObjectStat } from '../fanotify-ts/handle-index.ts';
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

/** What a recording needs of an index: the real one, or one that is replayed. */
export type RootIndex = Pick<
  HandleIndex,
  | 'open'
  | 'close'
  | 'walk'
  | 'addExportKey'
  | 'idsOfHash'
  | 'idOfHandle'
  | 'handleOf'
  | 'pathsOf'
  | 'isGone'
  | 'childOf'
  | 'isDirectory'
  | 'isLate'
  | 'statOf'
  | 'learn'
  | 'refreshDirectory'
  | 'refreshNames'
  | 'takeChanged'
  | 'prune'
  | 'growth'
  | 'objects'
>;

/** A tree that was recorded elsewhere. */
export interface ReplayedRoot {
  readonly index: RootIndex;
  /** `st_dev` there. */
  readonly device: number;
}

/** The index' number of the root itself. */
const ROOT_OBJECT = 0;
/** Between the names of one file; no name has it. */
const NUL = '\0';

/** Names as one string: arrays of Buffers cost five times as much memory. */
function packed(names: readonly Buffer[]): string {
  return names.map((name) => name.toString('latin1')).join(NUL);
}

function unpacked(names: string): string[] {
  return names === '' ? [] : names.split(NUL);
}

export class RootRecording {
  /** Absolute, symlinks resolved. */
  readonly path: Buffer;
  readonly #index: RootIndex;
  readonly #fileIdOf = new Map<number, number>();
  /** Object → the names that the store has, packed. The root's own name is not among them. */
  readonly #liveNames = new Map<number, string>();
  readonly #initFiles = new Set<number>();
  readonly #created = new Set<number>();
  /** Names in the store of files that the root does not have any more. */
  #lost: NameChange[] = [];
  /** Objects that were gone already when they were first seen in use. */
  #goneAtSight: number[] = [];
  /** Directories that were listed for an event since the last {@link followNames}. */
  readonly #sought = new Set<string>();
  #identity: RecordingIdentity | null = null;
  #summary: IndexSummary | null = null;
  readonly #replayedDevice: number | undefined;
  #device = -1;
  #leftOut = 0;

  /** @param options.replayed instead of an index that looks at the tree itself */
  constructor(options: { readonly path: Buffer; readonly replayed?: ReplayedRoot }) {
    this.path = options.path;
    this.#index = options.replayed?.index ?? new HandleIndex({ root: options.path });
    this.#replayedDevice = options.replayed?.device;
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
    return this.#index.growth().objects;
  }

  /** Objects and names that the index had no room for. */
  get refused(): number {
    return this.#index.growth().refused;
  }

  /** Opens the root directory; throws if it is none or its file system gives no handles. */
  open(): void {
    this.#index.open();
    this.#device = this.#replayedDevice ?? statSync(this.path).dev;
  }

  /** For a recording of batches: the tree as it is known now. */
  record(tap: BatchTap, moment: 'begin' | 'end'): void {
    tap.tree({ moment, path: this.path, device: this.#device }, this.#index);
  }

  /** Takes its identity, and what the store already knows of the root from earlier. */
  begin(identity: RecordingIdentity, known: Iterable<KnownFile>): void {
    this.#identity = identity;
    this.recall(known);
  }

  /** Files that the store knows from earlier; the root must have been walked. */
  recall(known: Iterable<KnownFile>): void {
    for (const { id, handle, names } of known) {
      const object = this.#index.idOfHandle(handle);
      if (object >= 0) this.#remember(object, id, names);
      else for (const path of names) this.#lost.push({ fileId: id, path, change: 'removed' });
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
    return this.objectsOfHash(hash).includes(ROOT_OBJECT);
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
  seek({ object, parent, name }: FileEvent): number | null {
    if (object === null || parent === null) return -1;
    const directory = this.#index.idOfHandle(parent);
    if (directory < 0 || this.#index.isGone(directory)) return -1;
    let listed = name !== null && this.#index.refreshNames(parent, [name]);
    const found = this.#index.idOfHandle(object);
    if (found >= 0) return found;
    // Under another name by now. Once a flush: clients decide how large a directory is.
    if (!this.#sought.has(keyOf(parent))) {
      listed = this.#index.refreshDirectory(parent);
      if (listed) this.#sought.add(keyOf(parent));
    }
    if (!listed) return this.#index.isGone(directory) ? -1 : null;
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
    this.#sought.clear();
    const changed = new Map<string, { parent: FileHandle; names: Map<string, Buffer> }>();
    for (const event of events) {
      if ((event.mask & NAME_MASK) === 0 || event.parent === null || event.name === null) continue;
      if (this.#index.idOfHandle(event.parent) < 0) continue;
      const { parent, name, object } = event;
      if (object !== null && (event.mask & (FAN_CREATE | FAN_MOVED_TO)) !== 0) {
        const isNew = this.#index.idOfHandle(object) < 0;
        this.#index.learn({ parent, name, object, directory: (event.mask & FAN_ONDIR) !== 0 });
        if ((event.mask & FAN_CREATE) !== 0 && event.pidClass !== 'other')
          this.#noteCreation(this.#index.idOfHandle(object), isNew);
      }
      const key = keyOf(parent);
      let directory = changed.get(key);
      if (directory === undefined)
        changed.set(key, (directory = { parent, names: new Map<string, Buffer>() }));
      directory.names.set(name.toString('latin1'), name);
    }
    // The names as they are now settle in which order creations and deletions came. Not a listing:
    // a client that makes files in a directory of 100,000 would have it listed at each flush.
    for (const { parent, names } of changed.values())
      this.#index.refreshNames(parent, [...names.values()]);
  }

  /** An NFS client gave an object a name: the first one, or one more of something older? */
  #noteCreation(object: number, isNew: boolean): void {
    if (object < 0 || this.#created.has(object)) return;
    if (!isNew) {
      const stat = this.#index.statOf(object);
      if (!this.#index.isLate(object) && !this.#isBornSince(stat)) return;
      if (stat !== null && stat.nlink > 1 && !this.#index.isDirectory(object)) return;
    }
    this.#created.add(object);
  }

  /** Made while the first walk was under way, which then knew it before its event did. */
  #isBornSince(stat: ObjectStat | null): boolean {
    return stat !== null && stat.birthNs >= BigInt(this.options.startedUs) * 1000n;
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
    this.#remember(object, id, names);
    // Its last names do not hold any more, and no later change would say so.
    if (this.#index.isGone(object)) this.#goneAtSight.push(object);
    return id;
  }

  /** Names of already known files that appeared or went since the last call. */
  nameChanges(): NameChange[] {
    const changes = this.#lost;
    this.#lost = [];
    const changed = [...this.#goneAtSight, ...this.#index.takeChanged()];
    this.#goneAtSight = [];
    for (const object of changed) {
      const fileId = this.#fileIdOf.get(object);
      if (fileId === undefined) continue;
      const before = this.#liveNames.get(object) ?? '';
      const now = this.#index.isGone(object) ? '' : packed(this.#index.pathsOf(object));
      if (now === before) continue;
      const [had, has] = [new Set(unpacked(before)), new Set(unpacked(now))];
      for (const name of has)
        if (!had.has(name))
          changes.push({ fileId, path: Buffer.from(name, 'latin1'), change: 'added' });
      for (const name of had)
        if (!has.has(name))
          changes.push({ fileId, path: Buffer.from(name, 'latin1'), change: 'removed' });
      this.#liveNames.set(object, now);
    }
    for (const object of this.#index.prune()) this.#forget(object);
    return changes;
  }

  /** Objects and names that there was no room for, or that were too long, since the last call. */
  takeLeftOut(): number {
    const { refused, leftOut } = this.#index.growth();
    const before = this.#leftOut;
    this.#leftOut = refused + leftOut;
    return this.#leftOut - before;
  }

  #remember(object: number, id: number, names: readonly Buffer[]): void {
    this.#fileIdOf.set(object, id);
    this.#liveNames.set(object, packed(names));
    if (names.some((name) => INIT_PATHS.has(name.toString('latin1')))) this.#initFiles.add(object);
  }

  #forget(object: number): void {
    this.#fileIdOf.delete(object);
    this.#liveNames.delete(object);
    this.#initFiles.delete(object);
    this.#created.delete(object);
  }
}

function keyOf({ type, bytes }: FileHandle): string {
  return `${type}:${bytes.toString('latin1')}`;
}
