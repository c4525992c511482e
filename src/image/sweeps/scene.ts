/**
 * One directory of a root beside what a session touched in it: what a sweep of it is judged by.
 * Owns the condition that nearly all of its directories were listed, down to the last.
 */
import { type Leaf, walkBelow, type Walked } from './below.ts';
import { NEARLY_ALL } from './burst.ts';
import { isIn } from './places.ts';
import { isListed, isRead, type Touch } from './touch.ts';

export interface Session {
  readonly touches: readonly Touch[];
  readonly byName: ReadonlyMap<string, Touch>;
  readonly tree: Walked;
}

export interface Scene {
  readonly top: string;
  readonly byName: ReadonlyMap<string, Touch>;
  /** Everything that the root has there but directories. */
  readonly leaves: readonly Leaf[];
  /** Touched, and not also by a name elsewhere. */
  readonly inside: readonly Touch[];
  /** Those of them that were listed, that were read, and that are no directories. */
  readonly listed: readonly Touch[];
  readonly read: readonly Touch[];
  readonly others: readonly Touch[];
}

/** Fewer cost an image next to nothing, and a small root is soon listed whole. */
export const LEAST_DIRECTORIES = 100;
export const LEAST_FILES = 100;

/** Null where there was no sweep. */
export function sceneOf(top: string, { touches, byName, tree }: Session): Scene | null {
  const isListedPath = (path: string): boolean => {
    const touch = byName.get(path);
    return touch !== undefined && isListed(touch);
  };
  if (!isListedPath(top)) return null;
  const inside = touches.filter(({ names }) => names.every((name) => isIn(top, name)));
  const listed = inside.filter(isListed);
  const read = inside.filter((one) => isRead(one) && one.size > 0);
  if (listed.length < LEAST_DIRECTORIES && read.length < LEAST_FILES) return null;
  const unlisted = Math.floor(listed.length * (1 / NEARLY_ALL - 1));
  const leaves = walkBelow(tree, top, { isListed: isListedPath, unlisted });
  if (leaves === null) return null;
  const others = inside.filter(({ type }) => type !== 'directory');
  return { top, byName, leaves, inside, listed, read, others };
}
