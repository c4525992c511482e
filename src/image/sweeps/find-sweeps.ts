/**
 * What in a session only a sweep touched: `find /`, `du`, `ls -lR`, `updatedb`, `mandb`, `tar` or
 * `grep -r` of everything, `ldconfig`. Owns what counts as one, and is careful, since what it names
 * is left out of images. Pure but for the listing of the root's directories; must not know sessions
 * of the store, or what becomes of what it finds.
 *
 * A sweep goes through all of a directory that many programs share: its directories are listed to
 * the last one. The order of a listing says nothing, as it is another one on a copy of the root.
 */
import { listerOf, type Walked } from './below.ts';
import { beganIn, burstOf, isWithin, meetsNearlyAll, NEARLY_ALL, type Span } from './burst.ts';
import { findLibrarySweeps } from './library-sweeps.ts';
import { lookedAtBy } from './looked-at.ts';
import { isIn, SHARED } from './places.ts';
import { isBusy, isSeen, readIn, unseen } from './read-files.ts';
import { LEAST_DIRECTORIES, LEAST_FILES, type Scene, sceneOf } from './scene.ts';
import type { Sweep } from './sweep.ts';
import { Timeline } from './timeline.ts';
import { isOnlyListed, isOnlyLookedAt, isRead, type Touch } from './touch.ts';

/** Of one session. Throws what the tree throws. */
export function findSweeps(touches: readonly Touch[], tree: Walked): Sweep[] {
  const byName = new Map<string, Touch>();
  for (const one of touches) for (const name of one.names) byName.set(name, one);
  const timeline = new Timeline(touches);
  const entries = listerOf(tree);
  const others = touches.filter(({ created }) => !created);
  const session = { touches: others, byName, timeline, entries };
  const scenes = SHARED.flatMap((top) => sceneOf(top, session) ?? []);
  const reading = outermost(scenes, readingOf);
  const read = reading.map(({ top }) => top);
  const libraries = findLibrarySweeps(session).filter(
    ({ top }) => !read.some((one) => isIn(one, top)),
  );
  return [...reading, ...outermost(scenes, lookingOf), ...libraries];
}

/** A sweep of /usr is one of /usr/share, too. */
function outermost(scenes: readonly Scene[], find: (scene: Scene) => Sweep | null): Sweep[] {
  const sweeps: Sweep[] = [];
  for (const scene of scenes) {
    if (sweeps.some(({ top }) => isIn(top, scene.top))) continue;
    const sweep = find(scene);
    if (sweep !== null) sweeps.push(sweep);
  }
  return sweeps;
}

/** One that reads nothing, and nearly nothing else is read meanwhile. */
function lookingOf(scene: Scene): Sweep | null {
  const { top, listed, leafListed, others, read, timeline } = scene;
  if (listed.length < LEAST_DIRECTORIES) return null;
  const looked = others.filter(isOnlyLookedAt);
  const burst = burstOf({
    things: leafListed,
    others: [...listed, ...looked],
    isBrief: timeline.isBrief,
  });
  if (burst === null || !meetsNearlyAll(listed, burst)) return null;
  const begun = read.filter((one) => beganIn(one, burst));
  const swept = lookedThrough(scene, burst);
  if (begun.length > swept.length / 2) return null;
  return { top, ...burst, swept, kept: [], doubt: null };
}

/** One that reads lists and looks, too. */
function readingOf(scene: Scene): Sweep | null {
  const { top, read, listed, others, leaves, byName, timeline } = scene;
  if (read.length < LEAST_FILES) return null;
  const whole = leaves.filter(({ type, size }) => type === 'file' && size > 0);
  const known = whole.filter(({ path }) => {
    const touch = byName.get(path);
    return touch !== undefined && isRead(touch);
  });
  if (known.length < whole.length * NEARLY_ALL) return null;
  const seen = isSeen(listed);
  const isBrief = seen ? timeline.isBrief : () => true;
  const burst = burstOf({ things: read, others: [...listed, ...others], isBrief });
  if (burst === null) return null;
  if (!seen) return unseen(top, burst, read);
  if (!meetsNearlyAll(read, burst)) return null;
  const files = readIn(burst, scene);
  if (isBusy(burst, scene)) return { top, ...burst, swept: [], kept: files, doubt: 'busy' };
  return {
    top,
    ...burst,
    swept: [...lookedThrough(scene, burst), ...files],
    kept: [],
    doubt: null,
  };
}

/** Its directories, and what in them it looked at. */
function lookedThrough(scene: Scene, burst: Span): Touch[] {
  const leafListed = new Set(scene.leafListed);
  const directories = scene.listed.filter(
    (one) =>
      isOnlyListed(one) &&
      isWithin(one, burst) &&
      // One that has others in it is come back to.
      (scene.timeline.isBrief(one) || !leafListed.has(one)),
  );
  return [...directories, ...lookedAtBy(scene, burst)];
}
