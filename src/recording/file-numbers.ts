/**
 * Which number an object of a root has in the store, which names the store believes it to have, and
 * when it changed last as far as the store knows. Owns these. Must not know where objects are, nor SQL.
 */
import type { FileHandle } from '../common/batches.ts';
import type { Store } from '../store/store.ts';
import type { FileState, KnownFile, NameChange, NewFile } from '../store/types.ts';
import { Looks } from './looks.ts';
import type { RootObjects } from './root-objects.ts';

/** Where an initramfs or a root file system keeps the first program, relative to the root. */
const INIT_PATHS = new Set(
  ['init', 'sbin/init', 'usr/sbin/init', 'lib/systemd/systemd', 'usr/lib/systemd/systemd'].map(
    (path) => Buffer.from(path).toString('latin1'),
  ),
);

/** Between the names of one file; no name has it. */
const NUL = '\0';

/** What the store knows of a root from earlier. */
export interface KnownFiles {
  readonly all: () => Iterable<KnownFile>;
  readonly idOf: (mount: Buffer, handle: FileHandle) => number | undefined;
}

/** As a store answers it. */
export function knownFilesOf(
  store: Pick<Store, 'knownFiles' | 'fileIdOf'>,
  rootId: number,
): KnownFiles {
  return {
    all: () => store.knownFiles(rootId),
    idOf: (mount, handle) => store.fileIdOf(rootId, mount, handle),
  };
}

/** Where file systems of a root begin, as paths from the root. */
interface Recalled {
  /** Those that were walked for the first time just now. */
  readonly fresh: readonly Buffer[];
  /** Those that are mounted, walked or not. */
  readonly there: readonly Buffer[];
}

export class FileNumbers {
  readonly #objects: RootObjects;
  #known: KnownFiles | null = null;
  readonly #fileIdOf = new Map<number, number>();
  /** Object → the names that the store has, packed. The root's own name is not among them. */
  readonly #liveNames = new Map<number, string>();
  readonly #initFiles = new Set<number>();
  /** Object → its ctime that the store has; in microseconds, which as a number is smaller. */
  readonly #changedUs = new Map<number, number>();
  readonly #looks: Looks<FileState | undefined>;
  /** What is to be told of names, beside what a comparison finds. */
  #changes: NameChange[] = [];
  /** Objects that were gone already when they were first seen in use. */
  #goneAtSight: number[] = [];
  #recalled = false;
  /** Does the store know files that have no object here, and may come back? */
  #strangers = false;
  #turn = 0;

  constructor(objects: RootObjects) {
    this.#objects = objects;
    this.#looks = new Looks((object) => this.#newsOf(object));
  }

  /** Takes what the store knows, to be asked when a file system has been walked. */
  begin(known: KnownFiles | null): void {
    this.#known = known;
  }

  /** The object's number in the store, if it has one. */
  idOf(object: number): number | undefined {
    return this.#fileIdOf.get(object);
  }

  isInit(object: number): boolean {
    return this.#initFiles.has(object);
  }

