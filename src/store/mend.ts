/**
 * Makes salvaged rows a database again: what they refer to and has gone is made up where that keeps
 * something, else they are left out; and what may be missing is a loss of every session. Owns those
 * rules and their words.
 */
import type { Database } from 'better-sqlite3';
import type { CarvedFile } from './sqlite-pages.ts';

/** Numbers of lost sessions and files must not be given out again: nobody knows how many. */
const NUMBERS_LEFT_OUT = 100_000;

interface Rule {
  readonly sql: string;
  readonly text: (rows: number) => string;
}

/** In this order: what is made up here is referred to below. */
const RULES: readonly Rule[] = [
  {
    sql: 'DELETE FROM name WHERE file_id NOT IN (SELECT id FROM file)',
    text: (rows) => `${rows} names of lost files left out`,
  },
  {
    sql: 'DELETE FROM access WHERE file_id NOT IN (SELECT id FROM file)',
    text: (rows) => `${rows} accesses to lost files left out`,
  },
  {
    sql: `INSERT INTO root (id, path)
      SELECT DISTINCT root_id, CAST('/salvaged/root-' || root_id AS BLOB) FROM (
        SELECT root_id FROM file UNION SELECT root_id FROM recording)
      WHERE root_id NOT IN (SELECT id FROM root)`,
    text: (rows) => `${rows} roots whose path is lost are called /salvaged/root-N`,
  },
  {
    // Sessions that are known by what they touched alone.
    sql: `INSERT INTO session (id, recording_id, client_id, tier, evidence, partial, opened_us, last_us,
        closed_us, close_reason, opened_batch, closed_batch)
      SELECT session_id, coalesce((SELECT max(r.id) FROM recording r WHERE r.root_id = f.root_id),
          1000000 + f.root_id),
        1000000, 'sole-client', 'first-traffic', 1, min(first_us), max(last_us), max(last_us), 'stop',
        min(first_batch), max(last_batch)
      FROM access a JOIN file f ON f.id = a.file_id
      WHERE session_id NOT IN (SELECT id FROM session) GROUP BY session_id`,
    text: (rows) => `${rows} sessions are known only by what they touched`,
  },
  {
    sql: `INSERT INTO recording (id, root_id, label, clients, tier, started_us, stopped_us)
      SELECT s.recording_id,
        coalesce((SELECT f.root_id FROM access a JOIN file f ON f.id = a.file_id
          WHERE a.session_id IN (SELECT id FROM session WHERE recording_id = s.recording_id) LIMIT 1),
          (SELECT min(id) FROM root), 1),
        'salvaged', '[]', min(s.tier), min(opened_us), max(coalesce(closed_us, last_us))
      FROM session s WHERE s.recording_id NOT IN (SELECT id FROM recording) GROUP BY s.recording_id`,
    text: (rows) => `${rows} recordings made up`,
  },
  {
    sql: `INSERT OR IGNORE INTO root (id, path)
      SELECT DISTINCT root_id, CAST('/salvaged/root-' || root_id AS BLOB) FROM recording
      WHERE root_id NOT IN (SELECT id FROM root)`,
    text: (rows) => `${rows} roots made up`,
  },
  {
    sql: `INSERT INTO client (id, address) SELECT DISTINCT client_id, 'salvaged-' || client_id FROM session
      WHERE client_id NOT IN (SELECT id FROM client)`,
    text: (rows) => `${rows} clients whose address is lost are called salvaged-N`,
  },
  {
    sql: 'DELETE FROM mark WHERE session_id NOT IN (SELECT id FROM session)',
    text: (rows) => `${rows} marks of lost sessions left out`,
  },
  {
    sql: `DELETE FROM loss WHERE session_id NOT IN (SELECT id FROM session)
      OR recording_id NOT IN (SELECT id FROM recording)`,
    text: (rows) => `${rows} losses of lost sessions left out`,
  },
  {
    sql: `UPDATE loss SET origin_id = NULL WHERE origin_id NOT IN (SELECT id FROM loss)`,
    text: (rows) => `${rows} losses stand alone now`,
  },
];

/** @returns what had to be done, in words */
export function mendReferences(
  db: Database,
  damage: { readonly atUs: number; readonly file: CarvedFile; readonly lostRows: number },
): string[] {
  const done: string[] = [];
  for (const { sql, text } of RULES) {
    const { changes } = db.prepare(sql).run();
    if (changes > 0) done.push(text(changes));
  }
  done.push(...mendOthers(db));
  mendState(db, done);
  noteLoss(db, damage);
  return done;
}

/** Rows of any other table that refer to what has gone. */
function mendOthers(db: Database): string[] {
  const wrong = db.pragma('foreign_key_check') as { table: string; rowid: number | null }[];
  const done: string[] = [];
  for (const [table, rows] of Map.groupBy(wrong, (row) => row.table)) {
    const links = db.pragma(`foreign_key_list("${table}")`) as {
      table: string;
      from: string;
      to: string;
    }[];
    let removed = 0;
    for (const { table: parent, from, to } of links)
      removed += db
        .prepare(
          `DELETE FROM "${table}" WHERE "${from}" IS NOT NULL AND "${from}" NOT IN (SELECT "${to}" FROM "${parent}")`,
        )
        .run().changes;
    if (removed > 0)
      done.push(`${removed} rows of ${table} left out (${rows.length} referred to nothing)`);
  }
  return done;
}

/** Numbers go on behind everything that is known, and well behind if the old state is lost. */
function mendState(db: Database, done: string[]): void {
  const known = db.prepare('SELECT batch FROM state').pluck().get() as number;
  const skip = known === 0 ? NUMBERS_LEFT_OUT : 0;
  db.prepare(
    `UPDATE state SET
      batch = max(batch, @skip, (SELECT coalesce(max(last_batch), 0) FROM access),
        (SELECT coalesce(max(closed_batch), 0) FROM session),
        (SELECT coalesce(max(since_batch), 0) FROM sight),
        (SELECT coalesce(max(max(since_batch, coalesce(until_batch, 0))), 0) FROM name)),
      batch_us = max(batch_us, (SELECT coalesce(max(last_us), 0) FROM session)),
      last_session = max(last_session, @skip + (SELECT coalesce(max(id), 0) FROM session)),
      last_file = max(last_file, @skip + (SELECT coalesce(max(id), 0) FROM file))`,
  ).run({ skip });
  if (skip > 0) done.push(`numbers go on ${skip} higher: the last ones given out are lost`);
}

function noteLoss(
  db: Database,
  { atUs, file, lostRows }: { atUs: number; file: CarvedFile; lostRows: number },
): void {
  const { missing, unreadable } = file;
  const detail =
    `salvaged from a damaged database: ${unreadable} of its pages could not be read, ` +
    `${missing} were missing, ${lostRows} rows were lost besides`;
  db.prepare(
    `INSERT INTO loss (recording_id, session_id, place, count, from_us, to_us, detail)
      SELECT recording_id, id, 'repair', @count, opened_us, coalesce(closed_us, @atUs), @detail
      FROM session`,
  ).run({ count: Math.max(1, missing + unreadable + lostRows), atUs, detail });
}
