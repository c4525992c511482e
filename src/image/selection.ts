/**
 * Which of a session's files go into an image, and why the others do not. Owns selection and drift.
 * Must not know tables, the archive, or how a set is closed.
 */
import { operationBit } from '../common/words.ts';
import type { Closure, ReasonKind } from './closure.ts';
import type { Drift, LeftOut, SeenFile, SessionFile } from './plan-types.ts';
import type { TreeStat } from './tree.ts';
import { fromBytes, parentOf, type Resolver, toBytes } from './resolve.ts';
import type { Barrier } from './rules/barrier.ts';
import type { SweptFile } from './sweeps/leave-out.ts';

const LOOKUP = operationBit('lookup');
const READDIR = operationBit('readdir');
const REMOVE = operationBit('remove');
const WRITTEN = operationBit('write') | operationBit('create') | operationBit('setattr');
export const ALL_OPERATIONS = 0xffffffff;
/** What the session did to a file, strongest first. */
const SESSION_REASONS: readonly (readonly [ReasonKind, number])[] = [
  ['read', operationBit('read')],
  ['readlink', operationBit('readlink')],
  ['readdir', READDIR],
  ['write', WRITTEN | REMOVE],
  ['stat', ALL_OPERATIONS],
];

/** A recorded file with its way through links gone, rows of one object merged. */
export interface Found {
  readonly path: string;
  readonly through: readonly string[];
  operations: number;
  created: boolean;
  /** The sweep that alone touched it, by number. */
  sweep: number | undefined;
  readonly seen: SessionFile['seen'];
}

