/**
 * One root under recording: which of its objects have been seen, under which file ids, and which
 * names the store believes they have. Its file systems keep the objects (volumes.ts).
 * Must not know sessions, clients or SQL.
 */
import type { BatchTap } from '../capture/batch-tap.ts';
import type { FileEvent, FileHandle } from '../common/batches.ts';
import type { ExportKey } from '../attribution/handle.ts';
import type { KnownFile, NameChange, NewFile, OnLoss, RecordedMount } from '../store/types.ts';
import type { ClientFilter } from './client-filter.ts';
import { wallOffsetUs } from './clock.ts';
import type { Mount, MountTable, Place } from './mounts.ts';
import { isWithin } from './paths.ts';
import type { RootIndex, Watcher } from './volume.ts';
import { Volumes, type AccessTime, type FileIdentity, type Refused } from './volumes.ts';

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
  readonly onLoss: OnLoss;
  /** Monotonic, microseconds. */
  readonly startedUs: number;
}

/** An export as it concerns a root. */
export interface UsedExport {
  readonly key: KeyBytes;
  /** Where the exported directory is. */
  readonly place: Place;
  readonly rootHandle: FileHandle;
  /** Its handles name a file's directory too, or nobody knows whether they do. */
  readonly subtreeCheck: boolean;
}

const UNNAMED = Buffer.from('?');

