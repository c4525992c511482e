/**
 * Which table a page of rows belonged to, by their shape: how many columns, of which types. Owns
 * that guess, made for a page as a whole, and the putting of its rows into a new database of the
 * same schema. Must not know where pages come from.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { CarvedPage, CarvedRow, SqliteValue } from './sqlite-pages.ts';

interface Column {
  readonly name: string;
  readonly type: string;
  readonly optional: boolean;
  /** May it be absent, in a row from before the column was added? */
  readonly added: boolean;
}

interface Shape {
  readonly table: string;
  readonly tree: CarvedPage['tree'];
  /** In the order of the record. */
  readonly columns: readonly Column[];
  /** The column that the row number stands for, by its place; -1 if there is none. */
  readonly rowid: number;
  readonly inserts: Map<number, Statement>;
}

export interface Put {
  /** null if no table can have held the page. */
  readonly table: string | null;
  readonly put: number;
  /** Rows that no table, or more than one, can have held. */
  readonly unfit: number;
}

export class TableShapes {
  readonly #db: Database;
  readonly #shapes: readonly Shape[];

  /** @param db a new database with the schema that the rows had, or a later one */
  constructor(db: Database) {
    this.#db = db;
    const tables = db.pragma('table_list') as {
      name: string;
      schema: string;
      type: string;
      wr: number;
    }[];
    this.#shapes = tables
      .filter(
        ({ name, schema, type }) => schema === 'main' && type === 'table' && !/^sqlite_/.test(name),
      )
      .map(({ name, wr }) => this.#shapeOf(name, wr !== 0));
  }

  put({ tree, rows }: Pick<CarvedPage, 'tree' | 'rows'>): Put {
    const fits = this.#shapes.map((shape) => ({
      shape,
      rows: shape.tree === tree ? rows.filter((row) => matches(shape, row)) : [],
    }));
    const most = fits.reduce((best, { rows: { length } }) => Math.max(best, length), 0);
    const best = fits.filter(({ rows: { length } }) => length === most);
    const [only] = best;
    // The pages of an index of a table hold nothing that the table has not.
    if (most === 0 || only === undefined)
      return { table: null, put: 0, unfit: tree === 'table' && !isSchema(rows) ? rows.length : 0 };
    if (best.length > 1) return { table: null, put: 0, unfit: rows.length };
    let put = 0;
    for (const row of only.rows) put += this.#insert(only.shape, row);
    return { table: only.shape.table, put, unfit: tree === 'table' ? rows.length - most : 0 };
  }

  #insert(shape: Shape, { rowid, values }: CarvedRow): number {
    let insert = shape.inserts.get(values.length);
    if (insert === undefined) {
      const names = shape.columns.slice(0, values.length).map(({ name }) => `"${name}"`);
      insert = this.#db.prepare(
        // One row each comes from an intact database; what is there twice is an older page.
        `INSERT OR ${shape.table === 'state' ? 'REPLACE' : 'IGNORE'} INTO "${shape.table}"
          (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')})`,
      );
      shape.inserts.set(values.length, insert);
    }
    const row = values.map((value, at) => (at === shape.rowid ? rowid : value));
    return insert.run(...row).changes;
  }

  #shapeOf(table: string, withoutRowid: boolean): Shape {
    const columns = this.#db.pragma(`table_info("${table}")`) as {
      name: string;
      type: string;
      notnull: number;
      dflt_value: string | null;
      pk: number;
    }[];
    // Without a row number the key comes first in a record.
    const ordered = withoutRowid
      ? [
          ...columns.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk),
          ...columns.filter(({ pk }) => pk === 0),
        ]
      : columns;
    return {
      table,
      tree: withoutRowid ? 'index' : 'table',
      columns: ordered.map(({ name, type, notnull, dflt_value: value, pk }) => ({
        name,
        type,
        optional: notnull === 0 && !(withoutRowid && pk > 0),
        added: pk === 0 && (notnull === 0 || value !== null),
      })),
      rowid: withoutRowid
        ? -1
        : ordered.findIndex(({ pk, type }) => pk === 1 && type === 'INTEGER'),
      inserts: new Map(),
    };
  }
}

function matches({ columns, rowid }: Shape, { values }: CarvedRow): boolean {
  if (values.length > columns.length || values.length === 0) return false;
  return columns.every(({ type, optional, added }, at) => {
    const value = values[at];
    if (value === undefined) return added;
    if (at === rowid) return value === null;
    return value === null ? optional : typeOf(value) === type;
  });
}

function typeOf(value: SqliteValue): string {
  if (typeof value === 'bigint') return 'INTEGER';
  if (typeof value === 'string') return 'TEXT';
  return Buffer.isBuffer(value) ? 'BLOB' : 'REAL';
}

/** Rows of sqlite_schema: type, name, table, root page, SQL. */
function isSchema(rows: readonly CarvedRow[]): boolean {
  return rows.every(
    ({ values }) => values.length === 5 && /^(table|index)$/.test(String(values[0])),
  );
}
