/**
 * Hard links and inode numbers of an image. Owns how they are derived from paths alone.
 *
 * The kernel and every cpio join names by (inode, type) where nlink is 2 or more and ignore the
 * number elsewhere; so a group's number must be its own, and every other may be any. Numbers that
 * count up would change all records after an inserted one; a hash of the path changes none.
 */
import type { Draft } from './closure.ts';

export interface EntryNumbers {
  /** Names of this file in the image. */
  readonly nlink: number;
  readonly inode: number;
  /** The last name of its file in bytewise order. */
  readonly last: boolean;
}

/** FNV-1a over a byte string, 32 bits, never 0. */
export function pathInode(path: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < path.length; i++) hash = Math.imul(hash ^ path.charCodeAt(i), 0x01000193);
  return hash >>> 0 || 1;
}

/** Numbers by path, for drafts that are sorted by it. */
export function numberEntries(drafts: readonly Draft[]): (path: string) => EntryNumbers {
  const groups = new Map<string, string[]>();
  for (const { path, stat } of drafts) {
    // Only regular files: the kernel makes links of nothing else that matters here.
    if (stat === null || stat.type !== 'file' || stat.nlink < 2) continue;
    const key = `${stat.dev}:${stat.ino}`;
    const names = groups.get(key);
    if (names === undefined) groups.set(key, [path]);
    else names.push(path);
  }
  const numbers = new Map<string, EntryNumbers>();
  const taken = new Set<number>();
  for (const names of groups.values()) {
    const [first] = names;
    if (first === undefined || names.length < 2) continue;
    let inode = pathInode(first);
    while (taken.has(inode)) inode = (inode + 1) >>> 0 || 1;
    taken.add(inode);
    names.forEach((name, index) =>
      numbers.set(name, { nlink: names.length, inode, last: index === names.length - 1 }),
    );
  }
  return (path) => numbers.get(path) ?? { nlink: 1, inode: pathInode(path), last: true };
}