/** The root directory of an export that has none here. */
const NO_HANDLE: FileHandle = { type: 0xff, bytes: Buffer.alloc(0) };

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
  readonly #volumes: Volumes;
  readonly #fileIdOf = new Map<number, number>();
  /** Object → the names that the store has, packed. The root's own name is not among them. */
  readonly #liveNames = new Map<number, string>();
  readonly #initFiles = new Set<number>();
  /** Mounts that the store knows of. */
  readonly #mounts = new Set<string>();
  /** Names in the store of files that the root does not have any more. */
  #lost: NameChange[] = [];
  /** Objects that were gone already when they were first seen in use. */
  #goneAtSight: number[] = [];
  #identity: RecordingIdentity | null = null;
  #turn = 0;
  #leftOut = 0;

  /**
   * @param options.watcher watches the root's file systems; none of them without one
   * @param options.index of the root's own file system, instead of one that looks at it
   */
  constructor(options: {
    readonly path: Buffer;
    readonly watcher?: Watcher;
    readonly index?: RootIndex;
  }) {
    const { path, watcher = null, index } = options;
    this.path = path;
    this.#volumes = new Volumes({ root: path, watcher, index });
  }

  get options(): RecordingIdentity {
    if (this.#identity === null) throw new Error('begin() comes first');
    return this.#identity;
  }

  get objects(): number {
    return this.#volumes.growth().objects;
  }

  /** Objects and names that the indexes had no room for. */
  get refused(): number {
    return this.#volumes.growth().refused;
  }

  /** Mounts below the root that are not recorded. */
  get mountsBelow(): number {
    return this.#volumes.mountsBelow;
  }

  /**
   * Opens the root directory and watches its file system; throws if it is no directory, or gives
   * no handles or events.
   */
  open(): void {
    this.#volumes.open();
  }

  /** For a recording of batches: the tree of its own file system as it is known now. */
  record(tap: BatchTap, moment: 'begin' | 'end'): void {
    const own = this.#volumes.all.find(({ prefix }) => prefix.length === 0);
    if (own !== undefined) tap.tree({ moment, path: this.path }, own.index);
  }

  /** Takes its identity, and what the store already knows of the root from earlier. */
  begin(identity: RecordingIdentity, known: Iterable<KnownFile>): void {
    this.#identity = identity;
    this.recall(known);
  }

  /** Files that the store knows from earlier; the root must have been walked. */
  recall(known: Iterable<KnownFile>): void {
    for (const { id, mount, handle, names } of known) {
      const object = this.#volumes.objectOf(mount, handle);
      if (object >= 0) this.#remember(object, id, names);
      else for (const path of names) this.#lost.push({ fileId: id, path, change: 'removed' });
    }
  }

  close(): void {
    this.#volumes.close();
  }

  /**
   * Takes in what is mounted below the root now; see {@link walkNew}.
   * @param wanted is this mount to be recorded?
   * @param refused hears why one cannot be
   * @returns whether anything changed
   */
  followMounts(mounts: MountTable, wanted: (mount: Mount) => boolean, refused: Refused): boolean {
    return this.#volumes.follow(mounts, wanted, refused);
  }

  /** Walks the file systems that have not been: the root's own, and those that came. */
  walkNew(refused: Refused): Promise<void> {
    return this.#volumes.walkNew(refused);
  }

  /** Is the whole of this place in the root? */
  covers({ device, inner }: Place): boolean {
    return this.#volumes.all.some(
      ({ place }) => place.device === device && isWithin(inner, place.inner),
    );
  }

  /** Has this place anything in common with the root? */
  meets(exported: Place): boolean {
    return this.#volumes.all.some(({ place }) => overlap(place, exported));
  }

  /**
   * The exports that file handles may name now. What an earlier call named stays known, since
   * clients go on using the handles that they have; only the handle of an export's root is another
   * directory's from the moment on that the export is.
   */
  useExports(exports: readonly UsedExport[]): void {
    for (const { place, index } of this.#volumes.all) {
      // By key, which can be one for several clients' directories; null: all of them are elsewhere.
      const here = new Map<string, UsedExport | null>();
      for (const used of exports) {
        const before = here.get(keyId(used.key)) ?? null;
        const meets = overlap(used.place, place);
        here.set(keyId(used.key), meets ? both(before, used, place) : before);
      }
      for (const old of index.exportKeys())
        if (here.get(keyId(old)) === null) index.addExportKey(old, { root: NO_HANDLE });
      for (const used of here.values()) {
        if (used === null) continue;
        index.addExportKey(used.key, {
          ...(used.place.inner.equals(place.inner) ? {} : { root: used.rootHandle }),
          withParents: used.subtreeCheck,
        });
      }
    }
  }

  /** Does the hash stand for the root directory itself? */
  isRootHash(hash: number): boolean {
    return this.objectsOfHash(hash).some((object) => this.#volumes.isTop(object));
  }

  /** The object's first name, relative to the root; empty for the root itself. */
  pathOf(object: number): Buffer {
    return (this.#volumes.has(object) ? this.#volumes.pathsOf(object)[0] : undefined) ?? UNNAMED;
  }

  /** Objects that an NFS file-handle hash stands for: none, one, or several on a collision. */
  objectsOfHash(hash: number): number[] {
    return this.#volumes.objectsOfHash(hash);
  }

  /** The object a file event is about, or -1 if it is not of this root. */
  objectOfEvent(event: FileEvent): number {
    return this.#volumes.objectOfEvent(event);
  }

  /**
   * The object of an event that {@link objectOfEvent} does not know, after another look at its
   * directory: -1 if it is not of this root or has gone, null if its directory can't be listed now.
   */
  seek(event: FileEvent): number | null {
    return this.#volumes.seek(event);
  }

  /** What an object is whatever the root. */
  whereIs(object: number): FileIdentity {
    return this.#volumes.whereIs(object);
  }

  /** The object that this root has of it, or -1. */
  find(identity: FileIdentity): number {
    return this.#volumes.find(identity);
  }

  /** Objects with an access time between two wall-clock times (µs), directories left out. */
  accessedBetween(fromUs: number, toUs: number): Promise<AccessTime[]> {
    return this.#volumes.accessedBetween({
      sinceNs: BigInt(Math.floor(fromUs)) * 1000n,
      untilNs: BigInt(Math.ceil(toUs)) * 1000n,
    });
  }

  /** The object's number in the store, if it has one. */
  knownFileOf(object: number): number | undefined {
    return this.#fileIdOf.get(object);
  }

  /** Is its path a directory that is recorded? Not when it was removed, or cannot be watched. */
  isInPlace(): boolean {
    return this.#volumes.isInPlace();
  }

  isDirectory(object: number): boolean {
    return this.#volumes.isDirectory(object);
  }

  /** Does this directory have this name now? */
  hasChild(directory: number, name: Buffer): boolean {
    return this.#volumes.hasChild(directory, name);
  }

  isInit(object: number): boolean {
    return this.#initFiles.has(object);
  }

  /** Did an NFS client create this object while the recording ran? */
  isCreated(object: number): boolean {
    return this.#volumes.isCreated(object);
  }

  /** Since when (monotonic) every read of this object makes a file event. */
  watchedSinceUs(object: number): number {
    return this.#volumes.watchedSinceUs(object);
  }

  /** Brings the indexes up to date with creations, deletions and renames that were seen. */
  followNames(events: readonly FileEvent[]): void {
    // As the file systems' clock has it now.
    const startedUs = (): number => this.options.startedUs + wallOffsetUs();
    for (const volume of this.#volumes.all) volume.followNames(events, startedUs);
  }

  /** Walks the whole root again, for a handle that nothing has announced. */
  rewalk(): Promise<void> {
    return this.#volumes.walk();
  }

  /** What the last walk could not look at, and hashes that two objects share; null before it. */
  get summary(): { readonly unreadable: number; readonly collisions: number } | null {
    return this.#volumes.summary;
  }

  /** The file id of an object; a first sight gives it one and adds its row to `files`. */
  fileOf(object: number, nextId: () => number, files: NewFile[]): number {
    const id = this.#fileIdOf.get(object);
    if (id !== undefined) return id;
    const { mount, handle } = this.#volumes.identityOf(object);
    const names = this.#volumes.pathsOf(object);
    const stat = this.#volumes.statOf(object);
    const file: NewFile = {
      id: nextId(),
      rootId: this.options.rootId,
      mount,
      handle,
      dev: stat?.dev ?? 0,
      inode: BigInt(stat?.inode ?? 0),
      mode: stat?.mode ?? (this.#volumes.isDirectory(object) ? 0o040000 : 0),
      uid: stat?.uid ?? 0,
      gid: stat?.gid ?? 0,
      size: stat?.size ?? 0,
      mtimeNs: stat?.mtimeNs ?? 0n,
      nlink: stat?.nlink ?? 0,
      names,
    };
    files.push(file);
    // Its last names do not hold any more, and no later change would say so.
    if (this.#volumes.isGone(object)) this.#goneAtSight.push(object);
    return this.#remember(object, file.id, names);
  }

  /** Names of already known files that appeared or went since the last call. */
  nameChanges(): NameChange[] {
    const changed = new Set([...this.#goneAtSight, ...this.#volumes.takeChanged()]);
    this.#goneAtSight = [];
    if (this.#volumes.turn !== this.#turn) {
      this.#turn = this.#volumes.turn;
      for (const object of [...this.#fileIdOf.keys()])
        if (this.#volumes.has(object)) changed.add(object);
        else this.#lose(object);
    }
    const changes = this.#lost;
    this.#lost = [];
    for (const object of changed) {
      const fileId = this.#fileIdOf.get(object);
      if (fileId === undefined) continue;
      const before = this.#liveNames.get(object) ?? '';
      const now = this.#volumes.isGone(object) ? '' : packed(this.#volumes.pathsOf(object));
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
    for (const object of this.#volumes.prune()) this.#forget(object);
    return changes;
  }

  /** Objects and names that there was no room for, or that were too long, since the last call. */
  takeLeftOut(): number {
    const { refused, leftOut } = this.#volumes.growth();
    const before = this.#leftOut;
    this.#leftOut = refused + leftOut;
    return Math.max(0, this.#leftOut - before);
  }

  /** Mounts below the root that are recorded with it, and were not at the last call. */
  newMounts(): RecordedMount[] {
    const fresh = this.#volumes.all
      .map(({ prefix }) => prefix)
      .filter((path) => path.length > 0 && !this.#mounts.has(path.toString('latin1')));
    for (const path of fresh) this.#mounts.add(path.toString('latin1'));
    return fresh.map((path) => ({ rootId: this.options.rootId, path }));
  }

  /** Its file system is not mounted any more. If it comes back, the store knows it by its handle. */
  #lose(object: number): void {
    const fileId = this.#fileIdOf.get(object);
    if (fileId !== undefined)
      for (const name of unpacked(this.#liveNames.get(object) ?? ''))
        this.#lost.push({ fileId, path: Buffer.from(name, 'latin1'), change: 'removed' });
    this.#forget(object);
  }

  #remember(object: number, id: number, names: readonly Buffer[]): number {
    this.#fileIdOf.set(object, id);
    this.#liveNames.set(object, packed(names));
    if (names.some((name) => INIT_PATHS.has(name.toString('latin1')))) this.#initFiles.add(object);
    return id;
  }

  #forget(object: number): void {
    this.#fileIdOf.delete(object);
    this.#liveNames.delete(object);
    this.#initFiles.delete(object);
  }
}

type KeyBytes = Pick<ExportKey, 'fsidType' | 'fsid'>;

function keyId({ fsidType, fsid }: KeyBytes): string {
  return `${fsidType}:${fsid.toString('latin1')}`;
}

/** Of two exports with one key that of the volume's own top: the key's own handle is that one's. */
function both(a: UsedExport | null, b: UsedExport, { inner }: Place): UsedExport {
  if (a === null) return b;
  const first = a.place.inner.equals(inner) ? a : b;
  return { ...first, subtreeCheck: a.subtreeCheck || b.subtreeCheck };
}

function overlap(a: Place, b: Place): boolean {
  return a.device === b.device && (isWithin(a.inner, b.inner) || isWithin(b.inner, a.inner));
}
