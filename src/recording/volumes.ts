/**
 * Which file systems a root has: its own, and what is mounted below it. Owns them, follows what is
 * mounted and what goes, and has each one listed. Must not know exports, nor what is known of their
 * objects (root-objects.ts).
 */
import { statSync } from 'node:fs';
import { TraceError } from '../common/errors.ts';
import type { IndexSummary } from '../fanotify-ts/handle-index.ts';
import { nowUs } from './clock.ts';
import { MountTable, readMountinfo, type Mount, type Place } from './mounts.ts';
import { relativeTo } from './paths.ts';
import { RootObjects } from './root-objects.ts';
import { Volume, type RootIndex, type Watcher } from './volume.ts';
import { asWalk } from './walks.ts';

/** A file system that could not be listed is tried again after this long. */
const RETRY_US = 5_000_000;

const S_IFMT = 0o170000;
const S_IFLNK = 0o120000;

/** When an object was accessed last, wall-clock microseconds. */
export interface AccessTime {
  readonly object: number;
  readonly atUs: number;
  /** Is it a symbolic link? */
  readonly link: boolean;
}

interface Unwalked {
  readonly retryUs: number;
  /** Why it could not be listed; null if that was not tried. */
  readonly why: string | null;
}

const UNTRIED: Unwalked = { retryUs: 0, why: null };

interface Walked {
  readonly summary: IndexSummary;
  /** Monotonic: what changed before is in it. */
  readonly beganUs: number;
}

export interface FollowOptions {
  /** Is this mount below the root to be recorded? */
  readonly wanted: (mount: Mount) => boolean;
  /** Hears why a wanted one cannot be. */
  readonly refused: Refused;
  /** Monotonic: until when the mounts were as they were at the last call, for certain. */
  readonly knownUs: number;
}

/** A time (monotonic) in which nobody watched the root. */
export interface Unwatched {
  readonly fromUs: number;
  readonly toUs: number;
}

/** Hears of a mount that cannot be recorded. */
export type Refused = (mount: Mount, error: TraceError) => void;

export class Volumes {
  /** What they hold. */
  readonly objects = new RootObjects();
  readonly #root: Buffer;
  readonly #watcher: Watcher | null;
  readonly #index: RootIndex | undefined;
  #volumes: Volume[] = [];
  /** Unmounted, and since how many calls of {@link letGo}: what came before is asked about. */
  readonly #leaving = new Map<Volume, number>();
  #all: readonly Volume[] = [];
  readonly #walked = new Map<Volume, Walked>();
  readonly #unwalked = new Map<Volume, Unwalked>();
  /** Where volumes begin that were walked for the first time, not taken yet. */
  #fresh: Buffer[] = [];
  #replaced: Unwatched | null = null;
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
    for (const volume of this.objects.volumes()) volume.close();
    this.objects.clear();
    this.#leaving.clear();
    this.#unwalked.clear();
    this.#all = this.#volumes = [];
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

