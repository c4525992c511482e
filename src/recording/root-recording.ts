/**
 * One root under recording: its file systems (volumes.ts), their objects (root-objects.ts) and the
 * numbers that these have in the store (file-numbers.ts), as one.
 * Owns who asks which of them. Must not know sessions, clients or SQL.
 */
import type { BatchTap } from '../capture/batch-tap.ts';
import type { FileEvent } from '../common/batches.ts';
import type { ObjectStat } from '../fanotify-ts/handle-index.ts';
import type { FileState, NameChange, NewFile, OnLoss, RecordedMount } from '../store/types.ts';
import type { ClientFilter } from './client-filter.ts';
import { wallOffsetUs } from './clock.ts';
import { FileNumbers, type KnownFiles } from './file-numbers.ts';
import type { MountTable, Place } from './mounts.ts';
import { isWithin } from './paths.ts';
import type { FileIdentity, RootObjects } from './root-objects.ts';
import { overlap, useExports, type UsedExport } from './used-exports.ts';
import type { RootIndex, Watcher } from './volume.ts';
import {
  Volumes,
  type AccessTime,
  type FollowOptions,
  type Refused,
  type Unwatched,
} from './volumes.ts';

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

const UNNAMED = Buffer.from('?');

export class RootRecording {
  /** Absolute, symlinks resolved. */
  readonly path: Buffer;
  readonly #volumes: Volumes;
  readonly #objects: RootObjects;
  readonly #numbers: FileNumbers;
  /** Mounts that the store knows of. */
  readonly #mounts = new Set<string>();
  #identity: RecordingIdentity | null = null;
  #recalled = false;
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
    this.#objects = this.#volumes.objects;
    this.#numbers = new FileNumbers(this.#objects);
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

