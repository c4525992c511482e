/**
 * Every statement that changes the database, prepared once. Owns the meaning of a batch; must not
 * open files or know who calls.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { SessionNote } from '../common/boots.ts';
import { GIVERS, type SessionTier } from '../common/words.ts';
import { ClientWriter } from './clients.ts';
import { ClockShift } from './clock-shift.ts';
import { evidenceBit } from './evidence.ts';
import { integer } from './integer.ts';
import { MissingWriter } from './missing-lookups.ts';
import { SightWriter } from './sights.ts';
import type {
  AccessUpdate,
  IngestBatch,
  LossUpdate,
  NameChange,
  NewFile,
  NewRecording,
  SessionClosed,
  SessionOpened,
} from './types.ts';

/**
 * A loss is known some batches after it happened. Sessions that ended earlier are out of its reach
 * whatever the wall clock says, which may have been set back since.
 */
const LATE_BATCHES = 300;
/** The file system of the root itself. */
const ROOT_MOUNT = Buffer.alloc(0);

const SQL = {
  nextBatch: 'UPDATE state SET batch = batch + 1, batch_us = ? RETURNING batch',
  clock: 'UPDATE state SET boot_id = ?, clock_us = ?',
  lastIds: 'UPDATE state SET last_session = max(last_session, ?), last_file = max(last_file, ?)',
  root: 'INSERT INTO root (path) VALUES (?) ON CONFLICT DO NOTHING',
  rootId: 'SELECT id FROM root WHERE path = ?',
  recording: `INSERT INTO recording (root_id, label, clients, tier, on_loss, keep_content, started_us)
    VALUES (@rootId, @label, @clients, @tier, @onLoss, @keepContent, @atUs) RETURNING id`,
  stopRecording: 'UPDATE recording SET stopped_us = ? WHERE id = ? AND stopped_us IS NULL',
  tier: 'UPDATE recording SET tier = ? WHERE id = ?',
  client: 'INSERT INTO client (address) VALUES (?) ON CONFLICT DO NOTHING',
  open: `INSERT INTO session (id, recording_id, client_id, tier, evidence, detail, partial,
      opened_us, last_us, opened_batch)
    SELECT @id, @recordingId, client.id, coalesce(@tier, recording.tier), @evidence, @detail,
      @partial, @openedUs, @lastUs, @batch
    FROM recording, client WHERE recording.id = @recordingId AND client.address = @client`,
  // A loss that was known before the session was, but reaches into it.
  inheritLosses: `INSERT INTO loss (recording_id, session_id, origin_id, place, count, from_us, to_us, detail)
    SELECT recording_id, @id, id, place, count, from_us, to_us, detail FROM loss
    WHERE session_id IS NULL AND recording_id = @recordingId AND to_us >= @openedUs AND alone = 0`,
  revise: 'UPDATE session SET evidence = ?, detail = ?, partial = ? WHERE id = ?',
  close: `UPDATE session SET closed_us = ?, close_reason = ?, closed_batch = ?
    WHERE id = ? AND closed_us IS NULL`,
  lastAccess: 'UPDATE session SET last_us = ? WHERE id = ? AND last_us < ?',
  mount: 'INSERT INTO mount (root_id, path) VALUES (?, ?) ON CONFLICT DO NOTHING',
  file: `INSERT INTO file (id, root_id, mount, handle_type, handle, dev, inode, generation, mode,
      uid, gid, size, mtime_ns, nlink, ctime_ns, target)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (root_id, mount, handle_type, handle) DO NOTHING`,
  sameFile:
    'SELECT id FROM file WHERE root_id = ? AND mount = ? AND handle_type = ? AND handle = ?',
  firstName: `INSERT INTO name (file_id, path, since_batch) VALUES (?, ?, ?)
    ON CONFLICT DO NOTHING`,
  addName: `INSERT INTO name (file_id, path, since_batch) SELECT @fileId, @path, @batch
    WHERE NOT EXISTS (SELECT 1 FROM name
      WHERE file_id = @fileId AND path = @path AND until_batch IS NULL)`,
  // A name that comes back within one batch never went.
  restoreName: `UPDATE name SET until_batch = NULL
    WHERE file_id = ? AND path = ? AND until_batch = ?`,
  removeName: `UPDATE name SET until_batch = ?
    WHERE file_id = ? AND path = ? AND until_batch IS NULL`,
  access: `INSERT INTO access VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET
      operations = operations | excluded.operations,
      count = count + excluded.count,
      bytes = bytes + excluded.bytes,
      first_us = min(first_us, excluded.first_us),
      last_us = max(last_us, excluded.last_us),
      first_order = min(first_order, excluded.first_order),
      evidence = evidence | excluded.evidence,
      created = created | excluded.created,
      last_batch = excluded.last_batch`,
  loss: `INSERT INTO loss (recording_id, session_id, place, count, from_us, to_us, detail, alone)
    VALUES (coalesce(@recordingId, (SELECT recording_id FROM session WHERE id = @sessionId)),
      @sessionId, @where, @count, @fromUs, @toUs, @detail, @alone) RETURNING id`,
  spreadLoss: `INSERT INTO loss (recording_id, session_id, origin_id, place, count, from_us, to_us, detail)
    SELECT recording_id, id, @origin, @where, @count, @fromUs, @toUs, @detail FROM session
    WHERE recording_id = @recordingId AND opened_us <= @toUs
      AND (closed_us IS NULL OR (closed_us >= @fromUs
        AND closed_batch >= (SELECT batch FROM state) - ${LATE_BATCHES}))`,
  // Those of sessions that have ended keep their times when the clock is set, and are not found.
  growLoss: `UPDATE loss SET to_us = max(to_us, @toUs)
    WHERE recording_id = @recordingId AND place = @where AND from_us = @fromUs`,
  // No sensor makes a session that is given, and none loses anything of it.
  recordingsAt: `SELECT id FROM recording
    WHERE tier NOT IN (${GIVERS.map((giver) => `'${giver}'`).join(', ')}) AND started_us <= @toUs AND (stopped_us IS NULL OR stopped_us >= @fromUs) ORDER BY id`,
  mark: 'INSERT INTO mark (session_id, at_us, text) VALUES (?, ?, ?) RETURNING id',
  openIds: 'SELECT id FROM session WHERE closed_us IS NULL ORDER BY id',
} as const;

