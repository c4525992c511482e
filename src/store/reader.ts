/**
 * Every statement that only reads, prepared once, and the shaping of rows. Owns the rule which
 * names belong to a session; must not change the database.
 */
import type { Database, Statement } from 'better-sqlite3';
import { compareBytes } from '../common/bytes.ts';
import type { FileHandle } from '../common/batches.ts';
import type { BootEvidence, ClientIdentity, OpenSession, PendingBoot } from '../common/boots.ts';
import { ClientReader } from './clients.ts';
import { evidenceOf } from './evidence.ts';
import { MissingReader } from './missing-lookups.ts';
import { type SightColumns, SightReader } from './sights.ts';
import { NamesOfSession } from './names.ts';
import { soundEvidence, soundJson, soundPath, soundSession } from './sound.ts';
import type {
  ClientRow,
  ClockRow,
  FileAccessRow,
  KnownFile,
  LossRow,
  LossTotal,
  MarkRow,
  MissingPath,
  MissingTotal,
  NextIds,
  RecordingRow,
  RootRow,
  SessionRow,
} from './types.ts';

const S_IFMT = 0o170000;

const SESSION = `SELECT s.id, r.root_id AS rootId, root.path AS root, s.recording_id AS recordingId,
    r.label, c.address AS client, c.label AS clientLabel, c.name AS clientName, s.tier, s.evidence, s.detail, s.partial, s.opened_us AS openedUs,
    s.last_us AS lastUs, s.closed_us AS closedUs, s.close_reason AS closeReason,
    (SELECT count(*) FROM access WHERE session_id = s.id) AS files,
    (SELECT coalesce(sum(count), 0) FROM access WHERE session_id = s.id) AS accesses,
    (SELECT coalesce(sum(bytes), 0) FROM access WHERE session_id = s.id) AS bytes,
    (SELECT coalesce(sum(count), 0) FROM loss WHERE session_id = s.id) AS loss
  FROM session s JOIN recording r ON r.id = s.recording_id
    JOIN root ON root.id = r.root_id JOIN client c ON c.id = s.client_id`;

const RECORDING = `SELECT r.id, r.root_id AS rootId, root.path AS root, r.label, r.clients, r.tier,
    r.on_loss AS onLoss, r.started_us AS startedUs, r.stopped_us AS stoppedUs,
    coalesce((SELECT max(last_us) FROM session WHERE recording_id = r.id), r.started_us) AS lastUs
  FROM recording r JOIN root ON root.id = r.root_id`;

const LOSS = `SELECT id, recording_id AS recordingId, session_id AS sessionId, place AS "where",
    count, from_us AS fromUs, to_us AS toUs, detail FROM loss`;

