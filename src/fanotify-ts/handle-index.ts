/**
 * The handle index of one root: file handle and NFS hash to object, object to names.
 * Owns the validation of arguments and the queue of walks; the index itself is native (native/index).
 * Must not know NFS sessions, nor what a caller does with a name.
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { FileHandle } from '../common/batches.ts';
import { TraceError } from '../common/errors.ts';
import { addon } from './binding.ts';
import { closedError, messageOf, openError } from './handle-index-errors.ts';
import type {
  ExportKey,
  ForgetEvent,
  IndexGrowth,
  IndexSummary,
  LearnEvent,
  ObjectStat,
  ToldTree,
} from './handle-index-types.ts';

export type * from './handle-index-types.ts';

/** Objects looked at between two turns of the event loop. */
const SLICE = 1000;

interface NativeHandleIndex {
  open(path: Buffer, limit: number, rootType?: number, rootBytes?: Buffer): void;
  walk(): Promise<IndexSummary>;
  addExportKey(
    fsidType: number,
    fsid: Buffer,
    withParents: boolean,
    rootType?: number,
    rootBytes?: Buffer,
  ): void;
  exportKeys(): ExportKey[];
  idsOfHash(hash: number): number[];
  idOfHandle(type: number, bytes: Buffer): number;
  handleOf(id: number): FileHandle;
  pathsOf(id: number): Buffer[];
  isGone(id: number): boolean;
  childOf(id: number, name: Buffer): number;
  isDirectory(id: number): boolean;
  statOf(id: number): ObjectStat | null;
  accessedIn(first: number, count: number, sinceNs: bigint, untilNs: bigint): (number | bigint)[];
  learn(
    parentType: number,
    parentBytes: Buffer,
    name: Buffer,
    objectType: number,
    objectBytes: Buffer,
    directory?: boolean,
  ): boolean;
  forget(parentType: number, parentBytes: Buffer, name: Buffer): boolean;
  refreshDirectory(type: number, bytes: Buffer): boolean;
  refreshNames(type: number, bytes: Buffer, names: readonly Buffer[]): boolean;
  takeChanged(): Uint32Array;
  prune(): Uint32Array;
  isLate(id: number): boolean;
  growth(): IndexGrowth;
  namesGeneration(): number;
  objects(): number;
  close(): void;
}

const native = addon as {
  readonly NativeHandleIndex: new () => NativeHandleIndex;
  nfsHandleHash(fsidType: number, fsid: Buffer, type?: number, bytes?: Buffer): number;
};

/** About 1 GB. */
const MOST_OBJECTS = 10_000_000;

/**
 * Node joins its workers at exit, before any cleanup hook of an addon runs: it would wait for a
 * walk of millions of files to end.
 */
const walking = new Set<NativeHandleIndex>();
process.on('exit', () => walking.forEach((index) => index.close()));

/**
 * Every object (inode) of one directory tree with its file handle and all its names.
 *
 * An id stands for one handle and stays valid when the object is gone, until {@link prune} gives it
 * back. Id 0 is the root. All calls but {@link walk} are synchronous; reads from the kernel that a call
 * makes are named there.
 */
export class HandleIndex {
  readonly #root: Buffer;
  readonly #told: ToldTree | null;
  readonly #mostObjects: number;
  #index: NativeHandleIndex | null = null;
  /** Settles, without failing, when the newest walk has ended; null when none is under way. */
  #walking: Promise<void> | null = null;

  /**
   * @param options.told there is no such directory here: what {@link learn} is told is all there is
   * @param options.mostObjects more are refused; names: twice as many
   */
  constructor(options: {
    readonly root: Buffer;
    readonly told?: ToldTree;
    readonly mostObjects?: number;
  }) {
    this.#root = options.root;
    this.#told = options.told ?? null;
    this.#mostObjects = options.mostObjects ?? MOST_OBJECTS;
  }