type Statements = { readonly [K in keyof typeof SQL]: Statement };

export class Writer {
  readonly #db: Database;
  readonly #sql: Statements;
  readonly #missing: MissingWriter;
  readonly #clients: ClientWriter;
  readonly #sights: SightWriter;
  readonly #shift: ClockShift;
  readonly #ingest: (batch: IngestBatch) => void;
  /**
   * Numbers given to files that the store knew already; they stand for the first number. Only for
   * one that went and came back while the row of its first number waited for this store: whoever
   * gives numbers asks for those of files that come back.
   */
  readonly #aliases = new Map<number, number>();

  constructor(db: Database) {
    this.#db = db;
    this.#sql = Object.fromEntries(
      Object.entries(SQL).map(([name, text]) => [name, db.prepare(text)]),
    ) as unknown as Statements;
    this.#missing = new MissingWriter(db);
    this.#clients = new ClientWriter(db);
    this.#sights = new SightWriter(db);
    this.#shift = new ClockShift(db);
    const ingest = db.transaction((batch: IngestBatch) => this.#write(batch));
    this.#ingest = (batch) => ingest.immediate(batch);
  }

  ingest(batch: IngestBatch): void {
    this.#ingest(batch);
  }

  ensureRoot(path: Buffer): number {
    this.#sql.root.run(path);
    return (this.#sql.rootId.get(path) as { id: number }).id;
  }

  startRecording(recording: NewRecording): number {
    const row = {
      onLoss: 'warn',
      ...recording,
      clients: JSON.stringify(recording.clients),
      keepContent: Number(recording.keepContent ?? false),
    };
    return (this.#sql.recording.get(row) as { id: number }).id;
  }

  stopRecording(id: number, atUs: number): void {
    this.#sql.stopRecording.run(atUs, id);
  }

  setTier(recordingId: number, tier: SessionTier): void {
    this.#sql.tier.run(tier, recordingId);
  }

  addMark(mark: {
    readonly text: string;
    readonly atUs: number;
    readonly sessionIds?: readonly number[];
  }): number[] {
    return this.#db
      .transaction(() => {
        const sessions =
          mark.sessionIds ?? (this.#sql.openIds.all() as { id: number }[]).map(({ id }) => id);
        for (const id of sessions) this.#sql.mark.run(id, mark.atUs, mark.text);
        return [...sessions];
      })
      .immediate();
  }

  noteContent(note: SessionNote): void {
    this.#db.transaction(() => this.#clients.noteContent(note)).immediate();
  }

  setLabel(address: string, label: string | null): { takenBy: string | null } {
    return this.#db.transaction(() => this.#clients.label(address, label)).immediate();
  }

  labels(): number {
    return this.#clients.labels();
  }

  /** Makes everything committed so far outlive a power cut. */
  sync(): void {
    this.#db.pragma('wal_checkpoint(PASSIVE)');
  }

  #write(batch: IngestBatch): void {
    const { batch: number } = this.#sql.nextBatch.get(batch.atUs) as { batch: number };
    const opened = batch.opened ?? [];
    const files = batch.files ?? [];
    const { clock, shiftUs = 0 } = batch;
    if (clock !== undefined) this.#sql.clock.run(clock.bootId, clock.offsetUs);
    if (shiftUs !== 0) this.#shift.run(shiftUs);
    for (const session of opened) this.#open(session, number);
    for (const { id, evidence, partial } of batch.revised ?? [])
      this.#sql.revise.run(evidence.kind, detailText(evidence.detail), Number(partial), id);
    for (const identity of batch.identities ?? []) this.#clients.identity(identity, number);
    for (const identity of batch.forgotten ?? []) this.#clients.forget(identity);
    for (const change of batch.pending ?? []) this.#clients.pending(change);
    for (const note of batch.notes ?? []) this.#clients.note(note);
    for (const name of batch.clientNames ?? []) this.#clients.name(name);
    for (const file of files) this.#file(file, number);
    for (const { rootId, path } of batch.mounts ?? []) this.#sql.mount.run(rootId, path);
    for (const change of batch.names ?? []) this.#name(change, number);
    this.#accesses(batch.accesses ?? [], number);
    this.#missing.write(
      (batch.missing ?? []).map((row) => ({ ...row, directoryId: this.#fileId(row.directoryId) })),
      batch.missingDropped ?? [],
    );
    for (const session of batch.closed ?? []) this.#close(session, number);
    for (const loss of batch.losses ?? []) this.#loss(loss);
    for (const loss of batch.grown ?? []) this.#sql.growLoss.run(loss);
    if (opened.length > 0 || files.length > 0)
      this.#sql.lastIds.run(highest(opened), highest(files));
  }

  #open(session: SessionOpened, batch: number): void {
    const { id, recordingId, client, evidence, openedUs, lastUs } = session;
    this.#sql.client.run(client);
    const row = {
      id,
      recordingId,
      client,
      tier: session.tier ?? null,
      evidence: evidence.kind,
      detail: detailText(evidence.detail),
      partial: Number(session.partial),
      openedUs,
      lastUs,
      batch,
    };
    if (this.#sql.open.run(row).changes !== 1)
      throw new Error(`session ${id} belongs to recording ${recordingId}, which does not exist`);
    this.#sql.inheritLosses.run({ id, recordingId, openedUs });
  }

  #close({ id, reason, atUs }: SessionClosed, batch: number): void {
    this.#sql.close.run(atUs, reason, batch, id);
  }

  #file(file: NewFile, batch: number): void {
    const { handle, mount = ROOT_MOUNT } = file;
    const { changes } = this.#sql.file.run(
      file.id,
      file.rootId,
      mount,
      handle?.type ?? null,
      handle?.bytes ?? null,
      file.dev,
      // Overlay file systems use all 64 bits; SQLite's integers are signed.
      BigInt.asIntN(64, file.inode),
      file.generation ?? null,
      file.mode,
      file.uid,
      file.gid,
      integer(file.size),
      file.mtimeNs,
      file.nlink,
      file.ctimeNs ?? null,
      file.target ?? null,
    );
    if (changes === 1) {
      for (const path of file.names) this.#sql.firstName.run(file.id, path, batch);
      return;
    }
    const first = this.#sql.sameFile.get(file.rootId, mount, handle?.type, handle?.bytes);
    const { id } = first as { id: number };
    this.#aliases.set(file.id, id);
    const { ctimeNs, target } = file;
    // Whoever gave the number takes this for what the store has.
    if (typeof ctimeNs === 'bigint')
      this.#sights.write(id, { ...file, ctimeNs, target: target ?? undefined }, batch);
    for (const path of file.names) this.#name({ fileId: file.id, path, change: 'added' }, batch);
  }

  #fileId(id: number): number {
    return this.#aliases.get(id) ?? id;
  }