const SQL = {
  state: 'SELECT batch_us, last_session, last_file, boot_id, clock_us FROM state',
  roots: 'SELECT id, path FROM root ORDER BY path',
  active: `${RECORDING} WHERE r.stopped_us IS NULL ORDER BY r.id`,
  sessions: `${SESSION} WHERE (@rootId IS NULL OR r.root_id = @rootId)
    AND (@client IS NULL OR @client IN (c.address, c.label)) AND (@sinceUs IS NULL OR s.last_us >= @sinceUs)
    ORDER BY s.id`,
  session: `${SESSION} WHERE s.id = ?`,
  open: `SELECT s.id, c.address AS client, r.root_id AS rootId, s.recording_id AS recordingId,
      s.evidence, s.detail, s.partial, s.opened_us AS openedUs, s.last_us AS lastUs
    FROM session s JOIN recording r ON r.id = s.recording_id JOIN client c ON c.id = s.client_id
    WHERE s.closed_us IS NULL ORDER BY s.id`,
  toKeep: `SELECT s.id, s.closed_us IS NULL AS open
    FROM session s JOIN recording r ON r.id = s.recording_id
    WHERE s.id >= ? AND r.keep_content = 1 AND NOT EXISTS (SELECT 1 FROM session_note
      WHERE session_id = s.id AND kind IN ('content-kept', 'content-failed'))
    ORDER BY s.id`,
  mounts: `SELECT m.path FROM mount m JOIN root r ON r.id = m.root_id WHERE r.path = ?
    ORDER BY m.path`,
  known: `SELECT f.id, f.mount, f.handle_type AS type, f.handle AS bytes, n.path,
      CAST(coalesce((SELECT ctime_ns FROM sight WHERE file_id = f.id
        ORDER BY since_batch DESC LIMIT 1), f.ctime_ns) AS TEXT) AS ctimeNs
    FROM file f LEFT JOIN name n ON n.file_id = f.id AND n.until_batch IS NULL
    WHERE f.root_id = ? AND f.handle IS NOT NULL ORDER BY f.id, n.path`,
  fileOf: 'SELECT id FROM file WHERE root_id = ? AND mount = ? AND handle_type = ? AND handle = ?',
  files: `SELECT f.id AS fileId, f.mode, f.uid, f.gid, f.size, f.nlink, f.dev,
      CAST(f.mtime_ns AS TEXT) AS mtimeNs, CAST(f.ctime_ns AS TEXT) AS ctimeNs, f.target,
      CAST(f.inode AS TEXT) AS inode,
      a.operations, a.count, a.bytes,
      a.first_us AS firstUs, a.last_us AS lastUs, a.first_order AS firstOrder, a.evidence,
      a.created, a.first_batch AS firstBatch
    FROM access a JOIN file f ON f.id = a.file_id
    WHERE a.session_id = @id AND (@operations IS NULL OR (a.operations & @operations) <> 0)
    ORDER BY a.file_id`,
  handles: `SELECT f.id, f.handle_type AS type, f.handle AS bytes
    FROM access a JOIN file f ON f.id = a.file_id WHERE a.session_id = ? AND f.handle IS NOT NULL`,
  // In hexadecimal digits: a Buffer by way of a text takes half the time of one from SQLite.
  names: `SELECT n.file_id AS fileId, hex(n.path) AS path, n.since_batch AS since, n.until_batch AS "until",
      max(coalesce(s.closed_batch, (SELECT batch FROM state)), a.last_batch) AS lastBatch,
      a.first_batch AS firstBatch
    FROM session s JOIN access a ON a.session_id = s.id JOIN name n ON n.file_id = a.file_id
    WHERE s.id = @id AND (@operations IS NULL OR (a.operations & @operations) <> 0)`,
  fileIds: 'SELECT file_id FROM access WHERE session_id = ?',
  recordingLosses: `SELECT place AS "where", sum(count) AS count FROM loss
    WHERE recording_id = ? AND origin_id IS NULL GROUP BY place ORDER BY place`,
  losses: `${LOSS} WHERE origin_id IS NULL ORDER BY id`,
  lossesOf: `${LOSS} WHERE session_id = ? ORDER BY from_us, id`,
  marks: `SELECT id, session_id AS sessionId, at_us AS atUs, text FROM mark WHERE session_id = ?
    ORDER BY at_us, id`,
} as const;

interface StateColumns {
  readonly batch_us: number;
  readonly last_session: number;
  readonly last_file: number;
  readonly boot_id: string | null;
  readonly clock_us: number | null;
}

interface EvidenceColumns {
  readonly evidence: BootEvidence['kind'];
  readonly detail: string | null;
  readonly partial: number;
}

type SessionColumns = Omit<SessionRow, 'evidence' | 'partial' | 'marks' | 'notes'> &
  EvidenceColumns;
type OpenColumns = Omit<OpenSession, 'evidence' | 'partial'> & EvidenceColumns;
type RecordingColumns = Omit<RecordingRow, 'clients'> & { readonly clients: string };

interface FileColumns extends Omit<SightColumns, 'ctimeNs'> {
  readonly dev: number;
  readonly ctimeNs: string | null;
  readonly inode: string;
  readonly operations: number;
  readonly count: number;
  readonly bytes: number;
  readonly firstUs: number;
  readonly lastUs: number;
  readonly firstOrder: number;
  readonly evidence: number;
  readonly created: number;
  readonly firstBatch: number;
}

interface NameColumns {
  readonly fileId: number;
  readonly path: string;
  readonly since: number;
  readonly until: number | null;
  /** First batch with an access of the session to the file. */
  readonly firstBatch: number;
  /** Last batch of the session's life. */
  readonly lastBatch: number;
}

type Statements = { readonly [K in keyof typeof SQL]: Statement };

