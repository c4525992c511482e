/**
 * The stable JSON shapes of sessions, files and losses. Owns the names of the keys; documented in
 * docs/json.md.
 */
import type { FileHandle } from '../common/batches.ts';
import { jsonPath } from '../common/bytes.ts';
import { operationsOf, type SessionTier } from '../common/words.ts';
import type { ClientRow, FileAccessRow, LossRow, MissingPath, SessionRow } from '../store/store.ts';
import { size, time } from './output.ts';

/** `complete`, or why not; and whether its content should have been kept, and was not. */
export function stateOf(session: SessionRow): string {
  const flags = [
    ...(session.closedUs === null ? ['open'] : []),
    ...(session.partial ? ['partial'] : []),
    ...(session.loss > 0 ? ['lossy'] : []),
  ];
  const kept = session.notes.some(({ kind }) => kind === 'content-failed') ? ['not-kept'] : [];
  return [...(flags.length === 0 ? ['complete'] : flags), ...kept].join(',');
}

/** Tiers whose witness counts no bytes. */
const COUNTLESS: ReadonlySet<SessionTier> = new Set(['sole-client', 'local', 'import']);

/** What was read; `-` if nobody counted. */
export function bytesText({ bytes, tier }: SessionRow): string {
  return COUNTLESS.has(tier) && bytes === 0 ? '-' : size(bytes);
}

/** `rack1-07 (10.0.0.7)`: label or name, and the address. */
export function clientText(session: SessionRow): string {
  const called = session.clientLabel ?? session.clientName;
  return called === null ? session.client : `${called} (${session.client})`;
}

export function clientShape(client: ClientRow) {
  return {
    client: client.address,
    label: client.label,
    name: client.name,
    sessions: client.sessions,
    open: client.open,
    last_session: client.lastSession === null ? null : `session-${client.lastSession}`,
    last: client.lastUs === null ? null : time(client.lastUs),
  };
}

export function sessionShape(session: SessionRow) {
  return {
    session: `session-${session.id}`,
    id: session.id,
    root: jsonPath(session.root),
    client: session.client,
    client_label: session.clientLabel,
    client_name: session.clientName,
    label: session.label,
    tier: session.tier,
    evidence: session.evidence,
    partial: session.partial,
    open: session.closedUs === null,
    opened: time(session.openedUs),
    last: time(session.lastUs),
    closed: session.closedUs === null ? null : time(session.closedUs),
    close_reason: session.closeReason,
    files: session.files,
    accesses: session.accesses,
    bytes: session.bytes,
    loss: session.loss,
    marks: session.marks.map(({ atUs, text }) => ({ at: time(atUs), text })),
    notes: session.notes.map(({ kind, atUs, count, detail }) => ({
      kind,
      at: time(atUs),
      count,
      detail,
    })),
  };
}

const TYPE_NAMES: ReadonlyMap<number, string> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
  [0o020000, 'character'],
  [0o060000, 'block'],
  [0o010000, 'fifo'],
  [0o140000, 'socket'],
]);

export function fileShape(file: FileAccessRow, handle: FileHandle | undefined) {
  const [first, ...others] = file.names;
  return {
    ...(first === undefined ? { path: null } : jsonPath(first)),
    other_names: others.map(jsonPath),
    type: TYPE_NAMES.get(file.type) ?? 'unknown',
    mode: file.mode & 0o7777,
    uid: file.uid,
    gid: file.gid,
    size: file.size,
    operations: operationsOf(file.operations),
    count: file.count,
    bytes: file.bytes,
    first: time(file.firstUs),
    last: time(file.lastUs),
    evidence: file.evidence,
    created: file.created,
    handle: handle === undefined ? null : { type: handle.type, hex: handle.bytes.toString('hex') },
  };
}

export function missingShape({ path, name, count, firstUs, lastUs }: MissingPath) {
  return {
    ...(path === null ? { path: null, name: jsonPath(name) } : jsonPath(path)),
    count,
    first: time(firstUs),
    last: time(lastUs),
  };
}

export function lossShape(loss: LossRow) {
  return {
    where: loss.where,
    count: loss.count,
    from: time(loss.fromUs),
    to: time(loss.toUs),
    detail: loss.detail,
  };
}