/** Rows to objects: links on the way resolved, in bytewise order. */
export function findFiles(
  files: readonly SessionFile[],
  resolver: Resolver,
  drift: Drift[],
): Found[] {
  const found = new Map<string, Found>();
  for (const file of files) {
    const { path, through } = resolver.resolve('', fromBytes(file.path), false);
    if (path === null) {
      drift.push({ path: file.path, what: 'vanished' });
      continue;
    }
    const known = found.get(path);
    const created = file.created === true;
    const { operations, sweep, seen } = file;
    if (known === undefined) found.set(path, { path, through, operations, created, sweep, seen });
    else {
      known.operations |= operations;
      known.created &&= created;
      if (sweep === undefined) known.sweep = undefined;
    }
  }
  return [...found.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

export interface Selection {
  readonly found: readonly Found[];
  readonly resolver: Resolver;
  readonly closure: Closure;
  readonly drift: Drift[];
  readonly leftOut: LeftOut[];
  readonly barrier: Barrier;
  readonly mask: number;
  readonly keepSweeps: boolean;
  /** Leave out files that are not as they were recorded. */
  readonly skipDrifted: boolean;
}

/**
 * Puts the chosen files into the closure and says what became of the others; but of those that only
 * a sweep touched, which it gives back.
 */
export function select({
  found,
  resolver,
  closure,
  drift,
  leftOut,
  barrier,
  mask,
  keepSweeps,
  skipDrifted,
}: Selection): SweptFile[] {
  const listed = new Set(
    found.filter((file) => (file.operations & READDIR) !== 0).map((file) => file.path),
  );
  const chosen: Found[] = [];
  const swept: SweptFile[] = [];
  for (const file of found) {
    const stat = resolver.lstat(file.path);
    const leave = (why: LeftOut['why']) => leftOut.push({ path: toBytes(file.path), why });
    if (barrier.isCreated(file.path)) {
      leave('created');
      keepDirectory(file.path, { resolver, closure, barrier });
      continue;
    }
    if ((file.operations & mask) === 0) {
      leave('operations');
      continue;
    }
    const kind = SESSION_REASONS.find(([, bits]) => (file.operations & bits) !== 0)?.[0] ?? 'stat';
    if (barrier.has(file.path, kind)) continue;
    const { sweep } = file;
    if (sweep !== undefined && !keepSweeps) {
      swept.push({ path: file.path, sweep });
      continue;
    }
    if (stat === null) {
      if ((file.operations & REMOVE) !== 0) leave('removed');
      else drift.push({ path: toBytes(file.path), what: absence(file.path, resolver) });
      continue;
    }
    // A name that was asked for on its own is a file whose existence counted; one that came up
    // while its directory was gone through (ls -l over NFSv3 without READDIRPLUS) is not.
    if (
      file.operations === LOOKUP &&
      stat.type !== 'directory' &&
      listed.has(parentOf(file.path))
    ) {
      leave('listing');
      continue;
    }
    const changes = changesOf(file, stat, resolver);
    for (const what of changes) drift.push({ path: toBytes(file.path), what });
    // A directory stays, since what is in it may have to; what was only touched is what it was, as
    // far as anyone can tell: a backup made of hard links touches every file.
    const other = changes.some((what) => what !== 'touched');
    if (skipDrifted && other && stat.type !== 'directory') {
      barrier.skip(file.path);
      continue;
    }
    closure.add(file.path, { kind, about: null });
    chosen.push(file);
  }
  // After all of them, so that a link that was read says so first.
  for (const file of chosen)
    for (const link of file.through) closure.add(link, { kind: 'way-to', about: file.path });
  return swept;
}

function absence(path: string, resolver: Resolver): Drift['what'] {
  return resolver.isMountedOver(path) ? 'mounted-over' : 'vanished';
}

/** How a file differs from what the recorder saw; what the session itself wrote does not count. */
function changesOf(
  { path, seen, operations }: Found,
  stat: TreeStat,
  resolver: Resolver,
): Drift['what'][] {
  // What is mounted there now says nothing of the root's own.
  if (seen === undefined || stat.foreign) return [];
  if (seen.type !== stat.type) return ['changed-type'];
  if ((operations & WRITTEN) !== 0) return [];
  const changes: Drift['what'][] = [];
  const content = contentChange(seen, stat, resolver.target(path));
  if (content !== null) changes.push(content);
  const { mode = stat.mode, uid = stat.uid, gid = stat.gid } = seen;
  if (mode !== stat.mode || uid !== stat.uid || gid !== stat.gid) changes.push('changed-mode');
  if (changes.length === 0 && wasTouched(seen, stat)) changes.push('touched');
  return changes;
}

const ctimeOf = ({ ctime, ctimeNsec }: TreeStat): bigint =>
  BigInt(ctime) * 1_000_000_000n + BigInt(ctimeNsec);

function contentChange(
  seen: SeenFile,
  stat: TreeStat,
  target: string | undefined,
): Drift['what'] | null {
  if (stat.type !== 'file' && stat.type !== 'symlink') return null;
  if (seen.target !== undefined && target !== undefined)
    return fromBytes(seen.target) === target ? null : 'changed-target';
  if (seen.size === stat.size && seen.mtime === keptSeconds(stat.mtime)) return null;
  return (seen.inode ?? stat.ino) === stat.ino ? 'changed' : 'replaced';
}

/** Another object's ctime says nothing: a copy of the root has others too. */
function wasTouched({ inode, ctimeNs }: SeenFile, stat: TreeStat): boolean {
  if (stat.type !== 'file' || inode !== stat.ino || ctimeNs === undefined) return false;
  return ctimeNs !== ctimeOf(stat);
}

/** The recorder keeps nanoseconds in 64 bits; a time before 1677 or after 2262 is the nearest. */
function keptSeconds(mtime: number): number {
  return Math.max(-9_223_372_037, Math.min(mtime, 9_223_372_036));
}

interface Keeping {
  readonly resolver: Resolver;
  readonly closure: Closure;
  readonly barrier: Barrier;
}

/** The nearest directory that is not the session's own above a file that the session made. */
function keepDirectory(path: string, { resolver, closure, barrier }: Keeping): void {
  let directory = parentOf(path);
  while (
    directory !== '' &&
    (barrier.isCreated(directory) || resolver.lstat(directory)?.type !== 'directory')
  )
    directory = parentOf(directory);
  closure.add(directory, { kind: 'parent-of', about: path });
}