  #name({ fileId: id, path, change }: NameChange, batch: number): void {
    const fileId = this.#fileId(id);
    if (change === 'removed') this.#sql.removeName.run(batch, fileId, path);
    else if (this.#sql.restoreName.run(fileId, path, batch).changes === 0)
      this.#sql.addName.run({ fileId, path, batch });
  }

  #accesses(accesses: readonly AccessUpdate[], batch: number): void {
    const last = new Map<number, number>();
    // In the order of the key, so that each page of the tree is visited once.
    const sorted = [...accesses].sort((a, b) => a.sessionId - b.sessionId || a.fileId - b.fileId);
    for (const a of sorted) {
      const { state } = a;
      const fileId = this.#fileId(a.fileId);
      if (state !== undefined) this.#sights.used(a.sessionId, fileId, { state, batch });
      this.#sql.access.run(
        a.sessionId,
        fileId,
        a.operations,
        a.count,
        a.bytes,
        a.firstUs,
        a.lastUs,
        a.order,
        evidenceBit(a.evidence),
        a.created === true ? 1 : 0,
        batch,
        batch,
      );
      const before = last.get(a.sessionId);
      if (before === undefined || before < a.lastUs) last.set(a.sessionId, a.lastUs);
    }
    for (const [id, lastUs] of last) this.#sql.lastAccess.run(lastUs, id, lastUs);
  }

  #loss(loss: LossUpdate): void {
    if (loss.sessionId !== null || loss.recordingId !== null) {
      this.#oneLoss(loss);
      return;
    }
    const { fromUs, toUs } = loss;
    const recordings = this.#sql.recordingsAt.all({ fromUs, toUs }) as { id: number }[];
    if (recordings.length === 0) this.#oneLoss(loss);
    for (const { id } of recordings) this.#oneLoss({ ...loss, recordingId: id });
  }

  #oneLoss(loss: LossUpdate): void {
    const { recordingId, sessionId, where, count, fromUs, toUs, alone = false } = loss;
    const detail = loss.detail ?? null;
    const { id: origin } = this.#sql.loss.get({
      recordingId,
      sessionId,
      where,
      count,
      fromUs,
      toUs,
      detail,
      alone: alone ? 1 : 0,
    }) as { id: number };
    if (sessionId === null && recordingId !== null && !alone)
      this.#sql.spreadLoss.run({ origin, recordingId, where, count, fromUs, toUs, detail });
  }
}

function detailText(detail: unknown): string | null {
  return detail === undefined ? null : JSON.stringify(detail);
}

function highest(rows: readonly { readonly id: number }[]): number {
  return rows.reduce((highest, { id }) => Math.max(highest, id), 0);
}
