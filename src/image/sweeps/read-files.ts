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
import { type Burst, isBrief, isWithin, meets } from './burst.ts';
import type { Doubt } from './sweep.ts';
import { isAskedByV3, isChanged, isOnlyRead, type Touch } from './touch.ts';

/** What is used once more after this time, and a microsecond a byte, somebody else uses. */
const SECOND_MOMENT_US = 1_000_000;

/** What was used at one moment of the burst, and whose later use would show if any would. */
export function readIn(
  burst: Burst,
  { read, byName }: { read: readonly Touch[]; byName: ReadonlyMap<string, Touch> },
): Touch[] {
  const isChangedAbove = ({ names }: Touch): boolean =>
    names.some((name) => {
      const directory = byName.get(parentOf(name));
      return directory !== undefined && isChanged(directory);
    });
  return read.filter(
    (one) => isOnlyRead(one) && isBrief(one, burst) && isWithin(one, burst) && !isChangedAbove(one),
  );
}

/** @param listed directories that it listed */
export function doubtOf(
  burst: Burst,
  { read, listed }: { read: readonly Touch[]; listed: readonly Touch[] },
): Doubt | null {
  const met = listed.filter((one) => meets(one, burst));
  // A GETATTR of NFSv4 is told as `access`.
  if (met.filter(isAskedByV3).length * 2 <= met.length) return 'unseen';
  // A file with several names is met again by each.
  const again = (one: Touch): boolean =>
    one.names.length === 1 &&
    isWithin(one, burst) &&
    one.lastUs - one.firstUs > SECOND_MOMENT_US + one.size;
  return read.some(again) ? 'busy' : null;
}
