/**
 * The file systems of one root as one tree: objects are numbered across them, and an object that
 * two mounts of one file system show (a bind mount) is one object with the names of both.
 * Owns which volumes there are and follows what is mounted and what goes. Must not know exports.
 */
import { statSync } from 'node:fs';
import type { FileEvent, FileHandle } from '../common/batches.ts';
import { TraceError } from '../common/errors.ts';
import type { IndexSummary, ObjectStat } from '../fanotify-ts/handle-index.ts';
import { compareBytes } from '../common/bytes.ts';
import { MountTable, readMountinfo, type Mount, type Place } from './mounts.ts';
import { below, relativeTo } from './paths.ts';
import { Volume, type RootIndex, type Watcher } from './volume.ts';

/** An index numbers its objects with 31 bits (native/index/name_tree.h). */
const OBJECTS = 2 ** 31;

const S_IFMT = 0o170000;
const S_IFLNK = 0o120000;

/** When an object was accessed last, wall-clock microseconds. */
export interface AccessTime {
  readonly object: number;
  readonly atUs: number;
  /** Is it a symbolic link? */
  readonly link: boolean;
}

let walking = 0;

/** Walks of file systems that have begun and not ended. */
export function walksUnderWay(): number {
  return walking;
}

/** Hears of a mount that cannot be recorded. */
export type Refused = (mount: Mount, error: TraceError) => void;

/** A file as its events know it, whichever roots it is in. */
export interface FileIdentity {
  readonly source: string;
  readonly handle: FileHandle;
}

export class Volumes {
  readonly #root: Buffer;
  readonly #watcher: Watcher | null;
  readonly #index: RootIndex | undefined;
  #volumes: Volume[] = [];
  /** Unmounted since the last look: what came before is still asked about. */
  #leaving: Volume[] = [];
  #all: readonly Volume[] = [];
  readonly #byNumber = new Map<number, Volume>();
  /** Of objects that two volumes have: which of its numbers is the one. */
  readonly #chosen = new Map<number, number>();
  readonly #summaries = new Map<Volume, IndexSummary>();
  readonly #unwalked = new Set<Volume>();
  #nextNumber = 0;
  #turn = 0;
  #mountsBelow = 0;

  /** @param options.index of the root's own file system, instead of one that looks at it */
  constructor(options: {
    readonly root: Buffer;
    readonly watcher: Watcher | null;
    readonly index?: RootIndex | undefined;
  }) {
    this.#root = options.root;
    this.#watcher = options.watcher;
    this.#index = options.index;
  }

  /** Opens the root's own file system; throws if it is no directory or gives no handles. */
  open(): void {
    const mounts = new MountTable(readMountinfo());
    this.#add(this.#root, mounts.placeOf(this.#root) ?? nowhere(this.#root), this.#index);
    this.#mountsBelow = mounts.visibleBelow(this.#root).length;
  }