  /**
   * Opens the root directory. A symbolic link is followed now and never again. Opening again
   * begins anew, with other ids.
   * @throws TraceError `root-not-found`, `root-not-a-directory`, `root-not-permitted`,
   * `no-file-handles` (the file system has none), `root-open-failed`
   */
  open(): void {
    if (this.#root.includes(0)) throw openError(this.#root, { message: 'NUL in the path' });
    const index = new native.NativeHandleIndex();
    try {
      const handle = this.#told?.rootHandle;
      index.open(this.#root, this.#mostObjects, handle?.type, handle?.bytes);
    } catch (cause) {
      throw openError(this.#root, cause);
    }
    this.close();
    this.#index = index;
  }

  /**
   * Lists the whole tree on a worker thread. Until it is merged, on this thread and at once (about
   * 40 ms for 100,000 objects), every query answers from the state before. Changes made by
   * {@link learn}, {@link forget} and {@link refreshDirectory} meanwhile are not lost. A second
   * call waits for the first and then walks again.
   * @throws TraceError `index-closed`, `walk-failed` (the root itself cannot be listed)
   */
  async walk(): Promise<IndexSummary> {
    // Begun at once when it can be: what is learned from here on is then in the walk's journal.
    const mine =
      this.#walking === null ? this.#nativeWalk() : this.#walking.then(() => this.#nativeWalk());
    const ended = mine.then(
      () => undefined,
      () => undefined,
    );
    this.#walking = ended;
    void ended.then(() => {
      if (this.#walking === ended) this.#walking = null;
    });
    try {
      return await mine;
    } catch (cause) {
      if (this.#index === null) throw closedError(cause);
      if (cause instanceof TraceError) throw cause;
      throw new TraceError({
        code: 'walk-failed',
        message: `cannot list the root ${this.#root.toString()}: ${messageOf(cause)}`,
        exit: 'io',
        cause,
      });
    }
  }

  /**
   * From now on {@link idsOfHash} knows every object under this key, those found later too.
   * Adding a key again does nothing, unless its root differs or it has parents now.
   * @param options.root handle of the export's own root, whose NFS handle has no file part; without
   * it the root of this index is the export's root
   * @param options.withParents also know the handles that an export with `subtree_check` gives out:
   * they name a file's directory, so it has one hash for each directory that it is or was in
   */
  addExportKey(
    key: ExportKey,
    options: { readonly root?: FileHandle; readonly withParents?: boolean } = {},
  ): void {
    checkKey(key);
    const { root, withParents = false } = options;
    if (root === undefined) this.#open.addExportKey(key.fsidType, key.fsid, withParents);
    else this.#open.addExportKey(key.fsidType, key.fsid, withParents, root.type, root.bytes);
  }

  exportKeys(): ExportKey[] {
    return this.#open.exportKeys();
  }

  /** Objects whose NFS handle under any export key has this CRC-32; ascending; [] if none. */
  idsOfHash(hash: number): number[] {
    return this.#open.idsOfHash(hash);
  }

  /**
   * The object of a handle, -1 if unknown. A handle with a parent part (type 2, XFS 0x82, btrfs
   * 0x4e and 0x4f) is looked up by its own part.
   */
  idOfHandle(handle: FileHandle): number {
    return this.#open.idOfHandle(handle.type, handle.bytes);
  }

  /** The object's own handle, without a parent part. */
  handleOf(id: number): FileHandle {
    return this.#open.handleOf(id);
  }

  /**
   * Every name, relative to the root, bytewise sorted; one empty Buffer for the root. The last
   * known names when the object is gone. Paths over 32 KiB and more than 1,024 paths are left out
   * (`growth().leftOut`). Else empty only for an object that never had a name here.
   */
  pathsOf(id: number): Buffer[] {
    return this.#open.pathsOf(id);
  }

  /** True when no live name leads to the object any more, also when it was forgotten since. */
  isGone(id: number): boolean {
    return this.#open.isGone(id);
  }

  /** The object that a directory has under a name now; -1 if it has none. */
  childOf(id: number, name: Buffer): number {
    return this.#open.childOf(id, name);
  }

  /** Asks the file system if the object was learned without its kind. */
  isDirectory(id: number): boolean {
    return this.#open.isDirectory(id);
  }

  /**
   * Fresh lstat through a live name, below the root, through no symbolic link, and only if that
   * name still leads to this very handle. Null when no name does: gone, or moved unseen.
   */
  statOf(id: number): ObjectStat | null {
    return this.#open.statOf(id);
  }

  /**
   * Objects with an access time in a span, directories left out (a walk reads them itself). Looks
   * at every object (about 10 µs each), a thousand at a time.
   * @throws TraceError `index-closed` when it is closed meanwhile
   */
  async accessedBetween(span: {
    readonly sinceNs: bigint;
    readonly untilNs: bigint;
  }): Promise<{ readonly id: number; readonly accessedNs: bigint }[]> {
    const found: { id: number; accessedNs: bigint }[] = [];
    for (let first = 0; first < this.objects; first += SLICE) {
      const pairs = this.#open.accessedIn(first, SLICE, span.sinceNs, span.untilNs);
      for (let at = 0; at < pairs.length; at += 2)
        found.push({ id: Number(pairs[at]), accessedNs: BigInt(pairs[at + 1] ?? 0) });
      await nextTurn();
    }
    return found;
  }

  /**
   * A creation or a move-in that fanotify reported. The object stays known even if it has vanished
   * again. A directory that was moved in has its contents read by {@link refreshDirectory}.
   * @returns false if the parent is not in the index (events come for the whole file system)
   */
  learn(event: LearnEvent): boolean {
    return this.#open.learn(
      event.parent.type,
      event.parent.bytes,
      event.name,
      event.object.type,
      event.object.bytes,
      event.directory,
    );
  }

  /**
   * A deletion or a move-out: the name goes. The object is gone with its last one (which is kept as
   * its last known name).
   * @returns false if there was no such name
   */
  forget(event: ForgetEvent): boolean {
    return this.#open.forget(event.parent.type, event.parent.bytes, event.name);
  }

  /**
   * Lists one directory again, and everything below it that was never listed. If the directory is
   * not where it was, the nearest directory above it that still is gets listed first.
   * @returns false if the directory is unknown, gone, or nowhere that listing finds (then: walk)
   */
  refreshDirectory(handle: FileHandle): boolean {
    return this.#open.refreshDirectory(handle.type, handle.bytes);
  }

  /**
   * The same for some of a directory's names: what it costs does not depend on how many others
   * there are. A directory among them that was never listed is, with everything below it.
   */
  refreshNames(handle: FileHandle, names: readonly Buffer[]): boolean {
    return this.#open.refreshNames(handle.type, handle.bytes, names);
  }

  /** Objects of which a name, or the name of a directory above, changed since the last call. */
  takeChanged(): Uint32Array {
    return this.#open.takeChanged();
  }

  /**
   * Forgets objects that have been gone for long; their ids, which are given to others from now
   * on. Looks only after many objects have come, so it may be called at any time.
   */
  prune(): Uint32Array {
    return this.#open.prune();
  }

  /** Did the object come after the first walk? */
  isLate(id: number): boolean {
    return this.#open.isLate(id);
  }

  growth(): IndexGrowth {
    return this.#open.growth();
  }

  /** Goes up whenever any name of any object changed. */
  get namesGeneration(): number {
    return this.#open.namesGeneration();
  }

  /** Every id is below this; objects that are gone included. */
  get objects(): number {
    return this.#open.objects();
  }

  /** Frees everything; a walk under way ends early and is rejected. Idempotent. */
  close(): void {
    this.#index?.close();
    this.#index = null;
  }

  /** The hash of one NFS handle; `handle` null: the export's own root. */
  static hashOf(key: ExportKey, handle: FileHandle | null): number {
    checkKey(key);
    return handle === null
      ? native.nfsHandleHash(key.fsidType, key.fsid)
      : native.nfsHandleHash(key.fsidType, key.fsid, handle.type, handle.bytes);
  }

  async #nativeWalk(): Promise<IndexSummary> {
    const index = this.#open;
    walking.add(index);
    try {
      return await index.walk();
    } finally {
      walking.delete(index);
    }
  }

  get #open(): NativeHandleIndex {
    if (this.#index === null) throw closedError(undefined);
    return this.#index;
  }
}

function checkKey(key: ExportKey): void {
  if (Number.isInteger(key.fsidType) && key.fsidType >= 0 && key.fsidType <= 255) return;
  throw new TraceError({
    code: 'bad-export-key',
    message: `fsid type ${key.fsidType} is not a number from 0 to 255`,
    exit: 'bug',
  });
}