export class Reader {
  readonly #db: Database;
  readonly #sql: Statements;
  readonly #missing: MissingReader;
  readonly #clients: ClientReader;
  readonly #sights: SightReader;

  constructor(db: Database) {
    this.#db = db;
    this.#missing = new MissingReader(db);
    this.#clients = new ClientReader(db);
    this.#sights = new SightReader(db);
    this.#sql = Object.fromEntries(
      Object.entries(SQL).map(([name, text]) => [name, db.prepare(text)]),
    ) as unknown as Statements;
  }

  /** Everything that `work` reads is of one moment, whatever is committed meanwhile. */
  snapshot<T>(work: () => T): T {
    return this.#db.transaction(work).deferred();
  }

  nextIds(): NextIds {
    const { last_session, last_file } = this.#state();
    return { session: last_session + 1, file: last_file + 1 };
  }

  lastIngestUs(): number | null {
    const { batch_us } = this.#state();
    return batch_us === 0 ? null : batch_us;
  }

  roots(): RootRow[] {
    return this.#sql.roots.all() as RootRow[];
  }

  activeRecordings(): RecordingRow[] {
    const rows = this.#sql.active.all() as RecordingColumns[];
    return rows.map((row) => ({ ...row, clients: soundJson(row.clients) as string[] }));
  }

  openSessions(): OpenSession[] {
    return (this.#sql.open.all() as OpenColumns[]).map(({ detail, ...row }) => ({
      ...row,
      evidence: soundEvidence(row.evidence, detail),
      partial: row.partial !== 0,
    }));
  }

  sessionsToKeep(fromId: number): { id: number; open: boolean }[] {
    const rows = this.#sql.toKeep.all(fromId) as { id: number; open: number }[];
    return rows.map(({ id, open }) => ({ id, open: open !== 0 }));
  }

  mounts(root: Buffer): Buffer[] {
    return (this.#sql.mounts.all(root) as { path: Buffer }[]).map(({ path }) => path);
  }

  identities(): ClientIdentity[] {
    return this.#clients.identities();
  }

  pendingBoots(): PendingBoot[] {
    return this.#clients.pendingBoots();
  }

  called(address: string): Pick<ClientRow, 'label' | 'name'> {
    return this.#clients.called(address);
  }

  clients(): ClientRow[] {
    return this.#clients.clients();
  }

  /** The clock of the last batch; null before the first. */
  clock(): ClockRow | null {
    const { boot_id: bootId, clock_us: offsetUs } = this.#state();
    return bootId === null || offsetUs === null ? null : { bootId, offsetUs };
  }

  *knownFiles(rootId: number): Generator<KnownFile> {
    interface Row {
      readonly id: number;
      readonly mount: Buffer;
      readonly type: number;
      readonly bytes: Buffer;
      readonly path: Buffer | null;
      readonly ctimeNs: string | null;
    }
    let current: (KnownFile & { readonly names: Buffer[] }) | undefined;
    for (const row of this.#sql.known.iterate(rootId) as Iterable<Row>) {
      if (current?.id !== row.id) {
        if (current !== undefined) yield current;
        const { id, mount, type, bytes } = row;
        const ctimeNs = row.ctimeNs === null ? null : BigInt(row.ctimeNs);
        current = { id, mount, handle: { type, bytes }, names: [], ctimeNs };
      }
      if (row.path !== null) current.names.push(row.path);
    }
    if (current !== undefined) yield current;
  }

  fileIdOf(rootId: number, mount: Buffer, { type, bytes }: FileHandle): number | undefined {
    return this.#sql.fileOf.pluck().get(rootId, mount, type, bytes) as number | undefined;
  }

  sessions(filter: {
    readonly rootId: number | null;
    readonly client: string | null;
    readonly sinceUs: number | null;
  }): SessionRow[] {
    return (this.#sql.sessions.all(filter) as SessionColumns[]).map((row) => this.#session(row));
  }

  session(id: number): SessionRow | undefined {
    const row = this.#sql.session.get(id) as SessionColumns | undefined;
    return row === undefined ? undefined : this.#session(row);
  }

  files(id: number, operations: number | null): FileAccessRow[] {
    const { names, rows, sights } = this.snapshot(() => ({
      names: this.#names(id, operations),
      rows: this.#sql.files.all({ id, operations }) as FileColumns[],
      sights: this.#sights.of(id),
    }));
    return rows
      .map((row) => {
        const sight = sights.get(row.fileId);
        return fileRow(sight === undefined ? row : { ...row, ...sight }, names.of(row.fileId));
      })
      .sort((a, b) => compareFirstNames(a.names[0], b.names[0]) || a.fileId - b.fileId);
  }

  handles(id: number): Map<number, FileHandle> {
    const rows = this.#sql.handles.all(id) as (FileHandle & { readonly id: number })[];
    return new Map(rows.map(({ id: fileId, type, bytes }) => [fileId, { type, bytes }]));
  }

  list(id: number): Buffer[] {
    // The root itself has the empty name: nothing that a list of paths could show.
    return this.#names(id, null)
      .paths()
      .filter((path) => path.length > 0);
  }

  missingTotal(id: number): MissingTotal {
    return this.#missing.total(id);
  }

  missing(id: number): MissingPath[] {
    const { names, rows } = this.snapshot(() => ({
      names: this.#names(id, null),
      rows: this.#missing.rows(id),
    }));
    return rows
      .map(({ directoryId, ...row }) => ({
        ...row,
        path: below(names.of(directoryId)[0], row.name),
      }))
      .sort((a, b) => compareFirstNames(a.path ?? undefined, b.path ?? undefined));
  }

  fileIdsOf(sessionId: number): number[] {
    return this.#sql.fileIds.pluck().all(sessionId) as number[];
  }

  lossesOfRecording(recordingId: number): LossTotal[] {
    return this.#sql.recordingLosses.all(recordingId) as LossTotal[];
  }

  losses(sessionId: number | null): LossRow[] {
    const rows = sessionId === null ? this.#sql.losses.all() : this.#sql.lossesOf.all(sessionId);
    return rows as LossRow[];
  }

  marks(sessionId: number): MarkRow[] {
    return this.#sql.marks.all(sessionId) as MarkRow[];
  }

  #state(): StateColumns {
    return this.#sql.state.get() as StateColumns;
  }

  #names(id: number, operations: number | null): NamesOfSession {
    const rows = this.#sql.names.all({ id, operations }) as NameColumns[];
    return new NamesOfSession(
      rows.map(({ fileId, path: digits, since, until, firstBatch, lastBatch }) => {
        const path = Buffer.from(digits, 'hex');
        soundPath(path);
        return { fileId, path, since, until, firstBatch, lastBatch };
      }),
    );
  }

  #session({ detail, ...row }: SessionColumns): SessionRow {
    soundSession(row);
    return {
      ...row,
      evidence: soundEvidence(row.evidence, detail),
      partial: row.partial !== 0,
      marks: this.marks(row.id),
      notes: this.#clients.notes(row.id),
    };
  }
}

