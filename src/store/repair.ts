/**
 * Salvages a damaged database: every row that can still be read goes into a new one, the damaged
 * files are kept beside it as they are, and every session says that it may lack something.
 * Owns the order of these steps. Must not know how pages are laid out.
 */
import { lstatSync, realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import Sqlite, { type Database } from 'better-sqlite3';
import { TraceError } from '../common/errors.ts';
import { storeError } from './errors.ts';
import { FileSwap } from './file-swap.ts';
import { lockDatabase } from './lock.ts';
import { mendReferences } from './mend.ts';
import { APPLICATION_ID, openDatabase, type OpenOptions } from './open-database.ts';
import { migrationsIn, MIGRATIONS, schemaVersion } from './migrations.ts';
import { SqlitePages, type CarvedFile } from './sqlite-pages.ts';
import { Store } from './store.ts';
import { TableShapes } from './table-shapes.ts';

/** The pages of a file in which no table is. */
const EMPTY_PAGES = 1;

export interface RepairReport {
  /** Nothing was wrong, and nothing was done. */
  readonly sound: boolean;
  /** Where the damaged database is now; null if it was sound. */
  readonly kept: string | null;
  readonly file: CarvedFile;
  /** Rows that were read, by table. */
  readonly rows: Readonly<Record<string, number>>;
  /** Rows that could not be read, or that no table can have held. */
  readonly lostRows: number;
  readonly sessions: number;
  /** What had to be made up or left out, in words. */
  readonly mended: readonly string[];
}

export interface RepairOptions extends Pick<OpenOptions, 'migrations'> {
  readonly path: string;
  /** Wall clock, microseconds: names what is kept, and times the loss. */
  readonly atUs: number;
}

/**
 * @throws TraceError `database-missing`, `daemon-running`, `database-newer`, `database-foreign`, `database-link`, or
 * what the new database's place gives
 */
export function repairDatabase(options: RepairOptions): RepairReport {
  if (statSync(options.path, { throwIfNoEntry: false }) === undefined)
    throw new TraceError({
      code: 'database-missing',
      message: `there is no database ${resolve(options.path)}`,
      hint: 'name the state folder with --state-dir, or the file with --db',
      exit: 'notFound',
    });
  refusePlace(options.path);
  // SQLite's log lies beside the file itself, by whatever links it was reached.
  const path = realpathSync(options.path);
  const lock = lockDatabase(path);
  try {
    const isOurs = refuseOthers(path, options.migrations ?? MIGRATIONS);
    const swap = new FileSwap(path);
    if (!swap.wasInterrupted && isSound(path)) return sound(path);
    return salvage({ ...options, path, swap, isOurs });
  } catch (error) {
    throw storeError(error, path);
  } finally {
    lock.release();
  }
}

/**
 * Only a file is put in a file's place, and root follows no link that another user may have made:
 * it would replace whatever that leads to.
 */
function refusePlace(path: string): void {
  const link = lstatSync(path);
  if (link.isSymbolicLink() && process.geteuid?.() === 0 && link.uid !== 0)
    throw new TraceError({
      code: 'database-link',
      message: `the database ${path} is a link that user ${link.uid} made, which root does not follow`,
      hint: 'name the file itself with --db',
      exit: 'permission',
    });
  if (!statSync(path).isFile())
    throw new TraceError({
      code: 'database-foreign',
      message: `${path} is no file`,
      hint: 'name our database with --state-dir or --db',
      exit: 'data',
    });
}

function salvage({
  path,
  atUs,
  swap,
  isOurs,
  ...options
}: RepairOptions & { readonly swap: FileSwap; readonly isOurs: boolean }): RepairReport {
  const fresh = swap.begin();
  try {
    const opened = openDatabase({ ...options, path: fresh });
    let report: Omit<RepairReport, 'kept'>;
    try {
      report = fill(opened.db, swap.source, atUs);
    } finally {
      opened.close();
    }
    if (!isOurs) refuseNothing(report, path);
    const time = new Date(atUs / 1000).toISOString().replace(/[-:]|\.\d+/g, '');
    return { ...report, kept: swap.finish(time) };
  } finally {
    swap.end();
  }
}

/** What has a root or a name at most may be anybody's: a table of two columns is no proof. */
function refuseNothing({ rows, file }: Omit<RepairReport, 'kept'>, path: string): void {
  const known = ['recording', 'session', 'file', 'access'].some((table) => (rows[table] ?? 0) > 0);
  if (known || file.pages <= EMPTY_PAGES) return;
  throw new TraceError({
    code: 'database-foreign',
    message: `nothing in ${path} can be read that is ours`,
    hint: 'move it away: the next start makes a new one; or name ours with --state-dir or --db',
    exit: 'data',
  });
}

function fill(db: Database, path: string, atUs: number): Omit<RepairReport, 'kept'> {
  db.pragma('foreign_keys = OFF');
  const shapes = new TableShapes(db);
  const source = new SqlitePages(path);
  const rows: Record<string, number> = {};
  let lostRows = 0;
  let file: CarvedFile = { pages: 0, missing: 0, unreadable: 0 };
  let mended: string[] = [];
  try {
    db.transaction(() => {
      file = source.read((page) => {
        const { table, put, unfit } = shapes.put(page);
        if (table !== null) rows[table] = (rows[table] ?? 0) + put;
        lostRows += page.broken + unfit;
      });
      mended = mendReferences(db, { atUs, file, lostRows });
    }).immediate();
  } finally {
    source.close();
  }
  db.pragma('foreign_keys = ON');
  const wrong = db.pragma('foreign_key_check') as unknown[];
  if (wrong.length > 0) throw new Error(`${wrong.length} salvaged rows refer to nothing`);
  const sessions = db.prepare('SELECT count(*) FROM session').pluck().get() as number;
  return { sound: false, file, rows, lostRows, sessions, mended };
}

/**
 * A database of a newer version, or of another program, is nobody's to repair. True if it says that
 * it is ours; false if it says nothing that can be read.
 */
function refuseOthers(path: string, folder: string): boolean {
  let db: Database | null = null;
  try {
    db = new Sqlite(path, { readonly: true });
    const id = db.pragma('application_id', { simple: true });
    const version = schemaVersion(db);
    if (id !== APPLICATION_ID && (id !== 0 || isForeign(db)))
      throw new TraceError({
        code: 'database-foreign',
        message: `${path} is another program's database`,
        hint: 'name ours with --state-dir or --db',
        exit: 'data',
      });
    if (id === APPLICATION_ID && version > migrationsIn(folder).length)
      throw new TraceError({
        code: 'database-newer',
        message: `the database ${path} has schema ${version}, which this program does not know`,
        hint: 'repair it with the newer version of the program that wrote it',
        exit: 'data',
      });
    return id === APPLICATION_ID;
  } catch (error) {
    // No header to ask: what the pages hold will show whose it is.
    if (error instanceof TraceError) throw error;
    return false;
  } finally {
    db?.close();
  }
}

/** Without an application's number: whose tables are there? One of ours died at its birth. */
function isForeign(db: Database): boolean {
  const tables = db
    .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
    .pluck()
    .all() as string[];
  return (
    tables.length > 0 && !['state', 'root', 'recording'].every((name) => tables.includes(name))
  );
}

function isSound(path: string): boolean {
  let db: Database | null = null;
  try {
    db = new Sqlite(path, { readonly: true });
    return (
      db.pragma('application_id', { simple: true }) === APPLICATION_ID &&
      db.pragma('integrity_check(1)', { simple: true }) === 'ok' &&
      (db.pragma('foreign_key_check') as unknown[]).length === 0 &&
      isComplete(path)
    );
  } catch {
    return false;
  } finally {
    db?.close();
  }
}

/** Has it every table that this program asks for? An older one gets what it lacks by the daemon. */
function isComplete(path: string): boolean {
  try {
    Store.open({ path, readOnly: true }).close();
    return true;
  } catch (error) {
    return error instanceof TraceError && error.code === 'database-older';
  }
}

function sound(path: string): RepairReport {
  const db = new Sqlite(path, { readonly: true });
  try {
    const pages = db.pragma('page_count', { simple: true }) as number;
    const sessions = db.prepare('SELECT count(*) FROM session').pluck().get() as number;
    const file = { pages, missing: 0, unreadable: 0 };
    return { sound: true, kept: null, file, rows: {}, lostRows: 0, sessions, mended: [] };
  } finally {
    db.close();
  }
}
