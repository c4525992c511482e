/**
 * `ldconfig`: all libraries of a directory, in one go. What programs in an image need of them comes
 * into it for that need. Owns what counts as such a sweep.
 */
import { parentOf } from '../resolve.ts';
import { burstOf, isWithin, meets, meetsNearlyAll, NEARLY_ALL } from './burst.ts';
import { isLibraryDirectory, isLibraryName } from './places.ts';
import { isSeen, readIn, unseen } from './read-files.ts';
import type { Session } from './scene.ts';
import type { Sweep } from './sweep.ts';
import { isListed, isOnlyLookedAt, isRead, type Touch } from './touch.ts';

const LEAST_LIBRARIES = 50;

export function findLibrarySweeps(session: Session): Sweep[] {
  return session.touches.filter(isListed).flatMap((directory) => sweepOf(directory, session) ?? []);
}

function sweepOf(directory: Touch, { touches, byName, timeline, entries }: Session): Sweep | null {
  const [top = ''] = directory.names;
  if (!isLibraryDirectory(top)) return null;
  const isLibrary = (path: string): boolean =>
    parentOf(path) === top && isLibraryName(path.slice(top.length + 1));
  const inside = touches.filter(({ names }) => names.every(isLibrary));
  const read = inside.filter((one) => isRead(one) && one.size > 0);
  if (read.length < LEAST_LIBRARIES) return null;
  const libraries = entries(top)?.filter(
    ({ type, size, path }) => type === 'file' && size > 0 && isLibrary(path),
  );
  if (libraries === undefined) return null;
  const known = libraries.filter(({ path }) => {
    const touch = byName.get(path);
    return touch !== undefined && isRead(touch);
  });
  if (known.length < libraries.length * NEARLY_ALL) return null;
  const links = inside.filter(isOnlyLookedAt);
  const seen = isSeen([directory]);
  const isBrief = seen ? timeline.isBrief : () => true;
  const burst = burstOf({ things: read, others: links, isBrief });
  if (burst === null) return null;
  // The loader of a large program reads many, too; it lists no directory.
  if (!meets(directory, burst) && !timeline.isClose(directory.lastUs, burst.fromUs)) return null;
  if (!seen) return unseen(top, burst, read);
  if (!meetsNearlyAll(read, burst)) return null;
  const files = readIn(burst, { read, byName, timeline });
  const swept = [...links.filter((one) => isWithin(one, burst)), ...files];
  return { top, ...burst, swept, kept: [], doubt: null };
}
