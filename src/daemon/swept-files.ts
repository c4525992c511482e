/**
 * What of a set of sessions only sweeps touched: each session is looked through by itself and whole,
 * and a file is a sweep's if it is so in every session that it comes from. Owns which sessions can
 * tell. Must not know what a sweep is, or what is left out because of one.
 */
import { fromBytes, toBytes } from '../image/resolve.ts';
import type { SessionTier } from '../common/words.ts';
import type { Walked } from '../image/sweeps/below.ts';
import { findSweeps } from '../image/sweeps/find-sweeps.ts';
import type { Sweep } from '../image/sweeps/sweep.ts';
import type { Touch } from '../image/sweeps/touch.ts';
import type { SessionSet } from '../sessions/evaluate.ts';
import type { FileAccessRow, SessionRow } from '../store/types.ts';

export interface SessionSweep extends Pick<Sweep, 'fromUs' | 'toUs' | 'doubt'> {
  readonly session: number;
  readonly top: Buffer;
  /** What it alone touched, and is in the set. */
  readonly objects: number;
  /** What it read and what may be wanted all the same. */
  readonly kept: number;
}

/** A session that was not looked through, and what of it cannot tell. */
export interface Unsearched {
  readonly session: number;
  readonly tier: SessionTier;
  readonly why: 'tier' | 'loss' | 'partial';
}

export interface SweptFiles {
  readonly sweeps: readonly SessionSweep[];
  readonly unsearched: readonly Unsearched[];
  /** File → which of them, by its place. */
  readonly sweepOf: ReadonlyMap<number, number>;
}

/** @param files what the store has of a session */
export function sweptFiles(
  { sessions, objects }: Pick<SessionSet, 'sessions' | 'objects'>,
  files: (session: number) => readonly FileAccessRow[],
  tree: Walked,
): SweptFiles {
  const unsearched = sessions.flatMap((session) => {
    const why = whatCannotTell(session);
    return why === null ? [] : { session: session.id, tier: session.tier, why };
  });
  const found = sessions
    .filter((session) => whatCannotTell(session) === null)
    .flatMap(({ id }) => sweepsOf(files(id), tree).map((sweep) => ({ session: id, ...sweep })));
  if (found.length === 0) return { sweeps: [], unsearched, sweepOf: new Map() };
  const swept = new Map<string, number>();
  for (const [place, { session, files: ids }] of found.entries())
    for (const id of ids) if (!swept.has(keyOf(session, id))) swept.set(keyOf(session, id), place);
  const sweepOf = new Map<number, number>();
  for (const { fileId, sessions: shared } of objects) {
    const places = shared.map((session) => swept.get(keyOf(session, fileId)));
    const [place] = places;
    if (place !== undefined && !places.includes(undefined)) sweepOf.set(fileId, place);
  }
  const counts = found.map(() => 0);
  for (const place of sweepOf.values()) counts[place] = (counts[place] ?? 0) + 1;
  const sweeps = found.map(({ session, top, fromUs, toUs, doubt, kept }, place) => {
    return { session, top: toBytes(top), fromUs, toUs, doubt, kept, objects: counts[place] ?? 0 };
  });
  return { sweeps, unsearched, sweepOf };
}

/**
 * Every operation must be there with its time: a use that was lost, or that came before the session
 * began, would make a file look like a sweep's own.
 */
function whatCannotTell({ tier, loss, partial }: SessionRow): Unsearched['why'] | null {
  if (tier !== 'exact' && tier !== 'exact+names') return 'tier';
  if (loss > 0) return 'loss';
  return partial ? 'partial' : null;
}

function sweepsOf(
  rows: readonly FileAccessRow[],
  tree: Walked,
): (Pick<Sweep, 'top' | 'fromUs' | 'toUs' | 'doubt'> & { files: number[]; kept: number })[] {
  const named = rows.filter(({ names }) => names.length > 0);
  const touches = named.map(touchOf);
  const found = findSweeps(touches, tree);
  if (found.length === 0) return [];
  const ids = new Map<Touch, number>();
  for (const [place, touch] of touches.entries()) ids.set(touch, named[place]?.fileId ?? 0);
  return found.map(({ swept, kept, ...sweep }) => ({
    ...sweep,
    files: swept.flatMap((touch) => ids.get(touch) ?? []),
    kept: kept.length,
  }));
}

export function touchOf(row: FileAccessRow): Touch {
  const { operations, bytes, size, firstUs, lastUs, created } = row;
  const type = TYPES.get(row.type) ?? 'other';
  const names = row.names.map(fromBytes);
  return { names, type, operations, bytes, size, firstUs, lastUs, created };
}

const TYPES: ReadonlyMap<number, Touch['type']> = new Map([
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
]);

const keyOf = (session: number, file: number): string => `${session} ${file}`;
