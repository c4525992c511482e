/**
 * Puts a new database in a damaged one's place, so that a power cut or a kill at any moment leaves
 * the one or the other under its name, and the damaged files all there under names of their own.
 * Owns these names and the order of the steps. Must not know what is in the files.
 *
 * Root may do it in a folder of the service's user, who may make links there at any time: the new
 * file is made in a closed folder, and changed by descriptor only.
 */
import {
  closeSync,
  constants,
  copyFileSync,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  linkSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';

const LOG = '-wal';
const SHARED = '-shm';

export class FileSwap {
  readonly #path: string;
  readonly #folder: string;
  /** What an interrupted swap has kept already: another name of the file at `path`. */
  readonly #keptBefore: string | null;
  #work: string | null = null;

  /** @param path of the damaged database: the file itself, no link to it */
  constructor(path: string) {
    this.#path = path;
    this.#folder = dirname(path);
    this.#keptBefore = this.#otherName();
  }

  /** A swap ended between its steps: `path` may lack its log, which lies beside `source`. */
  get wasInterrupted(): boolean {
    return this.#keptBefore !== null;
  }

  /** Where the damaged database is to be read. */
  get source(): string {
    return this.#keptBefore ?? this.#path;
  }

  /** A name for the new database, where nobody else can make anything. */
  begin(): string {
    const prefix = `${basename(this.#path)}.repairing-`;
    for (const name of readdirSync(this.#folder))
      if (name.startsWith(prefix)) rmSync(join(this.#folder, name), { recursive: true });
    this.#work = mkdtempSync(join(this.#folder, prefix));
    return join(this.#work, basename(this.#path));
  }

  /** The new database, whole and closed, takes the place; where the damaged one is now. */
  finish(time: string): string {
    if (this.#work === null) throw new Error('the swap has not begun');
    const fresh = join(this.#work, basename(this.#path));
    this.#likeTheOld(fresh);
    const kept = this.#keptBefore ?? this.#freeName(`${this.#path}.damaged-${time}`);
    // The log first: a second name of the database says that its log has one too. What is under
    // its old name must have gone before a database comes that it does not belong to.
    if (this.#keptBefore === null)
      for (const suffix of [SHARED, LOG, '']) this.#keep(this.#path + suffix, kept + suffix);
    this.#sync();
    for (const suffix of [SHARED, LOG]) rmSync(this.#path + suffix, { force: true });
    renameSync(fresh, this.#path);
    this.#sync();
    return kept;
  }

  /** Whatever came of it. */
  end(): void {
    if (this.#work !== null) rmSync(this.#work, { recursive: true, force: true });
    this.#work = null;
  }

  #likeTheOld(fresh: string): void {
    const { mode, uid, gid } = statSync(this.#path);
    const file = openSync(fresh, constants.O_RDWR | constants.O_NOFOLLOW);
    try {
      if (fstatSync(file).nlink !== 1) throw new Error(`${fresh} has another name`);
      fchownSync(file, uid, gid);
      fchmodSync(file, mode & 0o777);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  }

  #keep(path: string, kept: string): void {
    if (!isThere(path)) return;
    try {
      linkSync(path, kept);
    } catch {
      // A file system without hard links.
      copyFileSync(path, kept, constants.COPYFILE_EXCL);
    }
  }

  #sync(): void {
    const folder = openSync(this.#folder, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }

  #otherName(): string | null {
    const { dev, ino, nlink } = statSync(this.#path, { bigint: true });
    if (nlink === 1n) return null;
    const prefix = `${basename(this.#path)}.damaged-`;
    for (const name of readdirSync(this.#folder)) {
      if (!name.startsWith(prefix)) continue;
      const found = lstatSync(join(this.#folder, name), { bigint: true });
      if (found.dev === dev && found.ino === ino) return join(this.#folder, name);
    }
    return null;
  }

  /** What was kept before is never overwritten. */
  #freeName(wanted: string): string {
    for (let number = 1; ; number += 1) {
      const name = number === 1 ? wanted : `${wanted}-${number}`;
      if (!['', LOG, SHARED].some((suffix) => isThere(name + suffix))) return name;
    }
  }
}

function isThere(path: string): boolean {
  return lstatSync(path, { throwIfNoEntry: false }) !== undefined;
}