  /**
   * Gives the files that the store knows their numbers again: those in file systems that are new
   * here, and the first time those that have no file system here now. What is not found has no name
   * any more.
   */
  recall({ fresh, there }: Recalled): void {
    if (this.#known === null || fresh.length === 0) return;
    const walked = new Set(fresh.map(keyOf));
    const mounted = new Set(there.map(keyOf));
    // A file system that was mounted again: its files are other objects now.
    const before = new Map([...this.#fileIdOf].map(([object, id]) => [id, object]));
    for (const { id, mount, handle, names, ctimeNs } of this.#known.all()) {
      const key = keyOf(mount);
      if (!walked.has(key) && (this.#recalled || mounted.has(key))) continue;
      const object = this.#objects.objectOf(mount, handle);
      const old = before.get(id);
      if (object >= 0 && object === old) continue;
      if (object >= 0) {
        const live = old === undefined ? packed(names) : (this.#liveNames.get(old) ?? '');
        if (old !== undefined) this.#forget(old);
        this.#remember(object, id, live);
        if (ctimeNs !== null) this.#changedUs.set(object, microseconds(ctimeNs));
      } else if (old === undefined) {
        this.#strangers = true;
        for (const path of names) this.#changes.push({ fileId: id, path, change: 'removed' });
      }
    }
    this.#recalled = true;
  }

  /** The number of an object; a first sight gives it one and adds its row to `files`. */
  fileOf(
    object: number,
    { rootId, nextId, files }: { rootId: number; nextId: () => number; files: NewFile[] },
  ): number {
    const id = this.#fileIdOf.get(object);
    if (id !== undefined) return id;
    const { mount, handle } = this.#objects.identityOf(object);
    const names = this.#objects.pathsOf(object);
    // Its last names do not hold any more, and no later change would say so.
    if (this.#objects.isGone(object)) this.#goneAtSight.push(object);
    const again = this.#strangers ? this.#known?.idOf(mount, handle) : undefined;
    if (again !== undefined) {
      for (const path of names) this.#changes.push({ fileId: again, path, change: 'added' });
      return this.#remember(object, again, packed(names));
    }
    const stat = this.#objects.statOf(object);
    const file: NewFile = {
      id: nextId(),
      rootId,
      mount,
      handle,
      dev: stat?.dev ?? 0,
      inode: BigInt(stat?.inode ?? 0),
      mode: stat?.mode ?? (this.#objects.isDirectory(object) ? 0o040000 : 0),
      uid: stat?.uid ?? 0,
      gid: stat?.gid ?? 0,
      size: stat?.size ?? 0,
      mtimeNs: stat?.mtimeNs ?? 0n,
      nlink: stat?.nlink ?? 0,
      ctimeNs: stat?.ctimeNs ?? null,
      target: stat?.target ?? null,
      names,
    };
    files.push(file);
    if (stat !== null) this.#changedUs.set(object, microseconds(stat.ctimeNs));
    return this.#remember(object, file.id, packed(names));
  }

  /**
   * What an object with a number is, unless the store knows it so.
   * @param how.now it must be so now, not some seconds ago
   */
  newsOf(object: number, { now = false }: { readonly now?: boolean } = {}): FileState | undefined {
    return this.#looks.at(object, now);
  }

  #newsOf(object: number): FileState | undefined {
    const stat = this.#objects.statOf(object);
    if (stat === null || microseconds(stat.ctimeNs) === this.#changedUs.get(object))
      return undefined;
    const { mode, uid, gid, size, mtimeNs, nlink, ctimeNs, target } = stat;
    return { mode, uid, gid, size, mtimeNs, nlink, ctimeNs, target };
  }

  /**
   * Names of already known files that appeared or went since the last call.
   * @param turn goes up when a file system comes or goes
   */
  nameChanges(turn: number): NameChange[] {
    this.#looks.forgetOld();
    const changed = new Set([...this.#goneAtSight, ...this.#objects.takeChanged()]);
    this.#goneAtSight = [];
    if (turn !== this.#turn) {
      this.#turn = turn;
      for (const object of [...this.#fileIdOf.keys()])
        if (this.#objects.has(object)) changed.add(object);
        else this.#lose(object);
    }
    const changes = this.#changes;
    this.#changes = [];
    for (const object of changed) {
      const fileId = this.#fileIdOf.get(object);
      if (fileId === undefined) continue;
      const before = this.#liveNames.get(object) ?? '';
      const now = this.#objects.isGone(object) ? '' : packed(this.#objects.pathsOf(object));
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
    for (const object of this.#objects.prune()) {
      this.#strangers = true;
      this.#forget(object);
    }
    return changes;
  }

  /** Its file system is not mounted any more. If it comes back, the store knows it by its handle. */
  #lose(object: number): void {
    const fileId = this.#fileIdOf.get(object);
    if (fileId === undefined) return;
    this.#strangers = true;
    for (const name of unpacked(this.#liveNames.get(object) ?? ''))
      this.#changes.push({ fileId, path: Buffer.from(name, 'latin1'), change: 'removed' });
    this.#forget(object);
  }

  /** @param names that the store has, packed */
  #remember(object: number, id: number, names: string): number {
    this.#fileIdOf.set(object, id);
    this.#liveNames.set(object, names);
    if (unpacked(names).some((name) => INIT_PATHS.has(name))) this.#initFiles.add(object);
    return id;
  }

  #forget(object: number): void {
    this.#fileIdOf.delete(object);
    this.#changedUs.delete(object);
    this.#liveNames.delete(object);
    this.#initFiles.delete(object);
  }
}

/** Names as one string: arrays of Buffers cost five times as much memory. */
function packed(names: readonly Buffer[]): string {
  return names.map((name) => name.toString('latin1')).join(NUL);
}

function unpacked(names: string): string[] {
  return names === '' ? [] : names.split(NUL);
}

function microseconds(ns: bigint): number {
  return Number(ns / 1000n);
}

function keyOf(path: Buffer): string {
  return path.toString('latin1');
}
