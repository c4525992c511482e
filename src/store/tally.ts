/**
 * What is going on in the open sessions, for somebody who watches: counts that follow each commit.
 * Exists only while somebody does, and then costs a look-up for each access row that is written.
 * Owns these counts and nothing on disk; must not change the database.
 */
import type { Database, Statement } from 'better-sqlite3';
import { Curve } from './curve.ts';
import type { IngestBatch, SessionTally, TallySnapshot } from './types.ts';

/** Time after which a session's activity counts for half. */
const HALF_LIFE_MS = 5000;

/** The root's regular files that the session did not make itself are what an image carries. */
const CARRIED = `CASE WHEN (f.mode & 61440) = 32768 AND a.created = 0
  THEN coalesce((SELECT size FROM sight WHERE file_id = a.file_id AND since_batch <= a.first_batch
    ORDER BY since_batch DESC LIMIT 1), f.size) ELSE 0 END`;

const SQL = {
  open: `SELECT s.id, c.address AS client, s.recording_id AS recordingId, s.partial,
      s.opened_us AS openedUs, s.last_us AS lastUs
    FROM session s JOIN client c ON c.id = s.client_id WHERE s.closed_us IS NULL ORDER BY s.id`,
  totals: `SELECT count(*) AS files, coalesce(sum(a.count), 0) AS accesses,
      coalesce(sum(a.bytes), 0) AS bytes, coalesce(sum(${CARRIED}), 0) AS imageBytes
    FROM access a JOIN file f ON f.id = a.file_id WHERE a.session_id = ?`,
  seconds: `SELECT first_us / 1000000 AS second, count(*) AS files FROM access
    WHERE session_id = ? AND first_us >= ? GROUP BY second`,
  lossOf: 'SELECT coalesce(sum(count), 0) AS loss FROM loss WHERE session_id = ?',
  newLosses: `SELECT session_id AS sessionId, sum(count) AS count FROM loss
    WHERE id > ? AND session_id IS NOT NULL GROUP BY session_id`,
  lastLoss: 'SELECT coalesce(max(id), 0) FROM loss',
  /** A file that the store knew under another number has no row here: it was counted under that. */
  access: `SELECT a.first_batch = (SELECT batch FROM state) AS fresh, ${CARRIED} AS carried
    FROM access a JOIN file f ON f.id = a.file_id WHERE a.session_id = ? AND a.file_id = ?`,
} as const;

type Statements = { readonly [K in keyof typeof SQL]: Statement };

type Changing<T> = { -readonly [K in keyof T]: T[K] };

/** A row that changes, and what makes it come first. */
interface Counted extends Changing<SessionTally> {
  /** Accesses of late, halved every {@link HALF_LIFE_MS}; as of `activeMs`. */
  activity: number;
  activeMs: number;
}

type Known = Pick<
  SessionTally,
  'id' | 'client' | 'recordingId' | 'partial' | 'openedUs' | 'lastUs'
>;
type Counts = Pick<SessionTally, 'files' | 'accesses' | 'bytes' | 'imageBytes' | 'loss'>;
type SessionColumns = Omit<Known, 'partial'> & { readonly partial: number };

export class Tally {
  readonly #sql: Statements;
  readonly #nowMs: () => number;
  readonly #sessions = new Map<number, Counted>();
  /** Open already when the tally began, and not counted yet. */
  readonly #uncounted = new Map<number, Changing<SessionColumns>>();
  readonly #curve = new Curve();
  readonly #seen = { files: 0, accesses: 0, bytes: 0, loss: 0 };
  #lastLoss: number;

  /** @param nowMs any clock that does not jump */
  constructor(db: Database, nowMs: () => number = () => performance.now()) {
    this.#sql = Object.fromEntries(
      Object.entries(SQL).map(([name, text]) => [name, db.prepare(text)]),
    ) as unknown as Statements;
    this.#nowMs = nowMs;
    for (const row of this.#sql.open.all() as SessionColumns[]) this.#uncounted.set(row.id, row);
    this.#lastLoss = this.#sql.lastLoss.pluck().get() as number;
  }

