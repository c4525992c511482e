/**
 * The objects of all file systems of a root, numbered across them, and what is known of each. An
 * object that several mounts of one file system show (a bind mount) is one object with the names of
 * all, whose number is that of the sight that was asked for first.
 * Owns these numbers. Must not know what is mounted when, nor walk anything.
 */
import { compareBytes } from '../common/bytes.ts';
import type { FileEvent, FileHandle } from '../common/batches.ts';
import type { ObjectStat } from '../fanotify-ts/handle-index.ts';
import { below } from './paths.ts';
import type { Volume } from './volume.ts';

/** An index numbers its objects with 31 bits (native/index/name_tree.h). */
const OBJECTS = 2 ** 31;

/** An object as one file system shows it. */
interface Sight {
  readonly volume: Volume;
  /** In the index of the volume. */
  readonly id: number;
}

/** A file as its events know it, whichever roots it is in. */
export interface FileIdentity {
  readonly source: string;
  readonly handle: FileHandle;
}

export class RootObjects {
  readonly #byNumber = new Map<number, Volume>();
  /** Of objects that two volumes have: which of its numbers is the one. */
  readonly #chosen = new Map<number, number>();
  #mounted: readonly Volume[] = [];
  #asked: readonly Volume[] = [];

  /**
   * @param volumes.mounted now: only they show an object a second time
   * @param volumes.asked in which objects are looked for, by order
   */
  arrange(volumes: {
    readonly mounted: readonly Volume[];
    readonly asked: readonly Volume[];
  }): void {
    this.#mounted = volumes.mounted;
    this.#asked = volumes.asked;
  }

