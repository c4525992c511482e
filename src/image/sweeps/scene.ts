/**
 * One directory of a root beside what a session touched in it: what a sweep of it is judged by.
 * Owns the condition that nearly all of its directories were listed, down to the last.
 */
import { parentOf } from '../resolve.ts';
import { type Entry, type Lister, walkBelow } from './below.ts';
import { NEARLY_ALL } from './burst.ts';
import { MOUNT_POINTS } from '../tables.ts';
import { isIn } from './places.ts';
import type { Timeline } from './timeline.ts';
import { isListed, isRead, type Touch } from './touch.ts';

export interface Session {
  readonly touches: readonly Touch[];
  readonly byName: ReadonlyMap<string, Touch>;
  readonly timeline: Timeline;
  /** Of the root, as it is now. */
  readonly entries: Lister;
}

export interface Scene extends Pick<Session, 'byName' | 'timeline'> {
  readonly top: string;
  /** Everything that the root has there but directories. */
  readonly leaves: readonly Entry[];
  /** Touched, and not also by a name elsewhere. */
  readonly inside: readonly Touch[];
  /** Those of them that were listed, that were read, and that are no directories. */
  readonly listed: readonly Touch[];
  /** Listed, and no directory in them was. */
  readonly leafListed: readonly Touch[];
  readonly read: readonly Touch[];
  readonly others: readonly Touch[];
}

const MOUNTS = new Set(MOUNT_POINTS.map(({ path }) => path));

/** Fewer cost an image next to nothing, and a small root is soon listed whole. */
export const LEAST_DIRECTORIES = 100;
export const LEAST_FILES = 100;

/** Null where there was no sweep. */
export function sceneOf(
  top: string,
  { touches, byName, timeline, entries }: Session,
): Scene | null {
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
  const leaves = walkBelow(entries, top, {
    isListed: isListedPath,
    isHidden: (path) => MOUNTS.has(path),
    unlisted,
  });
  if (leaves === null) return null;
  const above = new Set(listed.flatMap(({ names }) => names.map(parentOf)));
  const leafListed = listed.filter(({ names }) => !names.some((name) => above.has(name)));
  const others = inside.filter(({ type }) => type !== 'directory');
  return { top, byName, timeline, leaves, inside, listed, leafListed, read, others };
}
