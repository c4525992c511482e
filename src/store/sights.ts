/**
 * What files were when sessions first used them, beside the first sight of all: the statements that
 * write and read it, and what is kept of it. Must not know when a file is looked at.
 */
import type { Database, Statement } from 'better-sqlite3';
import { integer } from './integer.ts';
import type { FileState } from './types.ts';

/**
 * Kept is what differs from what was known. Of a directory no more than mode and owner counts, since
 * its times change with what is in it. What had gone at its first sight has no inode.
 */
const IS_NEWS = `SELECT 1
  FROM (SELECT 0 AS since_batch, mode, uid, gid, ctime_ns FROM file
      WHERE id = @fileId AND inode <> 0
    UNION ALL
    SELECT since_batch, mode, uid, gid, ctime_ns FROM sight WHERE file_id = @fileId
    ORDER BY since_batch DESC LIMIT 1)
  WHERE mode <> @mode OR uid <> @uid OR gid <> @gid
    OR (ctime_ns IS NOT @ctimeNs AND (@mode & 61440) <> 16384)`;

const INSERT = `INSERT INTO sight VALUES (@fileId, @batch, @mode, @uid, @gid, @size, @mtimeNs, @nlink,
    @ctimeNs, @target)
  ON CONFLICT DO NOTHING`;

const IS_USED = 'SELECT 1 FROM access WHERE session_id = ? AND file_id = ?';

const SELECT = `SELECT s.file_id AS fileId, s.mode, s.uid, s.gid, s.size, s.nlink,
    CAST(s.mtime_ns AS TEXT) AS mtimeNs, CAST(s.ctime_ns AS TEXT) AS ctimeNs, s.target
  FROM access a JOIN sight s ON s.file_id = a.file_id AND s.since_batch =
    (SELECT max(since_batch) FROM sight WHERE file_id = a.file_id AND since_batch <= a.first_batch)
  WHERE a.session_id = ?`;

export class SightWriter {
  readonly #insert: Statement;
  readonly #isNews: Statement;
  readonly #isUsed: Statement;

  constructor(db: Database) {
    this.#insert = db.prepare(INSERT);
    this.#isNews = db.prepare(IS_NEWS).pluck();
    this.#isUsed = db.prepare(IS_USED).pluck();
  }

  /** Within the caller's transaction, before the access is written. */
  used(sessionId: number, fileId: number, how: { state: FileState; batch: number }): void {
    if (this.#isUsed.get(sessionId, fileId) === undefined) this.write(fileId, how.state, how.batch);
  }

  /** Within the caller's transaction. */
  write(fileId: number, state: FileState, batch: number): void {
    const { mode, uid, gid, size, mtimeNs, nlink, ctimeNs, target = null } = state;
    // Apart, since most of what is told is stored already: a statement that inserts costs more.
    if (this.#isNews.get({ fileId, mode, uid, gid, ctimeNs }) === undefined) return;
    const row = { mode, uid, gid, size: integer(size), mtimeNs, nlink, ctimeNs, target };
    this.#insert.run({ fileId, batch, ...row });
  }
}

/** As SQLite gives it; times in decimal digits. */
export interface SightColumns {
  readonly fileId: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly nlink: number;
  readonly mtimeNs: string;
  readonly ctimeNs: string;
  readonly target: Buffer | null;
}

export class SightReader {
  readonly #select: Statement;

  constructor(db: Database) {
    this.#select = db.prepare(SELECT);
  }

  /** By file: what the session saw that is not its first sight of all. */
  of(sessionId: number): ReadonlyMap<number, SightColumns> {
    const rows = this.#select.all(sessionId) as SightColumns[];
    return new Map(rows.map((row) => [row.fileId, row]));
  }
}
