/**
 * Which files a sweep read and nothing else used. A later use of one must show, or the file would be
 * missing in an image that is made without it. So the client must ask the server again, and nothing
 * else may have begun meanwhile. Owns these conditions.
 *
 * An NFSv3 client asks for the attributes of what it opens, each time (close-to-open; not if mounted
 * with `nocto`). After a change of the directory a LOOKUP of the name answers that, which is the
 * directory's. An NFSv4 client does not ask while it holds a delegation, and Linux servers give one
 * for nearly every file that is only read.
 */
import { parentOf } from '../resolve.ts';
import { isWithin, meets, type Span } from './burst.ts';
import type { Scene } from './scene.ts';
import type { Doubt } from './sweep.ts';
import { isAskedByV3, isChanged, isOnlyRead, type Touch } from './touch.ts';

/** What was used at one moment of the burst, and whose later use would show if any would. */
export function readIn(
  burst: Span,
  { read, byName, timeline }: Pick<Scene, 'read' | 'byName' | 'timeline'>,
): Touch[] {
  const isChangedAbove = ({ names }: Touch): boolean =>
    names.some((name) => {
      const directory = byName.get(parentOf(name));
      return directory !== undefined && isChanged(directory);
    });
  return read.filter(
    (one) =>
      isOnlyRead(one) && timeline.isBrief(one) && isWithin(one, burst) && !isChangedAbove(one),
  );
}

/** @param listed directories that it listed */
export function doubtOf(
  burst: Span,
  { read, listed, timeline }: Pick<Scene, 'read' | 'listed' | 'timeline'>,
): Doubt | null {
  const met = listed.filter((one) => meets(one, burst));
  // A GETATTR of NFSv4 is told as `access`.
  if (met.filter(isAskedByV3).length * 2 <= met.length) return 'unseen';
  // A file with several names is met again by each.
  const again = (one: Touch): boolean =>
    one.names.length === 1 && isWithin(one, burst) && !timeline.isBrief(one);
  return read.some(again) ? 'busy' : null;
}
