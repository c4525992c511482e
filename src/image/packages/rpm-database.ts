/**
 * rpm's database of SQLite (rpm 4.16 and newer, lib/backend/sqlite.c): a table of headers. Owns how a
 * database of somebody else is opened and how much of it is read. Must not know what headers say.
 *
 * The only SQL outside the store, as the database is of others. It may be made to harm: it is a copy in
 * memory, nothing of it is run (no views, triggers, computed columns or indexes), and no more is read
 * than a sound one of its size can hold.
 */
import Sqlite, { type Database } from 'better-sqlite3';
import { MOST_PACKAGES } from './package.ts';

/** Fedora with 2,000 packages has 130 MB. */
export const MOST_DATABASE = 256 << 20;

/** SQLite's smallest page. */
const LEAST_DATABASE = 512;
/** Where SQLite's file format has its versions to write and to read: 2 is with a log beside it. */
const VERSIONS = { start: 18, end: 20, withoutLog: 1 } as const;

/** Not by `hnum`, which is the same in a sound one: this is a number in every other, too. */
const IDS = 'SELECT rowid FROM Packages NOT INDEXED LIMIT ?';
const HEADER = `SELECT blob FROM Packages NOT INDEXED
                WHERE rowid = ? AND typeof(blob) = 'blob' AND length(blob) <= ?`;

export interface StoredHeader {
  readonly id: bigint;
  readonly bytes: Buffer | null;
}

export class UnsoundDatabase extends Error {}

export class RpmDatabase {
  readonly #database: Database;
  readonly #bytes: number;

  private constructor(database: Database, bytes: number) {
    this.#database = database;
    this.#bytes = bytes;
  }

  /** Runs `use` with the database in these bytes, which are changed; throws {@link UnsoundDatabase}. */
  static with<T>(bytes: Buffer, use: (database: RpmDatabase) => T): T {
    if (bytes.length < LEAST_DATABASE) throw new UnsoundDatabase('it is cut off');
    bytes.fill(VERSIONS.withoutLog, VERSIONS.start, VERSIONS.end);
    let database: Database | undefined;
    try {
      database = new Sqlite(bytes, { readonly: true });
      database.pragma('trusted_schema = OFF');
      database.pragma('cell_size_check = ON');
      refuseOdd(database);
      return use(new RpmDatabase(database, bytes.length));
    } catch (cause) {
      if (!(cause instanceof Sqlite.SqliteError)) throw cause;
      throw new UnsoundDatabase(cause.message, { cause });
    } finally {
      database?.close();
    }
  }

  /** What headers are asked for by; `more` if there are more than anybody has. */
  ids(): { readonly ids: readonly bigint[]; readonly more: boolean } {
    const statement = this.#database.prepare<[number], bigint>(IDS).pluck().safeIntegers();
    const ids = statement.all(MOST_PACKAGES + 1);
    return { ids: ids.slice(0, MOST_PACKAGES), more: ids.length > MOST_PACKAGES };
  }

  /**
   * Headers one after the other, null for what can be none. Throws when together they have more bytes
   * than the database: then pages belong to several rows, of which there may be any number.
   */
  *headers(ids: Iterable<bigint>): Generator<StoredHeader> {
    const statement = this.#database.prepare<[bigint, number], Buffer>(HEADER).pluck();
    let left = this.#bytes;
    for (const id of ids) {
      const bytes = statement.get(id, this.#bytes) ?? null;
      left -= bytes?.length ?? 0;
      if (left < 0) throw new UnsoundDatabase('its rows hold more than it has bytes');
      yield { id, bytes };
    }
  }
}

function refuseOdd(database: Database): void {
  const [table] = database.pragma("table_list('Packages')") as { type: string }[];
  const columns = database.pragma("table_xinfo('Packages')") as { name: string; hidden: number }[];
  const plain = columns.filter(({ hidden }) => hidden === 0).map(({ name }) => name);
  if (table?.type !== 'table' || columns.length !== 2 || plain.join() !== 'hnum,blob')
    throw new UnsoundDatabase('it has no table of packages as rpm makes it');
}
