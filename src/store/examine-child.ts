/**
 * The process of examine.ts: `examine-child DATABASE`. Says on stdout, a line of JSON each, what
 * the database says of itself and then what quick_check finds; exits with 0 if it got that far.
 * Must not make, change or remove any file.
 */
import { closeSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import Sqlite, { type Database } from 'better-sqlite3';
import { migrationsIn, MIGRATIONS, schemaVersion } from './migrations.ts';

export interface Examined {
  readonly schema: number;
  /** The schema of this program. */
  readonly newest: number;
  readonly applicationId: number;
  /** Wall clock of the last commit, microseconds; null if there is none, or no such table. */
  readonly lastCommitUs: number | null;
  /** Roots that are to be recorded, as base64; null if they can't be read. */
  readonly roots: readonly string[] | null;
}

/** A database in WAL mode that has lost its log is read as a whole, up to this. */
const LARGEST_IN_MEMORY = 256 * 1024 * 1024;
/** Of the file's header, "File format" of sqlite.org: 2 means a write-ahead log. */
const WRITE_VERSION_AT = 18;
const MOST_PROBLEMS = 10;

function tell(what: object): void {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

/**
 * Opening a database in WAL mode makes its -wal and -shm files if they are not there; then nobody
 * else has it open, and a copy in memory that says that it has no log is as good.
 */
function openUnchanged(path: string): Database {
  const wal = readByte(path, WRITE_VERSION_AT) === 2;
  const log = statSync(`${path}-wal`, { throwIfNoEntry: false });
  if (!wal || log !== undefined) return new Sqlite(path, { readonly: true, fileMustExist: true });
  if (statSync(path).size > LARGEST_IN_MEMORY)
    throw new Error('its write-ahead log is missing, and it is too large to be read as a whole');
  const bytes = readFileSync(path);
  bytes[WRITE_VERSION_AT] = bytes[WRITE_VERSION_AT + 1] = 1;
  return new Sqlite(bytes);
}

function readByte(path: string, at: number): number | undefined {
  const byte = Buffer.alloc(1);
  const file = openSync(path, 'r');
  try {
    return readSync(file, byte, 0, 1, at) === 1 ? byte[0] : undefined;
  } finally {
    closeSync(file);
  }
}

/** Null where the schema is another one. */
function column(db: Database, sql: string): unknown[] | null {
  try {
    return db.prepare(sql).pluck().all();
  } catch (error) {
    if (error instanceof Sqlite.SqliteError && error.code === 'SQLITE_ERROR') return null;
    throw error;
  }
}

function examined(db: Database): Examined {
  const [lastCommitUs] = column(db, 'SELECT batch_us FROM state') ?? [];
  const roots = column(
    db,
    `SELECT root.path FROM recording r JOIN root ON root.id = r.root_id
      WHERE r.stopped_us IS NULL ORDER BY r.id`,
  );
  return {
    schema: schemaVersion(db),
    newest: migrationsIn(MIGRATIONS).length,
    applicationId: db.pragma('application_id', { simple: true }) as number,
    lastCommitUs: typeof lastCommitUs === 'number' && lastCommitUs > 0 ? lastCommitUs : null,
    roots: roots?.map((path) => (path as Buffer).toString('base64')) ?? null,
  };
}

try {
  const db = openUnchanged(process.argv[2] ?? '');
  tell({ found: examined(db) });
  const said = db.pragma(`quick_check(${MOST_PROBLEMS})`) as { quick_check: string }[];
  const problems = said.map(({ quick_check: text }) => text);
  tell({ problems: problems.length === 1 && problems[0] === 'ok' ? [] : problems });
} catch (error) {
  tell({ failure: (error as Error).message });
  process.exitCode = 1;
}
