/**
 * Opens the database file: for the daemon (creating and migrating it) or read-only for everybody
 * else, while the daemon writes or after it was killed. Owns the pragmas and the refusals.
 */
import { copyFileSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import Sqlite, { type Database } from 'better-sqlite3';
import { TraceError } from '../common/errors.ts';
import { makeFolders } from '../common/make-folders.ts';
import { DamagedPage, storeError } from './errors.ts';
import { migrate, migrationsIn, MIGRATIONS, schemaVersion, type Migration } from './migrations.ts';

/** "NFRT": tells our databases from other programs' (`file` prints it). */
export const APPLICATION_ID = 0x4e465254;

export interface OpenOptions {
  readonly path: string;
  readonly readOnly?: boolean;
  /** Folder of the SQL files; for tests. */
  readonly migrations?: string;
}

export interface OpenedDatabase {
  readonly db: Database;
  readonly close: () => void;
}

/**
 * Opens to read, or opens or makes it to write, migrated.
 * @throws TraceError one of docs/store.md's, and what a migration fails of
 */
export function openDatabase(options: OpenOptions): OpenedDatabase {
  // An absolute path: SQLite would take a leading `file:` for a URI.
  const path = resolve(options.path);
  const migrations = migrationsIn(options.migrations ?? MIGRATIONS);
  try {
    return options.readOnly === true ? openToRead(path, migrations) : openToWrite(path, migrations);
  } catch (error) {
    throw storeError(error, path);
  }
}

function openToWrite(path: string, migrations: readonly Migration[]): OpenedDatabase {
  makeFolders(dirname(path));
  // Shorter than SQLite's usual 5 s: the writer asks again with the next flush, and until then the
  // daemon hears nobody.
  const db = new Sqlite(path, { timeout: 1000 });
  try {
    refuseForeign(db, migrations);
    refuseDamaged(db);
    db.pragma('journal_mode = WAL');
    // A killed process loses nothing that was committed. A power cut may take the transactions
    // since the last checkpoint, never a part of one; `Store.sync` checkpoints where that matters.
    db.pragma('synchronous = NORMAL');
    // 16 MB of log: four times fewer checkpoints (each syncs twice) than the default.
    db.pragma('wal_autocheckpoint = 4000');
    // Half of what the binding gives: with 1,000 clients writing it is 4 % slower, and 19 MiB less.
    db.pragma('cache_size = -8000');
    // A migration may have to make a table anew that others refer to.
    db.pragma('foreign_keys = OFF');
    migrate(db, migrations);
    db.pragma('foreign_keys = ON');
    db.pragma(`application_id = ${APPLICATION_ID}`);
  } catch (error) {
    db.close();
    throw error;
  }
  return { db, close: () => closeWriter(db) };
}

/**
 * Leaves a single file without a write-ahead log, which anybody who may read it can open: in WAL
 * mode a reader must be able to create the -shm file in the folder.
 */
function closeWriter(db: Database): void {
  try {
    db.pragma('busy_timeout = 0');
    db.pragma('journal_mode = DELETE');
  } catch (error) {
    // A reader is still there, or the disk is full: what was committed is safe in the log, and the
    // next close tidies up.
    if (!(error instanceof Sqlite.SqliteError && /^SQLITE_(BUSY|LOCKED|FULL)/.test(error.code)))
      throw error;
  } finally {
    db.close();
  }
}

function openToRead(path: string, migrations: readonly Migration[]): OpenedDatabase {
  // existsSync would say the same of a folder that may not be looked into.
  const found = statSync(path, { throwIfNoEntry: false });
  // A reader of a FIFO waits for ever.
  if (found?.isFIFO() === true)
    throw new TraceError({
      code: 'database-foreign',
      message: `${path} is no file`,
      hint: 'name our database with --state-dir or --db',
      exit: 'data',
    });
  if (found === undefined)
    throw new TraceError({
      code: 'database-missing',
      message: `there is no database ${path}`,
      hint: '`trace start --root DIR` makes it; another place is named in the configuration',
      exit: 'notFound',
    });
  try {
    return checkedReader(path, migrations, () => undefined);
  } catch (error) {
    if (!needsCopy(error, path)) throw error;
  }
  return openCopy(path, migrations);
}

function checkedReader(
  path: string,
  migrations: readonly Migration[],
  afterClose: () => void,
): OpenedDatabase {
  const db = new Sqlite(path, { readonly: true, fileMustExist: true });
  const close = () => {
    db.close();
    afterClose();
  };
  try {
    refuseForeign(db, migrations);
    const newest = migrations.length;
    const version = schemaVersion(db);
    if (version < newest)
      throw new TraceError({
        code: 'database-older',
        message: `the database ${path} has schema ${version}, this program reads ${newest}`,
        hint: 'start the daemon once with this version: it brings the database up to date',
        exit: 'data',
      });
  } catch (error) {
    db.close();
    throw error;
  }
  return { db, close };
}

/**
 * A database in WAL mode without its -shm file in a folder that we may not write: nobody has it
 * open (an open one always has its -shm), so a copy is sound.
 */
function needsCopy(error: unknown, path: string): boolean {
  return (
    error instanceof Sqlite.SqliteError &&
    /^SQLITE_(CANTOPEN|READONLY)/.test(error.code) &&
    !isThere(`${path}-shm`)
  );
}

/** stat(2), not access(2) as existsSync: that drops the capabilities of a process that is not root. */
function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}

function openCopy(path: string, migrations: readonly Migration[]): OpenedDatabase {
  const folder = mkdtempSync(join(tmpdir(), 'nfsroot-trace-'));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  try {
    const copy = join(folder, 'trace.db');
    copyFileSync(path, copy);
    if (isThere(`${path}-wal`)) copyFileSync(`${path}-wal`, `${copy}-wal`);
    return checkedReader(copy, migrations, remove);
  } catch (error) {
    remove();
    throw error;
  }
}

/**
 * Writing to a damaged database makes it worse. Every page is looked at: 0.4 s for 100 MB that is
 * cached.
 */
function refuseDamaged(db: Database): void {
  const found = db.pragma('quick_check(1)', { simple: true });
  if (found !== 'ok') throw new DamagedPage(String(found).split('\n').at(-1) ?? 'quick_check');
}

function refuseForeign(db: Database, migrations: readonly Migration[]): void {
  const id = db.pragma('application_id', { simple: true }) as number;
  const version = schemaVersion(db);
  const tables = db.prepare('SELECT count(*) FROM sqlite_schema').pluck().get() as number;
  if (id !== APPLICATION_ID && (id !== 0 || version !== 0 || tables > 0))
    throw new TraceError({
      code: 'database-foreign',
      message: `${db.name} is another program's database`,
      hint: 'name another file for the database in the configuration',
      exit: 'data',
    });
  if (version > migrations.length)
    throw new TraceError({
      code: 'database-newer',
      message: `the database ${db.name} has schema ${version}, this program knows ${migrations.length}`,
      hint: 'use the newer version of the program that wrote it, or the copy kept beside it',
      exit: 'data',
    });
}
