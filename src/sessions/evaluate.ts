/**
 * What an expression over sessions stands for: one row an object, and how far it can be trusted.
 * Owns the algebra; must not read files of a root or know how rows are stored.
 */
import { compareBytes } from '../common/bytes.ts';
import { TraceError } from '../common/errors.ts';
import {
  OPERATIONS,
  operationBit,
  SESSION_TIERS,
  type Operation,
  type SessionTier,
} from '../common/words.ts';
import type { FileAccessRow, SessionRow } from '../store/types.ts';
import { formatExpression, sessionsIn, type SessionExpression } from './expression.ts';
import { within, type Moments } from './moments.ts';

/** The store's read side, as far as an expression needs it. */
export interface SessionSource {
  session(id: number): SessionRow | undefined;
  files(id: number): FileAccessRow[];
}

export interface SessionSet {
  /** In its one way of writing. */
  readonly expression: string;
  /** The marks that bound it; null = none. */
  readonly since: string | null;
  readonly until: string | null;
  /** Every session named in it, by number. */
  readonly sessions: readonly SessionRow[];
  readonly root: Buffer;
  readonly rootId: number;
  /** The worst tier of its sessions. */
  readonly tier: SessionTier;
  /** Objects by their first name in bytewise order, those without a name last. */
  readonly objects: readonly EvaluatedRow[];
  /** Objects that no name is known of: they cannot be listed. */
  readonly unnamed: number;
  /** Sum of its sessions' losses. */
  readonly loss: number;
  /** Sessions whose client was already up, unless the session that they continue is added. */
  readonly partial: readonly number[];
  /** Sessions that are still open. */
  readonly open: readonly number[];
}

/** A row of one session, or of several in one. */
export type EvaluatedRow = FileAccessRow & {
  /** Which: those that have a share in it, by number. */
  readonly sessions: readonly number[];
};

/**
 * Union, intersection and difference go by object (a file with several names is one). A row that
 * comes from several sessions unites their operations, counts and names; `created` stays only if
 * every one of them created it.
 * Of each session only what is within the moments counts, before anything else.
 * @throws TraceError `unknown-session`, `different-roots`, and what {@link within} does
 */
export function evaluate(
  expression: SessionExpression,
  source: SessionSource,
  moments: Moments = {},
): SessionSet {
  const sessions = sessionsIn(expression).map((id) => {
    const row = source.session(id);
    if (row === undefined) throw unknownSession(id);
    return row;
  });
  const [first] = sessions;
  if (first === undefined) throw new RangeError('an expression names at least one session');
  refuseOtherRoots(first, sessions);
  const bounded = new Map(
    sessions.map((row) => [row.id, source.files(row.id).filter(within(row, moments))]),
  );
  const objects = [...objectsOf(expression, bounded).values()].sort(compareRows);
  return {
    expression: formatExpression(expression),
    since: moments.since ?? null,
    until: moments.until ?? null,
    sessions,
    root: first.root,
    rootId: first.rootId,
    tier: worstTier(sessions),
    objects,
    unnamed: objects.filter(({ names }) => names.length === 0).length,
    loss: sessions.reduce((sum, { loss }) => sum + loss, 0),
    partial: [...doubtOf(expression, new Map(sessions.map((row) => [row.id, row]))).partial],
    open: sessions.filter(({ closedUs }) => closedUs === null).map(({ id }) => id),
  };
}

/** A row of the image room's input: one name of one object. */
export interface NamedFile {
  readonly path: Buffer;
  readonly operations: number;
  readonly created: boolean;
  /** Absent when it had gone before it could be looked at. `mtime` in whole seconds. */
  readonly seen?: Seen;
  /** What READs moved, again what is read again; absent where that is not known by itself. */
  readonly bytesRead?: number;
  /** Absent for rows of no evaluated set. */
  readonly seenBy?: Pick<EvaluatedRow, 'sessions' | 'evidence'>;
  /** Nothing but this sweep touched it. */
  readonly sweep?: number;
}

export interface Seen {
  readonly type: SeenType;
  readonly size: number;
  readonly mtime: number;
  /** Permission bits (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly inode: bigint;
  /** Absent where it is not known. */
  readonly ctimeNs?: bigint;
  /** Of a link; absent where it is not known. */
  readonly target?: Buffer;
}

export type SeenType = 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket';

/**
 * One row a name, in bytewise order; of objects with the same name, the one that was used last comes
 * first. Objects without a name are not there: see `unnamed`.
 * @param swept file → the sweep that alone touched it, by number
 */
export function namedFiles(
  objects: readonly (FileAccessRow & Partial<EvaluatedRow>)[],
  swept: ReadonlyMap<number, number> = new Map(),
): NamedFile[] {
  const rows: NamedFile[] = [];
  const latestFirst = [...objects].sort((a, b) => b.firstBatch - a.firstBatch);
  for (const row of latestFirst) {
    const { operations, created, sessions, evidence } = row;
    const seen = seenOf(row);
    const bytesRead = bytesReadOf(operations, row.bytes);
    const sweep = swept.get(row.fileId);
    for (const path of row.names)
      rows.push({
        path,
        operations,
        created,
        ...(seen && { seen }),
        ...(bytesRead !== undefined && { bytesRead }),
        ...(sessions !== undefined && { seenBy: { sessions, evidence } }),
        ...(sweep !== undefined && { sweep }),
      });
  }
  return rows.sort((a, b) => compareBytes(a.path, b.path));
}

const READ = operationBit('read');
const WRITE = operationBit('write');

/** Bytes of reads and writes are one sum; and no witness but the NFS server's counts any. */
function bytesReadOf(operations: number, bytes: number): number | undefined {
  return (operations & READ) !== 0 && (operations & WRITE) === 0 && bytes > 0 ? bytes : undefined;
}

