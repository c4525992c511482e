/**
 * What files were when sessions first used them, beside the first sight of all: the statements that
 * write and read it, and what is kept of it. Must not know when a file is looked at.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { Sight } from './types.ts';

/**
 * Kept is what differs from what was known. Of a directory no more than mode and owner counts, since
 * its times change with what is in it. What had gone at its first sight has no inode.
 */
const INSERT = `INSERT INTO sight
  SELECT @fileId, @batch, @mode, @uid, @gid, @size, @mtimeNs, @nlink, @ctimeNs, @target
  FROM (SELECT 0 AS since_batch, mode, uid, gid, ctime_ns FROM file
      WHERE id = @fileId AND inode <> 0
    UNION ALL
    SELECT since_batch, mode, uid, gid, ctime_ns FROM sight WHERE file_id = @fileId
    ORDER BY since_batch DESC LIMIT 1)
  WHERE mode <> @mode OR uid <> @uid OR gid <> @gid
    OR (ctime_ns IS NOT @ctimeNs AND (@mode & 61440) <> 16384)
  ON CONFLICT DO NOTHING`;

const SELECT = `SELECT s.file_id AS fileId, s.mode, s.uid, s.gid, s.size, s.nlink,
    CAST(s.mtime_ns AS TEXT) AS mtimeNs, CAST(s.ctime_ns AS TEXT) AS ctimeNs, s.target
  FROM access a JOIN sight s ON s.file_id = a.file_id AND s.since_batch <= a.first_batch
  WHERE a.session_id = ? ORDER BY s.file_id, s.since_batch`;

export class SightWriter {
  readonly #insert: Statement;

  constructor(db: Database) {
    this.#insert = db.prepare(INSERT);
  }

  /** Within the caller's transaction. @param sight.size as SQLite can take it */
  write(sight: Omit<Sight, 'size'> & { readonly size: number | bigint }, batch: number): void {
    const { target = null } = sight;
    this.#insert.run({ ...sight, target, batch });
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
    // The last of a file stands.
    return new Map(rows.map((row) => [row.fileId, row]));
  }
}
