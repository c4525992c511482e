/**
 * What a root has below a directory now. Owns that walk, which gives up early where a session cannot
 * have listed everything. Must not follow links, nor enter what is mounted over the root.
 */
import { fromBytes, toBytes } from '../resolve.ts';
import type { Tree, TreeStat } from '../tree.ts';

export type Walked = Pick<Tree, 'list' | 'lstat'>;

/** What is no directory. */
export type Leaf = Pick<TreeStat, 'type' | 'size'> & { readonly path: string };

export interface WalkOptions {
  readonly isListed: (path: string) => boolean;
  /** So many directories may be there that were not listed. */
  readonly unlisted: number;
}

/** Null if more directories than that were not listed. */
export function walkBelow(
  tree: Walked,
  top: string,
  { isListed, unlisted }: WalkOptions,
): Leaf[] | null {
  const leaves: Leaf[] = [];
  let missing = 0;
  const waiting = [top];
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    if (!isListed(path) && ++missing > unlisted) return null;
    for (const { type, size, foreign, path: next } of entriesOf(tree, path))
      if (type !== 'directory') leaves.push({ type, size, path: next });
      else if (!foreign) waiting.push(next);
  }
  return leaves;
}

/** What is in a directory, in bytewise order. */
export function entriesOf(tree: Walked, path: string): (TreeStat & { readonly path: string })[] {
  return tree.list(toBytes(path)).flatMap((name) => {
    const next = path === '' ? fromBytes(name) : `${path}/${fromBytes(name)}`;
    const stat = tree.lstat(toBytes(next));
    return stat === null ? [] : [{ ...stat, path: next }];
  });
}
