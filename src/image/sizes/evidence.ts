/**
 * How weak the evidence is that a file of an image is used: what could be left out at the least
 * risk. Pure. Owns the grades; must not read files.
 */
import { compareBytes } from '../../common/bytes.ts';
import type { ReasonKind } from '../closure.ts';
import type { PlanEntry } from '../plan-types.ts';
import { fromBytes } from '../resolve.ts';

/**
 * `linked`: nothing but links lead to it. `needed`: only what was itself not used needs it. `stat`:
 * the session looked at it and did not read it. `partly-read`: less than a quarter was read.
 */
export type Grade = 'linked' | 'needed' | 'stat' | 'partly-read';

/** What kinds of reasons mean for use. A link that was only read says nothing of where it leads. */
const USE: Readonly<Record<ReasonKind, 'used' | 'if-about-is' | 'unused'>> = {
  read: 'used',
  readdir: 'used',
  write: 'used',
  rule: 'used',
  init: 'used',
  record: 'used',
  'device-table': 'used',
  readlink: 'unused',
  stat: 'unused',
  skeleton: 'unused',
  'parent-of': 'unused',
  'symlink-to': 'unused',
  'way-to': 'if-about-is',
  'target-of': 'if-about-is',
  'interpreter-of': 'if-about-is',
  'needed-by': 'if-about-is',
  'dlopened-by': 'if-about-is',
  'hwcaps-of': 'if-about-is',
  'named-by': 'if-about-is',
  'index-of': 'if-about-is',
  'firmware-of': 'if-about-is',
};

/** The reasons by which a file is in that a session read, or that links lead to, and nothing more. */
const READ_ALONE: ReadonlySet<ReasonKind> = new Set<ReasonKind>([
  'read',
  'readlink',
  'stat',
  'parent-of',
  'symlink-to',
  'way-to',
  'target-of',
]);
const LINKS: ReadonlySet<ReasonKind> = new Set<ReasonKind>([
  'parent-of',
  'symlink-to',
  'way-to',
  'target-of',
  'skeleton',
]);

export interface Drop {
  readonly path: Buffer;
  readonly grade: Grade;
  readonly size: number;
  /** At most; null if nothing was read. */
  readonly bytesRead: number | null;
  /** Of its content. At least so many were not read. */
  readonly unreadBytes: number;
}

/**
 * Files with data, by the bytes of them that nobody read, most first.
 * @param bytesRead by path, where it is known
 */
export function cheapestDrops(
  entries: readonly PlanEntry[],
  bytesRead: ReadonlyMap<string, number>,
): Drop[] {
  const used = usedPaths(entries);
  const drops: Drop[] = [];
  for (const names of filesOf(entries)) {
    const holder = names.find(({ carriesData }) => carriesData);
    if (holder === undefined || holder.size === 0) continue;
    const { path, size } = holder;
    const kinds = names.flatMap(({ reasons }) => reasons.map(({ kind }) => kind));
    const paths = names.map((name) => fromBytes(name.path));
    if (!paths.some((name) => used.has(name))) {
      drops.push({ path, size, grade: gradeOf(kinds), bytesRead: null, unreadBytes: size });
      continue;
    }
    const counts = paths.map((name) => bytesRead.get(name)).filter((one) => one !== undefined);
    if (counts.length === 0 || !kinds.every((kind) => READ_ALONE.has(kind))) continue;
    const read = counts.reduce((most, one) => Math.max(most, one));
    if (read >= size / 4) continue;
    drops.push({
      path,
      size,
      grade: 'partly-read',
      bytesRead: read,
      unreadBytes: size - read,
    });
  }
  return drops.sort((a, b) => b.unreadBytes - a.unreadBytes || compareBytes(a.path, b.path));
}

function gradeOf(kinds: readonly ReasonKind[]): Grade {
  if (kinds.includes('stat')) return 'stat';
  return kinds.every((kind) => LINKS.has(kind)) ? 'linked' : 'needed';
}

/** Files with all their names together. */
function filesOf(entries: readonly PlanEntry[]): PlanEntry[][] {
  const groups: PlanEntry[][] = [];
  const byInode = new Map<number, PlanEntry[]>();
  for (const entry of entries) {
    if (entry.type !== 'file') continue;
    const known = entry.nlink > 1 ? byInode.get(entry.inode) : undefined;
    if (known !== undefined) {
      known.push(entry);
      continue;
    }
    const group = [entry];
    groups.push(group);
    if (entry.nlink > 1) byInode.set(entry.inode, group);
  }
  return groups;
}

function usedPaths(entries: readonly PlanEntry[]): ReadonlySet<string> {
  const used = new Set<string>();
  const waiting: string[] = [];
  const following = new Map<string, string[]>();
  const use = (path: string): void => {
    if (used.has(path)) return;
    used.add(path);
    waiting.push(path);
  };
  for (const { path: bytes, reasons } of entries) {
    const path = fromBytes(bytes);
    for (const { kind, about } of reasons) {
      if (USE[kind] === 'used') use(path);
      if (USE[kind] !== 'if-about-is' || about === null) continue;
      const others = following.get(fromBytes(about));
      if (others === undefined) following.set(fromBytes(about), [path]);
      else others.push(path);
    }
  }
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop())
    for (const next of following.get(path) ?? []) use(next);
  return used;
}
