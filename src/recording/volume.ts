/**
 * One file system of a root: the root's own, or one that is mounted below it. Owns its handle
 * index, its mark and which of its objects NFS clients created. Must not know the other volumes.
 */
import type { FileEvent, FileHandle } from '../common/batches.ts';
import { FAN_CREATE, FAN_MOVED_TO, FAN_ONDIR, NAME_MASK } from '../fanotify-ts/masks.ts';
import { HandleIndex, type ObjectStat } from '../fanotify-ts/handle-index.ts';
import { nowUs } from './clock.ts';
import type { Place } from './mounts.ts';

/** What a recording needs of an index: the real one, or one that is replayed. */
export type RootIndex = Pick<
  HandleIndex,
  | 'open'
  | 'close'
  | 'walk'
  | 'addExportKey'
  | 'exportKeys'
  | 'idsOfHash'
  | 'idOfHandle'
  | 'handleOf'
  | 'pathsOf'
  | 'isGone'
  | 'childOf'
  | 'isDirectory'
  | 'isLate'
  | 'statOf'
  | 'accessedBetween'
  | 'learn'
  | 'refreshDirectory'
  | 'refreshNames'
  | 'takeChanged'
  | 'prune'
  | 'growth'
  | 'objects'
>;

/** Who can watch a file system: the sensors. */
export interface Watcher {
  /** The `fsid` of the events that come from there. */
  watch(path: Buffer): Buffer;
  unwatch(path: Buffer): void;
}

export interface VolumeOptions {
  /** Never used again: objects are numbered with it. */
  readonly number: number;
  /** Absolute path of the directory that it begins at. */
  readonly path: Buffer;
  /** The same, from the root; empty for the root's own file system. */
  readonly prefix: Buffer;
  readonly place: Place;
  /** Instead of one that looks at the tree itself. */
  readonly index?: RootIndex | undefined;
}

export class Volume {
  readonly number: number;
  readonly path: Buffer;
  readonly prefix: Buffer;
  readonly place: Place;
  readonly index: RootIndex;
  readonly #created = new Set<number>();
  /** Directories that were listed for an event since the last {@link followNames}. */
  readonly #sought = new Set<string>();
  #watcher: Watcher | null = null;
  /** Of its events; null while nothing watches it. */
  #fsid: Buffer | null = null;
  #watchedSinceUs = 0;

  constructor({ number, path, prefix, place, index }: VolumeOptions) {
    this.number = number;
    this.path = path;
    this.prefix = prefix;
    this.place = place;
    this.index = index ?? new HandleIndex({ root: path });
  }

  /** Monotonic; what was read before has no file event. */
  get watchedSinceUs(): number {
    return this.#watchedSinceUs;
  }

  watch(watcher: Watcher): void {
    this.#fsid = watcher.watch(this.path);
    this.#watchedSinceUs = nowUs();
    this.#watcher = watcher;
  }

  unwatch(): void {
    this.#watcher?.unwatch(this.path);
    this.#watcher = null;
  }

  close(): void {
    this.unwatch();
    this.index.close();
  }

  /**
   * What its events are known by. Not always it alone: two copies of one disk image that are
   * mounted both have one fsid.
   */
  get source(): string {
    return this.#fsid?.toString('hex') ?? this.place.device;
  }

  /** Can the event be about this file system? */
  takes({ fsid }: FileEvent): boolean {
    return this.#fsid === null || this.#fsid.equals(fsid);
  }

  /** The object a file event is about, or -1 if it is not of this volume. */
  objectOfEvent({ object, parent, name }: FileEvent): number {
    if (object !== null) return this.index.idOfHandle(object);
    if (parent !== null && name?.toString('latin1') === '.') return this.index.idOfHandle(parent);
    return -1;
  }

  /**
   * The object of an event that {@link objectOfEvent} does not know, after another look at its
   * directory: -1 if it is not of this volume or has gone, null if its directory can't be listed
   * now.
   */
  seek({ object, parent, name }: FileEvent): number | null {
    if (object === null || parent === null) return -1;
    const directory = this.index.idOfHandle(parent);
    if (directory < 0 || this.index.isGone(directory)) return -1;
    let listed = name !== null && this.index.refreshNames(parent, [name]);
    const found = this.index.idOfHandle(object);
    if (found >= 0) return found;
    // Under another name by now. Once a flush: clients decide how large a directory is.
    if (!this.#sought.has(keyOf(parent))) {
      listed = this.index.refreshDirectory(parent);
      if (listed) this.#sought.add(keyOf(parent));
    }
    if (!listed) return this.index.isGone(directory) ? -1 : null;
    return this.index.idOfHandle(object);
  }

  /** Did an NFS client create this object while the recording ran? */
  isCreated(object: number): boolean {
    return this.#created.has(object);
  }

  /** Objects whose ids may be others' from now on. */
  prune(): Uint32Array {
    const pruned = this.index.prune();
    for (const object of pruned) this.#created.delete(object);
    return pruned;
  }

  /**
   * Brings the index up to date with creations, deletions and renames that were seen.
   * @param startedUs wall clock; what is older was there before the recording
   */
  followNames(events: readonly FileEvent[], startedUs: () => number): void {
    this.#sought.clear();
    const changed = new Map<string, { parent: FileHandle; names: Map<string, Buffer> }>();
    for (const event of events) {
      if ((event.mask & NAME_MASK) === 0 || event.parent === null || event.name === null) continue;
      if (!this.takes(event) || this.index.idOfHandle(event.parent) < 0) continue;
      const { parent, name, object } = event;
      if (object !== null && (event.mask & (FAN_CREATE | FAN_MOVED_TO)) !== 0) {
        const isNew = this.index.idOfHandle(object) < 0;
        this.index.learn({ parent, name, object, directory: (event.mask & FAN_ONDIR) !== 0 });
        if ((event.mask & FAN_CREATE) !== 0 && event.pidClass !== 'other')
          this.#noteCreation(this.index.idOfHandle(object), isNew, startedUs);
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
      this.index.refreshNames(parent, [...names.values()]);
  }

  /** An NFS client gave an object a name: the first one, or one more of something older? */
  #noteCreation(object: number, isNew: boolean, startedUs: () => number): void {
    if (object < 0 || this.#created.has(object)) return;
    if (!isNew) {
      const stat = this.index.statOf(object);
      if (!this.index.isLate(object) && !isBornSince(stat, startedUs())) return;
      if (stat !== null && stat.nlink > 1 && !this.index.isDirectory(object)) return;
    }
    this.#created.add(object);
  }
}

/** Made while the first walk was under way, which then knew it before its event did. */
function isBornSince(stat: ObjectStat | null, us: number): boolean {
  return stat !== null && stat.birthNs >= BigInt(us) * 1000n;
}

function keyOf({ type, bytes }: FileHandle): string {
  return `${type}:${bytes.toString('latin1')}`;
}
