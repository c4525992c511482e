/**
 * What a root has below a directory now. Owns that walk, which gives up early where a session cannot
 * have listed everything. Must not follow links, nor enter what is mounted over the root.
 */
import { fromBytes, toBytes } from '../resolve.ts';
import type { Tree, TreeStat } from '../tree.ts';

export type Walked = Pick<Tree, 'list' | 'lstat'>;

export type Entry = Pick<TreeStat, 'type' | 'size' | 'foreign'> & { readonly path: string };

/** What is in a directory, in bytewise order. */
export type Lister = (path: string) => readonly Entry[];

/** Each directory is looked at once. */
export function listerOf(tree: Walked): Lister {
  const known = new Map<string, readonly Entry[]>();
  return (path) => {
    const entries = known.get(path) ?? entriesOf(tree, path);
    known.set(path, entries);
    return entries;
  };
}

function entriesOf(tree: Walked, path: string): Entry[] {
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

/** All but directories; null if more directories than that were not listed. */
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
    for (const entry of entries(path))
      if (entry.type !== 'directory') leaves.push(entry);
      else if (!entry.foreign && !isHidden(entry.path)) waiting.push(entry.path);
  }
  return leaves;
}
