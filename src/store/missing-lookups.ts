/**
 * Names that sessions looked for in vain: the statements that write and read them, and how many
 * one session may have. Must not know how a name was found missing.
 */
import type { Database, Statement } from 'better-sqlite3';
import { DamagedRow } from './errors.ts';
import type { MissingDropped, MissingLookup, MissingTotal } from './types.ts';

/** Clients choose the names: more distinct ones than this in a session are counted, not kept. */
export const MOST_MISSING = 20_000;

const WRITE = {
  again: `UPDATE missing_lookup SET count = count + ?, first_us = min(first_us, ?),
      last_us = max(last_us, ?)
    WHERE session_id = ? AND directory_id = ? AND name = ?`,
  insert: 'INSERT INTO missing_lookup VALUES (?, ?, ?, ?, ?, ?)',
  total: 'SELECT names, dropped FROM missing_total WHERE session_id = ?',
  setTotal: 'INSERT OR REPLACE INTO missing_total VALUES (?, ?, ?)',
} as const;

const READ = {
  rows: `SELECT directory_id AS directoryId, name, count, first_us AS firstUs, last_us AS lastUs
    FROM missing_lookup WHERE session_id = ? ORDER BY directory_id, name`,
  total: WRITE.total,
} as const;

type Prepared<T> = { readonly [K in keyof T]: Statement };

function prepare<T extends Readonly<Record<string, string>>>(db: Database, sql: T): Prepared<T> {
  const prepared = Object.entries(sql).map(([name, text]) => [name, db.prepare(text)]);
  return Object.fromEntries(prepared) as Prepared<T>;
}

export class MissingWriter {
  readonly #sql: Prepared<typeof WRITE>;

  constructor(db: Database) {
    this.#sql = prepare(db, WRITE);
  }

  /** Within the caller's transaction. */
  write(lookups: readonly MissingLookup[], dropped: readonly MissingDropped[]): void {
    const totals = new Map<number, { names: number; dropped: number }>();
    const totalOf = (id: number): { names: number; dropped: number } => {
      let total = totals.get(id);
      if (total === undefined) {
        total = (this.#sql.total.get(id) as MissingTotal | undefined) ?? { names: 0, dropped: 0 };
        totals.set(id, total);
      }
      return total;
    };
    for (const { sessionId, directoryId, name, count, firstUs, lastUs } of lookups) {
      const known = this.#sql.again.run(count, firstUs, lastUs, sessionId, directoryId, name);
      if (known.changes > 0) continue;
      const total = totalOf(sessionId);
      if (total.names < MOST_MISSING) {
        this.#sql.insert.run(sessionId, directoryId, name, count, firstUs, lastUs);
        total.names += 1;
      } else {
        total.dropped += count;
      }
    }
    for (const { sessionId, count } of dropped) totalOf(sessionId).dropped += count;
    for (const [id, total] of totals) this.#sql.setTotal.run(id, total.names, total.dropped);
  }
}

export class MissingReader {
  readonly #sql: Prepared<typeof READ>;

  constructor(db: Database) {
    this.#sql = prepare(db, READ);
  }

  total(sessionId: number): MissingTotal {
    const total = this.#sql.total.get(sessionId) as MissingTotal | undefined;
    return total ?? { names: 0, dropped: 0 };
  }

  rows(sessionId: number): Omit<MissingLookup, 'sessionId'>[] {
    const rows = this.#sql.rows.all(sessionId) as Omit<MissingLookup, 'sessionId'>[];
    for (const { name } of rows) soundName(name);
    return rows;
  }
}

/** Anybody may hand a database to anybody: a name is no way out of the root. */
function soundName(name: Buffer): void {
  const text = name.toString('latin1');
  if (text === '' || text === '.' || text === '..' || /[/\0]/.test(text))
    throw new DamagedRow(`${JSON.stringify(name.toString())} is no name in a directory`);
}