/** Each by its name: SQLite's rows are slow to spread. */
function fileRow(row: FileColumns, names: readonly Buffer[]): FileAccessRow {
  return {
    fileId: row.fileId,
    type: row.mode & S_IFMT,
    mode: row.mode,
    uid: row.uid,
    gid: row.gid,
    size: row.size,
    mtimeNs: BigInt(row.mtimeNs),
    nlink: row.nlink,
    ctimeNs: row.ctimeNs === null ? null : BigInt(row.ctimeNs),
    target: row.target,
    dev: row.dev,
    inode: BigInt.asUintN(64, BigInt(row.inode)),
    operations: row.operations,
    count: row.count,
    bytes: row.bytes,
    firstUs: row.firstUs,
    lastUs: row.lastUs,
    order: row.firstOrder,
    evidence: evidenceOf(row.evidence),
    created: row.created !== 0,
    firstBatch: row.firstBatch,
    names,
  };
}

function below(directory: Buffer | undefined, name: Buffer): Buffer | null {
  if (directory === undefined) return null;
  return directory.length === 0 ? name : Buffer.concat([directory, Buffer.from('/'), name]);
}

/** Objects without a name come last. */
function compareFirstNames(a: Buffer | undefined, b: Buffer | undefined): number {
  if (a === undefined || b === undefined) return Number(a === undefined) - Number(b === undefined);
  return compareBytes(a, b);
}
