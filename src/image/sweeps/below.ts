/**
 * What a root has below a directory now. Owns that walk, which gives up early where a session cannot
 * have listed everything. Must not follow links, nor enter what is mounted over the root.
 */
import { fromBytes, toBytes } from '../resolve.ts';
import type { Tree, TreeStat } from '../tree.ts';

export type Walked = Pick<Tree, 'list' | 'lstat'>;

export type Entry = Pick<TreeStat, 'type' | 'size' | 'foreign'> & { readonly path: string };

/**
 * What is in a directory, in bytewise order. Null where the root has none: what a session listed may
 * be gone since, or a link, or be hidden by a mount.
 */
export type Lister = (path: string) => readonly Entry[] | null;

/** Each directory is looked at once. */
export function listerOf(tree: Walked): Lister {
  const known = new Map<string, readonly Entry[] | null>();
  return (path) => {
    let entries = known.get(path);
    if (entries === undefined) known.set(path, (entries = entriesOf(tree, path)));
    return entries;
  };
}

function entriesOf(tree: Walked, path: string): Entry[] | null {
  const directory = tree.lstat(toBytes(path));
  if (directory?.type !== 'directory' || directory.foreign) return null;
  return tree.list(toBytes(path)).flatMap((name) => {
    const next = path === '' ? fromBytes(name) : `${path}/${fromBytes(name)}`;
    const stat = tree.lstat(toBytes(next));
    return stat === null ? [] : [{ ...stat, path: next }];
  });
}

export interface WalkOptions {
  readonly isListed: (path: string) => boolean;
  /** Where clients mount something, which hides what the root has there. */
  readonly isHidden: (path: string) => boolean;
  /** So many directories may be there that were not listed. */
  readonly unlisted: number;
}

/** All but directories; null if more directories than that were not listed, or one is not there. */
export function walkBelow(
  entries: Lister,
  top: string,
  { isListed, isHidden, unlisted }: WalkOptions,
): Entry[] | null {
  const leaves: Entry[] = [];
  let missing = 0;
  const waiting = [top];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (!isListed(path) && ++missing > unlisted) return null;
    const inside = entries(path);
    if (inside === null) return null;
    for (const entry of inside)
      if (entry.type !== 'directory') leaves.push(entry);
      else if (!entry.foreign && !isHidden(entry.path)) waiting.push(entry.path);
  }
  return leaves;
}