  volumes(): Volume[] {
    return [...this.#byNumber.values()];
  }

  add(volume: Volume): void {
    this.#byNumber.set(volume.number, volume);
  }

  /** Its objects have no number any more. */
  delete(volume: Volume): void {
    this.#byNumber.delete(volume.number);
    const its = [...this.#chosen].flat().filter((one) => volumeOf(one) === volume.number);
    this.#unchoose(new Set(its));
  }

  clear(): void {
    this.#byNumber.clear();
    this.#chosen.clear();
    this.#mounted = this.#asked = [];
  }

  /** Is the volume of this object still known? Numbers of objects outlive it. */
  has(object: number): boolean {
    return this.#byNumber.has(volumeOf(object));
  }

  /** Objects that an NFS file-handle hash stands for: none, one, or several on a collision. */
  objectsOfHash(hash: number): number[] {
    const found: number[] = [];
    for (const volume of this.#asked)
      for (const id of volume.index.idsOfHash(hash)) found.push(this.numberOf(volume, id));
    return found.length < 2 ? found : [...new Set(found)];
  }

  objectOfEvent(event: FileEvent): number {
    for (const volume of this.#asked) {
      if (!volume.takes(event)) continue;
      const id = volume.objectOfEvent(event);
      if (id >= 0) return this.numberOf(volume, id);
    }
    return -1;
  }

  /** As {@link Volume.seek}, in every volume that the event can be about. */
  seek(event: FileEvent): number | null {
    let unlistable = false;
    for (const volume of this.#asked) {
      if (!volume.takes(event)) continue;
      const id = volume.seek(event);
      if (id === null) unlistable = true;
      else if (id >= 0) return this.numberOf(volume, id);
    }
    return unlistable ? null : -1;
  }

  /** The object of a handle in the volume that begins at a path from the root; -1 if unknown. */
  objectOf(mount: Buffer, handle: FileHandle): number {
    for (const volume of this.#asked) {
      if (!volume.prefix.equals(mount)) continue;
      const id = volume.index.idOfHandle(handle);
      if (id >= 0) return this.numberOf(volume, id);
    }
    return -1;
  }

  /** Where from the root the object's volume begins, and its handle there. */
  identityOf(object: number): { readonly mount: Buffer; readonly handle: FileHandle } {
    const { volume, id } = this.#sightOf(object);
    return { mount: volume.prefix, handle: volume.index.handleOf(id) };
  }

  whereIs(object: number): FileIdentity {
    const { volume, id } = this.#sightOf(object);
    return { source: volume.source, handle: volume.index.handleOf(id) };
  }

  /** -1 if no volume has it. */
  find({ source, handle }: FileIdentity): number {
    for (const volume of this.#asked) {
      if (volume.source !== source) continue;
      const id = volume.index.idOfHandle(handle);
      if (id >= 0) return this.numberOf(volume, id);
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

  isGone(object: number): boolean {
    return this.#sightsOf(object).every(({ volume, id }) => volume.index.isGone(id));
  }

  isDirectory(object: number): boolean {
    const { volume, id } = this.#sightOf(object);
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

  /** What this directory has under a name now; -1 if nothing. */
  childOf(object: number, name: Buffer): number {
    for (const { volume, id } of this.#sightsOf(object)) {
      const child = volume.index.childOf(id, name);
      if (child >= 0) return this.numberOf(volume, child);
    }
    return -1;
  }

  /** Has a directory's file system asked for one of its names. */
  refreshName(object: number, name: Buffer): void {
    for (const { volume, id } of this.#sightsOf(object))
      volume.index.refreshNames(volume.index.handleOf(id), [name]);
  }

  /** The top of the volume that begins at a path from the root; -1 if none does. */
  topOf(prefix: Buffer): number {
    const volume = this.#mounted.find((one) => one.prefix.equals(prefix));
    return volume === undefined ? -1 : this.numberOf(volume, 0);
  }

  /** Is it the root directory itself? */
  isTop(object: number): boolean {
    const { volume, id } = this.#sightOf(object);
    return id === 0 && volume.prefix.length === 0;
  }

  /** Objects of which a name, or a name above it, has changed since the last call. */
  takeChanged(): number[] {
    return this.#asked.flatMap((volume) =>
      Array.from(volume.index.takeChanged(), (id) => this.numberOf(volume, id)),
    );
  }

  /** Forgets what has been gone for long: these numbers may be other objects' from now on. */
  prune(): number[] {
    const pruned = this.#asked.flatMap((volume) =>
      Array.from(volume.prune(), (id) => own(volume, id)),
    );
    if (pruned.length > 0) this.#unchoose(new Set(pruned));
    return pruned;
  }

  watchedSinceUs(object: number): number {
    return this.#sightOf(object).volume.watchedSinceUs;
  }

  #unchoose(objects: ReadonlySet<number>): void {
    for (const [from, to] of this.#chosen)
      if (objects.has(from) || objects.has(to)) this.#chosen.delete(from);
  }

  /** The number of an object: of several mounts that show it the one asked for first. */
  numberOf(volume: Volume, id: number): number {
    const object = own(volume, id);
    const others = this.#sameFileSystem(volume);
    if (others.length === 0) return object;
    const known = this.#chosen.get(object);
    if (known !== undefined) return known;
    const handle = volume.index.handleOf(id);
    const sights = [object];
    for (const other of others) {
      const found = other.index.idOfHandle(handle);
      if (found >= 0) sights.push(own(other, found));
    }
    const chosen =
      sights.map((sight) => this.#chosen.get(sight)).find((one) => one !== undefined) ??
      Math.min(...sights);
    for (const sight of sights) this.#chosen.set(sight, chosen);
    return chosen;
  }

  /** @throws RangeError if the volume has gone: see {@link has} */
  #sightOf(object: number): Sight {
    const volume = this.#byNumber.get(volumeOf(object));
    if (volume === undefined) throw new RangeError('the volume of this object has gone');
    return { volume, id: object % OBJECTS };
  }

  /** Every volume that shows the object, and how it is known there. */
  #sightsOf(object: number): Sight[] {
    const first = this.#sightOf(object);
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
    return this.#mounted.length === 1
      ? []
      : this.#mounted.filter((other) => other !== volume && other.place.device === device);
  }
}

function volumeOf(object: number): number {
  return Math.floor(object / OBJECTS);
}

function own(volume: Volume, id: number): number {
  return volume.number * OBJECTS + id;
}
