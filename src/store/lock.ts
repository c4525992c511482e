/**
 * One daemon a database: two would give the same numbers to different sessions. Owns the lock,
 * which the kernel takes back when its holder ends, however it ends.
 */
import { lchownSync, lstatSync, realpathSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import Sqlite from 'better-sqlite3';
import { TraceError } from '../common/errors.ts';
import { makeFolders } from '../common/make-folders.ts';
import { storeError } from './errors.ts';

export interface DatabaseLock {
  release(): void;
}

/**
 * Takes the lock of the database at `path`. It is SQLite's own on an empty file beside the
 * database, since Node has no flock(2); on the database itself it would keep readers out.
 * @throws TraceError `daemon-running` (exit 75), `lock-not-writable` (exit 77), or what the
 * database's folder gives
 */
export function lockDatabase(path: string): DatabaseLock {
  try {
    // Beside the file itself, as SQLite's own log is, by whatever links it was reached.
    const file = `${statSync(path, { throwIfNoEntry: false }) !== undefined ? realpathSync(path) : resolve(path)}.lock`;
    makeFolders(dirname(file), 0o750);
    refuseLink(file);
    const db = new Sqlite(file, { timeout: 0 });
    try {
      take(db, file);
      giveToFolder(file);
    } catch (error) {
      db.close();
      throw error;
    }
    return { release: () => db.close() };
  } catch (error) {
    if (error instanceof Sqlite.SqliteError && error.code.startsWith('SQLITE_BUSY'))
      throw new TraceError({
        code: 'daemon-running',
        message: `another daemon already writes to ${path}`,
        hint: 'see `trace status`; another state folder is named with --state-dir',
        exit: 'busy',
        cause: error,
      });
    throw storeError(error, path);
  }
}

/** Root would make an empty file wherever a link leads that the folder's owner has made. */
function refuseLink(file: string): void {
  if (lstatSync(file, { throwIfNoEntry: false })?.isSymbolicLink() !== true) return;
  throw new TraceError({
    code: 'lock-not-writable',
    message: `the lock ${file} is a link`,
    hint: 'remove it: the lock is an empty file beside the database',
    exit: 'permission',
  });
}

/**
 * SQLite opens what it may not write to for reading only, and then BEGIN EXCLUSIVE is a shared lock.
 * So something is written, which is never committed: the file stays empty.
 */
function take(db: Sqlite.Database, file: string): void {
  db.pragma('journal_mode = MEMORY');
  db.exec('BEGIN EXCLUSIVE');
  try {
    db.pragma('user_version = 1');
  } catch (cause) {
    if (!(cause instanceof Sqlite.SqliteError && cause.code.startsWith('SQLITE_READONLY')))
      throw cause;
    throw new TraceError({
      code: 'lock-not-writable',
      message: `the lock ${file} may not be written to by this user`,
      hint: `give it to the folder's owner: chown --reference=${dirname(file)} ${file}`,
      exit: 'permission',
      cause,
    });
  }
}

/** Root may repair a service's database, which must be able to lock it afterwards. */
function giveToFolder(file: string): void {
  if (process.geteuid?.() !== 0) return;
  const { uid, gid } = statSync(dirname(file));
  if (uid !== 0) lchownSync(file, uid, gid);
}
