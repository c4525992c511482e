/**
 * Everything in the database about clients beside their sessions: labels, names, NFSv4 identities,
 * boot evidence that waits, notes. Owns those statements; must not open files or know who calls.
 */
import type { Database, Statement } from 'better-sqlite3';
import type { BootEvidence, ClientIdentity, PendingBoot, SessionNote } from '../common/boots.ts';
import { DamagedRow } from './errors.ts';
import { soundEvidence, soundJson } from './sound.ts';
import type { ClientName, ClientRow, NoteRow, PendingChange } from './types.ts';

const SQL = {
  identity: `INSERT OR REPLACE INTO identity (address, owner_name, verifier, seen_batch)
    VALUES (?, ?, ?, ?)`,
  forget: 'DELETE FROM identity WHERE address = ? AND owner_name = ?',
  dropPending: 'DELETE FROM pending_boot WHERE client = ?',
  pending: `INSERT INTO pending_boot (client, root_id, evidence, detail, partial, at_us, spent)
    VALUES (?, ?, ?, ?, ?, ?, ?)`,
  note: `INSERT INTO session_note (session_id, kind, at_us, count, detail) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT DO UPDATE SET count = max(count, excluded.count), detail = excluded.detail`,
  forgetContent: `DELETE FROM session_note
    WHERE session_id = ? AND kind IN ('content-kept', 'content-failed')`,
  client: 'INSERT INTO client (address) VALUES (?) ON CONFLICT DO NOTHING',
  label: 'UPDATE client SET label = ? WHERE address = ?',
  // A client that has neither a session nor a label any more says nothing.
  tidy: `DELETE FROM client WHERE address = ? AND label IS NULL
    AND NOT EXISTS (SELECT 1 FROM session WHERE client_id = client.id)`,
  labels: 'SELECT count(*) AS count FROM client WHERE label IS NOT NULL',
  labelled: 'SELECT address FROM client WHERE label = ?',
  name: 'UPDATE client SET name = ? WHERE address = ?',
} as const;

const READ = {
  identities: `SELECT address, owner_name AS ownerName, verifier FROM identity
    ORDER BY seen_batch, address, owner_name`,
  pendings: `SELECT client, root_id AS rootId, evidence, detail, partial, at_us AS atUs, spent
    FROM pending_boot ORDER BY rowid`,
  notes: `SELECT kind, at_us AS atUs, count, detail FROM session_note WHERE session_id = ?
    ORDER BY kind`,
  called: 'SELECT label, name FROM client WHERE address = ?',
  clients: `SELECT c.address, c.label, c.name, count(s.id) AS sessions,
      coalesce(sum(s.id IS NOT NULL AND s.closed_us IS NULL), 0) AS open, max(s.id) AS lastSession,
      max(s.last_us) AS lastUs
    FROM client c LEFT JOIN session s ON s.client_id = c.id GROUP BY c.id ORDER BY c.address`,
} as const;

type Statements<T> = { readonly [K in keyof T]: Statement };

function prepared<T extends Record<string, string>>(db: Database, texts: T): Statements<T> {
  return Object.fromEntries(
    Object.entries(texts).map(([name, text]) => [name, db.prepare(text)]),
  ) as unknown as Statements<T>;
}

export class ClientWriter {
  readonly #sql: Statements<typeof SQL>;

  constructor(db: Database) {
    this.#sql = prepared(db, SQL);
  }

  identity({ address, ownerName, verifier }: ClientIdentity, batch: number): void {
    this.#sql.identity.run(address, ownerName, verifier, batch);
  }

  forget({ address, ownerName }: ClientIdentity): void {
    this.#sql.forget.run(address, ownerName);
  }

  pending({ client, boots }: PendingChange): void {
    this.#sql.dropPending.run(client);
    for (const { rootId, evidence, partial, atUs, spent } of boots)
      this.#sql.pending.run(
        client,
        rootId,
        evidence.kind,
        evidence.detail === undefined ? null : JSON.stringify(evidence.detail),
        Number(partial),
        atUs,
        JSON.stringify(spent),
      );
  }

  note({ sessionId, kind, atUs, count, detail }: SessionNote): void {
    this.#sql.note.run(sessionId, kind, atUs, count, detail);
  }

  /** Takes the place of what was said of the session's content before. */
  noteContent(note: SessionNote): void {
    this.#sql.forgetContent.run(note.sessionId);
    this.note(note);
  }

  name({ address, name }: ClientName): void {
    this.#sql.name.run(name, address);
  }

  /** @returns whose label it is already, if it is another's, and how many labels there are */
  label(address: string, label: string | null): { takenBy: string | null } {
    const holder = (label === null ? undefined : this.#sql.labelled.get(label)) as
      { readonly address: string } | undefined;
    if (holder !== undefined && holder.address !== address) return { takenBy: holder.address };
    this.#sql.client.run(address);
    this.#sql.label.run(label, address);
    this.#sql.tidy.run(address);
    return { takenBy: null };
  }

  labels(): number {
    return (this.#sql.labels.get() as { count: number }).count;
  }
}

interface PendingColumns {
  readonly client: string;
  readonly rootId: number | null;
  readonly evidence: BootEvidence['kind'];
  readonly detail: string | null;
  readonly partial: number;
  readonly atUs: number;
  readonly spent: string;
}

export class ClientReader {
  readonly #sql: Statements<typeof READ>;

  constructor(db: Database) {
    this.#sql = prepared(db, READ);
  }

  identities(): ClientIdentity[] {
    return this.#sql.identities.all() as ClientIdentity[];
  }

  pendingBoots(): PendingBoot[] {
    return (this.#sql.pendings.all() as PendingColumns[]).map(({ evidence, detail, ...row }) => ({
      ...row,
      evidence: soundEvidence(evidence, detail),
      partial: row.partial !== 0,
      spent: rootIds(row.spent),
    }));
  }

  notes(sessionId: number): NoteRow[] {
    return this.#sql.notes.all(sessionId) as NoteRow[];
  }

  called(address: string): Pick<ClientRow, 'label' | 'name'> {
    const row = this.#sql.called.get(address) as Pick<ClientRow, 'label' | 'name'> | undefined;
    return row ?? { label: null, name: null };
  }

  clients(): ClientRow[] {
    return this.#sql.clients.all() as ClientRow[];
  }
}

function rootIds(text: string): number[] {
  const ids = soundJson(text);
  if (!Array.isArray(ids) || !ids.every((id) => Number.isInteger(id)))
    throw new DamagedRow(`${JSON.stringify(text)} is no list of roots`);
  return ids as number[];
}