  /**
   * Walks every volume again, for a handle that nothing has announced, or for what nobody saw.
   * @param untilUs monotonic: not those that were walked after this
   */
  async walk(untilUs = Infinity): Promise<void> {
    for (const volume of [...this.#volumes])
      if ((this.#walked.get(volume)?.beganUs ?? -Infinity) <= untilUs) await this.#walk(volume);
  }

  /** Walks the volumes that no walk has seen yet; one that is refused is tried again later. */
  async walkNew(refused: Refused): Promise<void> {
    for (const [volume, { retryUs }] of [...this.#unwalked]) {
      if (nowUs() < retryUs || !this.#unwalked.has(volume)) continue;
      try {
        await this.#walk(volume);
      } catch (error) {
        if (!(error instanceof TraceError)) throw error;
        const why = error.message;
        if (this.#unwalked.has(volume))
          this.#unwalked.set(volume, { retryUs: nowUs() + RETRY_US, why });
        refused(volume.place.mount, error);
      }
    }
  }

  /** Why a volume could not be listed, so that nothing in it has a name; null if all could be. */
  get unlisted(): string | null {
    return [...this.#unwalked.values()].map(({ why }) => why).find((why) => why !== null) ?? null;
  }

  /** Where volumes begin that were walked for the first time since the last call. */
  takeFresh(): Buffer[] {
    const fresh = this.#fresh;
    this.#fresh = [];
    return fresh;
  }

  async #walk(volume: Volume): Promise<void> {
    const beganUs = nowUs();
    const summary = await asWalk(() => volume.index.walk());
    this.#walked.set(volume, { summary, beganUs });
    if (this.#unwalked.delete(volume)) this.#fresh.push(volume.prefix);
  }

  /** What the last walks found, and what they could not look at; null before the first. */
  get summary(): Pick<IndexSummary, 'unreadable' | 'collisions'> | null {
    const known = this.#volumes.flatMap((volume) => this.#walked.get(volume)?.summary ?? []);
    if (known.length === 0) return null;
    const sum = (key: 'unreadable' | 'collisions'): number =>
      known.reduce((total, summary) => total + summary[key], 0);
    return { unreadable: sum('unreadable'), collisions: sum('collisions') };
  }

  /**
   * Takes in what is mounted now: opens and watches what is new and wanted. What is not there any
   * more is asked about until {@link letGo}.
   * @returns whether anything changed
   */
  follow(mounts: MountTable, { wanted, refused, knownUs }: FollowOptions): boolean {
    const visible = mounts.visibleBelow(this.#root);
    const places = new Map<string, Place>();
    const own = mounts.placeOf(this.#root);
    if (own !== null) places.set(keyOf(this.#root), own);
    for (const mount of visible) {
      const place = mounts.placeOf(mount.at);
      if (place !== null) places.set(keyOf(mount.at), place);
    }
    const stays = ({ path, place }: Volume): boolean => {
      const now = places.get(keyOf(path));
      return own === null || (now !== undefined && sameMount(now, place));
    };
    const gone = this.#volumes.filter((volume) => !stays(volume));
    this.#volumes = this.#volumes.filter(stays);
    for (const volume of gone) {
      volume.unwatch();
      this.#unwalked.delete(volume);
      this.#leaving.set(volume, 0);
    }
    let changed = gone.length > 0;
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
    const toUs = this.#volumes.find(isOwn)?.watchedSinceUs;
    if (gone.some(isOwn) && toUs !== undefined)
      this.#replaced = { fromUs: this.#replaced?.fromUs ?? knownUs, toUs };
    if (changed) this.#turn += 1;
    this.#arrange();
    return changed;
  }

  /** Has another mount become the root since the last call? While nobody watched it. */
  takeReplaced(): Unwatched | null {
    const replaced = this.#replaced;
    this.#replaced = null;
    return replaced;
  }

  /**
   * Lets go of what was unmounted before the last call: what happened on it has been asked about
   * by then. An index keeps its device in use.
   */
  letGo(): void {
    for (const [volume, calls] of this.#leaving)
      if (calls > 0) this.#drop(volume);
      else this.#leaving.set(volume, calls + 1);
  }

  /** Objects with an access time in a span, directories left out. */
  async accessedBetween(span: {
    readonly sinceNs: bigint;
    readonly untilNs: bigint;
  }): Promise<AccessTime[]> {
    const found = new Map<number, AccessTime>();
    for (const volume of this.#volumes)
      for (const { id, accessedNs } of await asWalk(() => volume.index.accessedBetween(span))) {
        const object = this.objects.numberOf(volume, id);
        const link = ((volume.index.statOf(id)?.mode ?? 0) & S_IFMT) === S_IFLNK;
        found.set(object, { object, atUs: Number(accessedNs / 1000n), link });
      }
    return [...found.values()];
  }

  /** Does the root's path lead to the directory that is recorded? */
  isInPlace(): boolean {
    // A replayed tree is nowhere.
    if (this.#index !== undefined) return true;
    const own = this.#volumes.find(isOwn);
    const stat = own?.index.statOf(0);
    if (stat === undefined || stat === null) return false;
    try {
      const { dev, ino } = statSync(this.#root, { bigint: true });
      return Number(dev) === stat.dev && ino === stat.inode;
    } catch {
      return false;
    }
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
    this.objects.add(volume);
    this.#volumes.push(volume);
    this.#unwalked.set(volume, UNTRIED);
    this.#arrange();
  }

  #drop(volume: Volume): void {
    volume.close();
    this.#leaving.delete(volume);
    this.objects.delete(volume);
    this.#walked.delete(volume);
    this.#turn += 1;
    this.#arrange();
  }

  /** What is mounted anew where it was is asked itself: one object is to have one number. */
  #arrange(): void {
    const mounted = this.#volumes;
    const left = [...this.#leaving.keys()].filter((old) => !mounted.some((one) => shows(one, old)));
    this.#all = [...mounted, ...left];
    this.objects.arrange({ mounted, asked: this.#all });
  }
}

function isOwn({ prefix }: Volume): boolean {
  return prefix.length === 0;
}

/** Does a volume show all that another one did, by the same paths? */
function shows({ prefix, place }: Volume, old: Volume): boolean {
  return prefix.equals(old.prefix) && sameDirectory(place, old.place);
}

/**
 * The kernel gives a mount's number to the next one at once; a device's only when nothing holds the
 * file system any more, and an index does. What was mounted again so has been watched all along.
 */
function sameMount(a: Place, b: Place): boolean {
  return a.mount.id === b.mount.id && sameDirectory(a, b);
}

function sameDirectory(a: Place, b: Place): boolean {
  return a.device === b.device && a.inner.equals(b.inner);
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