function seenOf({
  type,
  size,
  mtimeNs,
  mode,
  uid,
  gid,
  inode,
  ctimeNs,
  target,
}: FileAccessRow): Seen | undefined {
  const seenType = SEEN_TYPES.get(type);
  if (seenType === undefined) return undefined;
  return {
    type: seenType,
    size,
    mtime: secondsOf(mtimeNs),
    mode: mode & 0o7777,
    uid,
    gid,
    inode,
    ...(ctimeNs !== null && { ctimeNs }),
    ...(target !== null && { target }),
  };
}

/** Objects by operation: how many saw it at all. */
export function countOperations(objects: readonly FileAccessRow[]): Record<Operation, number> {
  const counts = OPERATIONS.map((operation) => {
    const bit = operationBit(operation);
    return [operation, objects.filter(({ operations }) => (operations & bit) !== 0).length];
  });
  return Object.fromEntries(counts) as Record<Operation, number>;
}

function unknownSession(id: number): TraceError {
  return new TraceError({
    code: 'unknown-session',
    message: `there is no session-${id}`,
    hint: '`trace sessions` lists them',
    exit: 'notFound',
  });
}

function worstTier(sessions: readonly SessionRow[]): SessionTier {
  const worst = Math.max(...sessions.map(({ tier }) => SESSION_TIERS.indexOf(tier)));
  return SESSION_TIERS[worst] ?? 'sole-client';
}

function refuseOtherRoots(first: SessionRow, sessions: readonly SessionRow[]): void {
  const other = sessions.find(({ rootId }) => rootId !== first.rootId);
  if (other === undefined) return;
  throw new TraceError({
    code: 'different-roots',
    message:
      `session-${first.id} is of ${first.root.toString()}, ` +
      `session-${other.id} of ${other.root.toString()}`,
    hint: 'an expression can only take sessions of one root',
    exit: 'usage',
  });
}

interface Doubt {
  /** Sessions that are in the result with everything they have. */
  readonly added: ReadonlySet<number>;
  readonly partial: ReadonlySet<number>;
}

/** A partial session is made whole by adding the one it continues; nothing else does that. */
function doubtOf(expression: SessionExpression, rows: ReadonlyMap<number, SessionRow>): Doubt {
  if (expression.kind === 'session') {
    const { id } = expression;
    return { added: new Set([id]), partial: new Set(rows.get(id)?.partial === true ? [id] : []) };
  }
  const left = doubtOf(expression.left, rows);
  const right = doubtOf(expression.right, rows);
  const partial = new Set([...left.partial, ...right.partial].sort((a, b) => a - b));
  if (expression.kind !== 'union') return { added: new Set(), partial };
  const added = new Set([...left.added, ...right.added]);
  for (const id of partial) {
    const after = rows.get(id)?.evidence.detail?.after;
    if (after !== undefined && added.has(after)) partial.delete(id);
  }
  return { added, partial };
}

type Rows = Map<number, EvaluatedRow>;

function objectsOf(
  expression: SessionExpression,
  files: ReadonlyMap<number, readonly FileAccessRow[]>,
): Rows {
  if (expression.kind === 'session') {
    const sessions = [expression.id];
    const rows = files.get(expression.id) ?? [];
    return new Map(rows.map((row) => [row.fileId, { ...row, sessions }]));
  }
  const left = objectsOf(expression.left, files);
  const right = objectsOf(expression.right, files);
  const result: Rows = new Map();
  for (const [id, row] of left) {
    const other = right.get(id);
    if (expression.kind === 'difference') {
      if (other === undefined) result.set(id, row);
    } else if (other !== undefined) result.set(id, merged(row, other));
    else if (expression.kind === 'union') result.set(id, row);
  }
  if (expression.kind === 'union')
    for (const [id, row] of right) if (!left.has(id)) result.set(id, row);
  return result;
}

/** Metadata is as the one saw it that came to the file later. */
function merged(a: EvaluatedRow, b: EvaluatedRow): EvaluatedRow {
  const names = [...a.names, ...b.names].sort(compareBytes);
  return {
    ...(b.firstBatch > a.firstBatch ? b : a),
    sessions: [...new Set([...a.sessions, ...b.sessions])],
    operations: a.operations | b.operations,
    count: a.count + b.count,
    bytes: a.bytes + b.bytes,
    firstUs: Math.min(a.firstUs, b.firstUs),
    lastUs: Math.max(a.lastUs, b.lastUs),
    order: Math.min(a.order, b.order),
    evidence: [...new Set([...a.evidence, ...b.evidence])].sort(),
    created: a.created && b.created,
    names: names.filter((name, index) => index === 0 || !name.equals(names[index - 1] ?? name)),
  };
}

function compareRows(a: FileAccessRow, b: FileAccessRow): number {
  const [nameA] = a.names;
  const [nameB] = b.names;
  if (nameA === undefined || nameB === undefined)
    return Number(nameA === undefined) - Number(nameB === undefined) || a.fileId - b.fileId;
  return compareBytes(nameA, nameB) || a.fileId - b.fileId;
}

/** Whole seconds, rounded down as stat(2) splits them, also before 1970. */
function secondsOf(ns: bigint): number {
  const seconds = ns / 1_000_000_000n;
  return Number(ns < 0n && seconds * 1_000_000_000n !== ns ? seconds - 1n : seconds);
}

const SEEN_TYPES: ReadonlyMap<number, SeenType> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
  [0o060000, 'block'],
  [0o020000, 'character'],
  [0o010000, 'fifo'],
  [0o140000, 'socket'],
]);