  close(): void {
    for (const volume of this.#byNumber.values()) volume.close();
    this.#volumes = this.#leaving = [];
    this.#all = [];
    this.#byNumber.clear();
  }

  /** Those that are mounted now, and those that a client may still be asked about. */
  get all(): readonly Volume[] {
    return this.#all;
  }

  /** Mounts below the root that are not recorded. */
  get mountsBelow(): number {
    return this.#mountsBelow;
  }

  /** Goes up when a volume comes or goes. */
  get turn(): number {
    return this.#turn;
  }

  /** Objects, and what the indexes had no room for or left out, of the volumes that are there. */
  growth(): { readonly objects: number; readonly refused: number; readonly leftOut: number } {
    const all = this.#volumes.map(({ index }) => index.growth());
    const sum = (key: 'objects' | 'refused' | 'leftOut'): number =>
      all.reduce((total, growth) => total + growth[key], 0);
    return { objects: sum('objects'), refused: sum('refused'), leftOut: sum('leftOut') };
  }

  /** Walks every volume again, for a handle that nothing has announced. */
  async walk(): Promise<void> {
    for (const volume of this.#volumes) await this.#walk(volume);
  }

  /** Walks the volumes that no walk has seen yet. */
  async walkNew(refused: Refused): Promise<void> {
    for (const volume of [...this.#unwalked]) {
      try {
        await this.#walk(volume);
      } catch (error) {
        if (!(error instanceof TraceError)) throw error;
        this.#unwalked.delete(volume);
        refused(volume.place.mount, error);
      }
    }
  }

  async #walk(volume: Volume): Promise<void> {
    walking += 1;
    try {
      this.#summaries.set(volume, await volume.index.walk());
    } finally {
      walking -= 1;
    }
    this.#unwalked.delete(volume);
  }

  /** What the last walks found, and what they could not look at; null before the first. */
  get summary(): Pick<IndexSummary, 'unreadable' | 'collisions'> | null {
    const known = this.#volumes.flatMap((volume) => this.#summaries.get(volume) ?? []);
    if (known.length === 0) return null;
    const sum = (key: 'unreadable' | 'collisions'): number =>
      known.reduce((total, summary) => total + summary[key], 0);
    return { unreadable: sum('unreadable'), collisions: sum('collisions') };
  }

  /**
   * Takes in what is mounted now: opens and watches what is new and wanted, and lets go of what is
   * not there any more.
   * @param wanted is this mount below the root to be recorded?
   * @param refused hears why a wanted one cannot be
   * @returns whether anything changed
   */
  follow(mounts: MountTable, wanted: (mount: Mount) => boolean, refused: Refused): boolean {
    for (const volume of this.#leaving) this.#drop(volume);
    const visible = mounts.visibleBelow(this.#root);
    const places = new Map<string, Place>();
    const own = mounts.placeOf(this.#root);
    if (own !== null) places.set(keyOf(this.#root), own);
    for (const mount of visible) {
      const place = mounts.placeOf(mount.at);
      if (place !== null) places.set(keyOf(mount.at), place);
    }
    const stays = ({ path, place }: Volume): boolean =>
      places.get(keyOf(path))?.mount.id === place.mount.id || own === null;
    this.#leaving = this.#volumes.filter((volume) => !stays(volume));
    this.#volumes = this.#volumes.filter(stays);
    for (const volume of this.#leaving) volume.unwatch();
    let changed = this.#leaving.length > 0;
    for (const [key, place] of places) {
      const path = Buffer.from(key, 'latin1');
      if (this.#volumes.some((volume) => volume.path.equals(path))) continue;
      if (!path.equals(this.#root) && !wanted(place.mount)) continue;
      try {
        this.#add(path, place);
        changed = true;
      } catch (error) {
        if (!(error instanceof TraceError)) throw error;
        refused(place.mount, error);
      }
    }
    this.#mountsBelow = visible.length - this.#volumes.filter((v) => v.prefix.length > 0).length;
    if (changed) this.#turn += 1;
    this.#all = [...this.#volumes, ...this.#leaving];
    return changed;
  }

  /** Objects that an NFS file-handle hash stands for: none, one, or several on a collision. */
  objectsOfHash(hash: number): number[] {
    const found: number[] = [];
    for (const volume of this.#all)
      for (const id of volume.index.idsOfHash(hash)) found.push(this.#objectOf(volume, id));
    return found.length < 2 ? found : [...new Set(found)];
  }

  objectOfEvent(event: FileEvent): number {
    for (const volume of this.all) {
      if (!volume.takes(event)) continue;
      const id = volume.objectOfEvent(event);
      if (id >= 0) return this.#objectOf(volume, id);
    }
    return -1;
  }

  /** As {@link Volume.seek}, in every volume that the event can be about. */
  seek(event: FileEvent): number | null {
    let unlistable = false;
    for (const volume of this.all) {
      if (!volume.takes(event)) continue;
      const id = volume.seek(event);
      if (id === null) unlistable = true;
      else if (id >= 0) return this.#objectOf(volume, id);
    }
    return unlistable ? null : -1;
  }

  /** The object of a handle in the volume that begins at a path from the root; -1 if unknown. */
  objectOf(mount: Buffer, handle: FileHandle): number {
    for (const volume of this.all) {
      if (!volume.prefix.equals(mount)) continue;
      const id = volume.index.idOfHandle(handle);
      if (id >= 0) return this.#objectOf(volume, id);
    }
    return -1;
  }

  /** Where from the root the object's volume begins, and its handle there. */
  identityOf(object: number): { readonly mount: Buffer; readonly handle: FileHandle } {
    const { volume, id } = this.#split(object);
    return { mount: volume.prefix, handle: volume.index.handleOf(id) };
  }

  whereIs(object: number): FileIdentity {
    const { volume, id } = this.#split(object);
    return { source: volume.source, handle: volume.index.handleOf(id) };
  }

  /** -1 if no volume has it. */
  find({ source, handle }: FileIdentity): number {
    for (const volume of this.all) {
      if (volume.source !== source) continue;
      const id = volume.index.idOfHandle(handle);
      if (id >= 0) return this.#objectOf(volume, id);
    }
    return -1;
  }

  /** Every name, relative to the root, bytewise sorted; the last known ones if it is gone. */
  pathsOf(object: number): Buffer[] {
    const all = this.#sightsOf(object);
    const alive = all.filter(({ volume, id }) => !volume.index.isGone(id));
    const paths = (alive.length > 0 ? alive : all).flatMap(({ volume, id }) =>
      volume.index.pathsOf(id).map((path) => below(volume.prefix, path)),
    );
    return all.length < 2 ? paths : paths.sort(compareBytes);
  }

  /** Objects with an access time in a span, directories left out. */
  async accessedBetween(span: {
    readonly sinceNs: bigint;
    readonly untilNs: bigint;
  }): Promise<AccessTime[]> {
    const found = new Map<number, AccessTime>();
    for (const volume of this.#volumes)
      for (const { id, accessedNs } of await volume.index.accessedBetween(span)) {
        const object = this.#objectOf(volume, id);
        const link = ((volume.index.statOf(id)?.mode ?? 0) & S_IFMT) === S_IFLNK;
        found.set(object, { object, atUs: Number(accessedNs / 1000n), link });
      }
    return [...found.values()];
  }

  /** Does the root's path lead to the directory that is recorded? */
  isInPlace(): boolean {
    // A replayed tree is nowhere.
    if (this.#index !== undefined) return true;
    const own = this.#volumes.find(({ prefix }) => prefix.length === 0);
    const stat = own?.index.statOf(0);
    if (stat === undefined || stat === null) return false;
    try {
      const { dev, ino } = statSync(this.#root, { bigint: true });
      return Number(dev) === stat.dev && ino === stat.inode;
    } catch {
      return false;
    }
  }

  isGone(object: number): boolean {
    return this.#sightsOf(object).every(({ volume, id }) => volume.index.isGone(id));
  }

  isDirectory(object: number): boolean {
    const { volume, id } = this.#split(object);
    return volume.index.isDirectory(id);
  }

  isCreated(object: number): boolean {
    return this.#sightsOf(object).some(({ volume, id }) => volume.isCreated(id));
  }

  statOf(object: number): ObjectStat | null {
    for (const { volume, id } of this.#sightsOf(object)) {
      const stat = volume.index.statOf(id);
      if (stat !== null) return stat;
    }
    return null;
  }

  /** Does this directory have this name now? */
  hasChild(object: number, name: Buffer): boolean {
    return this.#sightsOf(object).some(({ volume, id }) => volume.index.childOf(id, name) >= 0);
  }

  /** Is it the root directory itself? */
  isTop(object: number): boolean {
    const { volume, id } = this.#split(object);
    return id === 0 && volume.prefix.length === 0;
  }

  /** Objects of which a name, or a name above it, has changed since the last call. */
  takeChanged(): number[] {
    return this.all.flatMap((volume) =>
      Array.from(volume.index.takeChanged(), (id) => this.#objectOf(volume, id)),
    );
  }

  /** Forgets what has been gone for long: these numbers may be other objects' from now on. */
  prune(): number[] {
    const pruned = this.all.flatMap((volume) =>
      Array.from(volume.prune(), (id) => volume.number * OBJECTS + id),
    );
    if (pruned.length > 0) this.#unchoose(new Set(pruned));
    return pruned;
  }

  watchedSinceUs(object: number): number {
    return this.#split(object).volume.watchedSinceUs;
  }

  /** Is the volume of this object still there? Ids of objects outlive it. */
  has(object: number): boolean {
    return this.#byNumber.has(Math.floor(object / OBJECTS));
  }

  #add(path: Buffer, place: Place, index?: RootIndex): void {
    const prefix = relativeTo(this.#root, path);
    const volume = new Volume({ number: this.#nextNumber, path, prefix, place, index });
    volume.index.open();
    try {
      // Watched before it is walked: what changes meanwhile is seen by one or the other.
      if (this.#watcher !== null) volume.watch(this.#watcher);
    } catch (error) {
      volume.close();
      throw error;
    }
    this.#nextNumber += 1;
    this.#byNumber.set(volume.number, volume);
    this.#volumes.push(volume);
    this.#all = [...this.#volumes, ...this.#leaving];
    this.#unwalked.add(volume);
  }

  #drop(volume: Volume): void {
    volume.close();
    this.#byNumber.delete(volume.number);
    this.#summaries.delete(volume);
    this.#unwalked.delete(volume);
    const its = [...this.#chosen].flat().filter((one) => this.#numberOf(one) === volume.number);
    this.#unchoose(new Set(its));
    this.#turn += 1;
  }

  #unchoose(objects: ReadonlySet<number>): void {
    for (const [from, to] of this.#chosen)
      if (objects.has(from) || objects.has(to)) this.#chosen.delete(from);
  }

  #numberOf(object: number): number {
    return Math.floor(object / OBJECTS);
  }

  #split(object: number): { readonly volume: Volume; readonly id: number } {
    const volume = this.#byNumber.get(this.#numberOf(object));
    if (volume === undefined) throw new RangeError('the volume of this object has gone');
    return { volume, id: object % OBJECTS };
  }

  /** The number of an object: of several mounts that show it the one that was asked for first. */
  #objectOf(volume: Volume, id: number): number {
    const object = volume.number * OBJECTS + id;
    const others = this.#sameFileSystem(volume);
    if (others.length === 0) return object;
    const known = this.#chosen.get(object);
    if (known !== undefined) return known;
    const handle = volume.index.handleOf(id);
    const sights = [object];
    for (const other of others) {
      const found = other.index.idOfHandle(handle);
      if (found >= 0) sights.push(other.number * OBJECTS + found);
    }
    const chosen =
      sights.map((sight) => this.#chosen.get(sight)).find((one) => one !== undefined) ??
      Math.min(...sights);
    for (const sight of sights) this.#chosen.set(sight, chosen);
    return chosen;
  }

  /** Every volume that shows the object, and how it is known there. */
  #sightsOf(object: number): { readonly volume: Volume; readonly id: number }[] {
    const first = this.#split(object);
    const others = this.#sameFileSystem(first.volume);
    if (others.length === 0) return [first];
    const handle = first.volume.index.handleOf(first.id);
    const more = others.flatMap((volume) => {
      const id = volume.index.idOfHandle(handle);
      return id < 0 ? [] : [{ volume, id }];
    });
    return [first, ...more];
  }

  #sameFileSystem(volume: Volume): Volume[] {
    const { device } = volume.place;
    return this.#volumes.length === 1
      ? []
      : this.#volumes.filter((other) => other !== volume && other.place.device === device);
  }
}

function keyOf(path: Buffer): string {
  return path.toString('latin1');
}

/** Of a root that no mount is known for: a place like no other. */
function nowhere(path: Buffer): Place {
  const unknown = { id: -1, parent: -1, device: '', type: '', source: Buffer.alloc(0) };
  const mount = { ...unknown, top: path, at: path, options: new Set<string>() };
  return { device: '', inner: path, mount };
}