  /** Answers of {@link pathsOf} that lack names: there were too many, or they were too long. */
  get leftOut(): number {
    return this.#volumes.growth().leftOut;
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

  /**
   * Takes its identity, and what the store already knows of the root from earlier: looked at as soon
   * as a file system of the root has been walked for the first time.
   */
  begin(identity: RecordingIdentity, known?: KnownFiles): void {
    this.#identity = identity;
    this.#numbers.begin(known ?? null);
  }

  close(): void {
    this.#volumes.close();
  }

  /** Takes in what is mounted below the root now; see {@link walkNew}. Tells if anything changed. */
  followMounts(mounts: MountTable, options: FollowOptions): boolean {
    return this.#volumes.follow(mounts, options);
  }

  /**
   * Walks the file systems that have not been: the root's own, and those that came. One that is
   * refused is tried again by a later call: see {@link unlisted}.
   */
  async walkNew(refused: Refused): Promise<void> {
    await this.#volumes.walkNew(refused);
    this.#recall();
  }

  /** Why a file system of it could not be listed; null if all could be. */
  get unlisted(): string | null {
    return this.#volumes.unlisted;
  }

  /** Has another mount become the root since the last call? While nobody watched it. */
  takeReplaced(): Unwatched | null {
    return this.#volumes.takeReplaced();
  }

  /** Frees what was unmounted before the last call. */
  letGo(): void {
    this.#volumes.letGo();
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

  /** See {@link useExports}. */
  useExports(exports: readonly UsedExport[]): void {
    useExports(this.#volumes.all, exports);
  }

  /** Does the hash stand for the root directory itself? */
  isRootHash(hash: number): boolean {
    return this.objectsOfHash(hash).some((object) => this.#objects.isTop(object));
  }

  /** The object's first name, relative to the root; empty for the root itself. */
  pathOf(object: number): Buffer {
    return (this.#objects.has(object) ? this.#objects.pathsOf(object)[0] : undefined) ?? UNNAMED;
  }

  /** Every name, relative to the root; the last known ones if it is gone. */
  pathsOf(object: number): Buffer[] {
    return this.#objects.pathsOf(object);
  }

  /** Objects that an NFS file-handle hash stands for: none, one, or several on a collision. */
  objectsOfHash(hash: number): number[] {
    return this.#objects.objectsOfHash(hash);
  }

  /** The object a file event is about, or -1 if it is not of this root. */
  objectOfEvent(event: FileEvent): number {
    return this.#objects.objectOfEvent(event);
  }

  /**
   * The object of an event that {@link objectOfEvent} does not know, after another look at its
   * directory: -1 if it is not of this root or has gone, null if its directory can't be listed now.
   */
  seek(event: FileEvent): number | null {
    return this.#objects.seek(event);
  }

  /** What an object is whatever the root. */
  whereIs(object: number): FileIdentity {
    return this.#objects.whereIs(object);
  }

  /** The object that this root has of it, or -1. */
  find(identity: FileIdentity): number {
    return this.#objects.find(identity);
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
    return this.#numbers.idOf(object);
  }

  /** Is its path a directory that is recorded? Not when it was removed, or cannot be watched. */
  isInPlace(): boolean {
    return this.#volumes.isInPlace();
  }

  isDirectory(object: number): boolean {
    return this.#objects.isDirectory(object);
  }

  /** Does this directory have this name now? */
  hasChild(directory: number, name: Buffer): boolean {
    return this.#objects.hasChild(directory, name);
  }

  /** What this directory has under a name; -1 if nothing. */
  childOf(directory: number, name: Buffer): number {
    return this.#objects.childOf(directory, name);
  }

  /** Asks the file system for one name of a directory. */
  refreshName(directory: number, name: Buffer): void {
    this.#objects.refreshName(directory, name);
  }

  /** The directory that a file system of the root begins with, by its path; -1 if none does there. */
  topOf(path: Buffer): number {
    return this.#objects.topOf(path);
  }

  /** As it is now; null if none of its names leads to it any more. */
  statOf(object: number): ObjectStat | null {
    return this.#objects.statOf(object);
  }

  isInit(object: number): boolean {
    return this.#numbers.isInit(object);
  }

  /** Did an NFS client create this object while the recording ran? */
  isCreated(object: number): boolean {
    return this.#objects.isCreated(object);
  }

  /** Since when (monotonic) every read of this object makes a file event. */
  watchedSinceUs(object: number): number {
    return this.#objects.watchedSinceUs(object);
  }

  /** Brings the indexes up to date with creations, deletions and renames that were seen. */
  followNames(events: readonly FileEvent[]): void {
    // As the file systems' clock has it now.
    const startedUs = (): number => this.options.startedUs + wallOffsetUs();
    for (const volume of this.#volumes.all) volume.followNames(events, startedUs);
  }

  /**
   * Walks the whole root again, for a handle that nothing has announced.
   * @param untilUs monotonic: only what was not walked after this
   */
  async rewalk(untilUs?: number): Promise<void> {
    await this.#volumes.walk(untilUs);
    this.#recall();
  }

  /** What the last walk could not look at, and hashes that two objects share; null before it. */
  get summary(): { readonly unreadable: number; readonly collisions: number } | null {
    return this.#volumes.summary;
  }

  /** The file id of an object; a first sight gives it one and adds its row to `files`. */
  fileOf(object: number, nextId: () => number, files: NewFile[]): number {
    return this.#numbers.fileOf(object, { rootId: this.options.rootId, nextId, files });
  }

  /** What an object with a file id is, unless the store knows it so. See {@link FileNumbers.newsOf}. */
  newsOf(object: number, how?: { readonly now: boolean }): FileState | undefined {
    return this.#numbers.newsOf(object, how);
  }

  /** Names of already known files that appeared or went since the last call. */
  nameChanges(): NameChange[] {
    return this.#numbers.nameChanges(this.#volumes.turn);
  }

  /**
   * Has a file system been walked since the last call that nobody watched before? Then what changed
   * meanwhile is in {@link nameChanges}, and is older than all uses that follow.
   */
  takeRecalled(): boolean {
    const recalled = this.#recalled;
    this.#recalled = false;
    return recalled;
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

  #recall(): void {
    const there = this.#volumes.all.map(({ prefix }) => prefix);
    const fresh = this.#volumes.takeFresh();
    this.#numbers.recall({ fresh, there });
    this.#recalled ||= fresh.length > 0;
  }
}