  /**
   * Counts sessions that were open before the tally began, newest first, for about so long: a
   * thousand sessions are not to hold up the commits.
   */
  count(budgetMs: number, wallUs: number): void {
    const end = this.#nowMs() + budgetMs;
    for (const session of [...this.#uncounted.values()].reverse()) {
      this.#uncounted.delete(session.id);
      const totals = this.#sql.totals.get(session.id) as Omit<Counts, 'loss'>;
      const { loss } = this.#sql.lossOf.get(session.id) as { loss: number };
      this.#add({ ...session, partial: session.partial !== 0 }, { ...totals, loss });
      const seconds = this.#sql.seconds.all(session.id, this.#curve.fromUs(wallUs));
      for (const { second, files } of seconds as { second: number; files: number }[])
        this.#curve.add(second * 1e6, files);
      if (this.#nowMs() >= end) return;
    }
  }

  /** Follows a batch that has just been committed. */
  note(batch: IngestBatch): void {
    if (batch.shiftUs !== undefined && batch.shiftUs !== 0) this.#shift(batch.shiftUs);
    for (const session of batch.opened ?? [])
      this.#add(session, { files: 0, accesses: 0, bytes: 0, imageBytes: 0, loss: 0 });
    for (const { id, partial } of batch.revised ?? []) {
      const session = this.#sessions.get(id);
      if (session !== undefined) session.partial = partial;
    }
    this.#noteAccesses(batch);
    if ((batch.losses ?? []).length > 0 || (batch.opened ?? []).length > 0) this.#noteLosses();
    for (const { id } of batch.closed ?? []) {
      this.#sessions.delete(id);
      this.#uncounted.delete(id);
    }
  }

  /** The clock was set: open sessions move along, as in the store, and what the curve shows. */
  #shift(us: number): void {
    for (const session of [...this.#sessions.values(), ...this.#uncounted.values()]) {
      session.openedUs += us;
      session.lastUs += us;
    }
    this.#curve.shift(us);
  }

  /** @param most sessions to list, the most active ones */
  snapshot(most: number, wallUs: number): TallySnapshot {
    const nowMs = this.#nowMs();
    const all = [...this.#sessions.values()];
    const total: TallySnapshot['total'] = { files: 0, accesses: 0, bytes: 0, loss: 0 };
    const clients = new Set([...this.#uncounted.values()].map(({ client }) => client));
    for (const session of all) {
      clients.add(session.client);
      for (const key of ['files', 'accesses', 'bytes', 'loss'] as const) total[key] += session[key];
    }
    const weight = new Map(all.map((session) => [session, decayed(session, nowMs)]));
    all.sort(
      (a, b) => (weight.get(b) ?? 0) - (weight.get(a) ?? 0) || b.lastUs - a.lastUs || a.id - b.id,
    );
    return {
      open: all.length + this.#uncounted.size,
      clients: clients.size,
      uncounted: this.#uncounted.size,
      total,
      seen: { ...this.#seen },
      newFiles: this.#curve.until(wallUs),
      sessions: all.slice(0, most).map(shape),
    };
  }

  #add(session: Known, counts: Counts): void {
    const { id, client, recordingId, partial, openedUs, lastUs } = session;
    const known = { id, client, recordingId, partial, openedUs, lastUs };
    this.#sessions.set(id, { ...known, ...counts, activity: 0, activeMs: this.#nowMs() });
  }

  #noteAccesses({ accesses = [] }: IngestBatch): void {
    const nowMs = this.#nowMs();
    // One file comes twice in a batch when both witnesses saw it.
    const twice = new Set<string>();
    for (const { sessionId, fileId, count, bytes, firstUs, lastUs } of accesses) {
      const session = this.#sessions.get(sessionId);
      if (session === undefined) continue;
      session.accesses += count;
      session.bytes += bytes;
      session.lastUs = Math.max(session.lastUs, lastUs);
      session.activity = decayed(session, nowMs) + count;
      session.activeMs = nowMs;
      this.#seen.accesses += count;
      this.#seen.bytes += bytes;
      const row = this.#sql.access.get(sessionId, fileId) as
        { fresh: number; carried: number } | undefined;
      if (row === undefined || row.fresh === 0) continue;
      const key = `${sessionId}:${fileId}`;
      if (twice.has(key)) continue;
      twice.add(key);
      session.files += 1;
      session.imageBytes += row.carried;
      this.#seen.files += 1;
      this.#curve.add(firstUs, 1);
    }
  }

  /** Losses come in many ways, and some of them to sessions that opened later: by number. */
  #noteLosses(): void {
    const rows = this.#sql.newLosses.all(this.#lastLoss) as { sessionId: number; count: number }[];
    this.#lastLoss = this.#sql.lastLoss.pluck().get() as number;
    for (const { sessionId, count } of rows) {
      const session = this.#sessions.get(sessionId);
      if (session === undefined) continue;
      session.loss += count;
      this.#seen.loss += count;
    }
  }
}

function decayed({ activity, activeMs }: Counted, nowMs: number): number {
  return activity * 2 ** ((activeMs - nowMs) / HALF_LIFE_MS);
}

/** A copy, of what others are to see. */
function shape(session: Counted): SessionTally {
  const { id, client, recordingId, partial, openedUs, lastUs } = session;
  const { files, accesses, bytes, imageBytes, loss } = session;
  const known = { id, client, recordingId, partial, openedUs, lastUs };
  return { ...known, files, accesses, bytes, imageBytes, loss };
}
