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
import { beganIn, isWithin, type Span } from './burst.ts';
import type { Scene } from './scene.ts';
import type { Sweep } from './sweep.ts';
import { isAskedByV3, isChanged, isListed, isOnlyRead, type Touch } from './touch.ts';

/** What was used at one moment of the burst, and whose later use would show if any would. */
export function readIn(
  burst: Span,
  { read, byName, timeline }: Pick<Scene, 'read' | 'byName' | 'timeline'>,
): Touch[] {
  /** By a listing it came to the file, and a later use of it is no LOOKUP in a changed directory. */
  const isListedAbove = ({ names }: Touch): boolean =>
    names.every((name) => {
      const directory = byName.get(parentOf(name));
      return directory !== undefined && isListed(directory) && !isChanged(directory);
    });
  return read.filter(
    (one) => isOnlyRead(one) && timeline.isBrief(one) && isWithin(one, burst) && isListedAbove(one),
  );
}

/** Whether later uses of files show: the directories were mostly asked for by NFSv3. */
export function isSeen(listed: readonly Touch[]): boolean {
  // A GETATTR of NFSv4 is told as `access`.
  return listed.filter(isAskedByV3).length * 2 > listed.length;
}

/** A sweep whose files may all be wanted: delegations that go back are moments of theirs, too. */
export function unseen(top: string, burst: Span, read: readonly Touch[]): Sweep {
  const kept = read.filter((one) => isOnlyRead(one) && beganIn(one, burst));
  return { top, ...burst, swept: [], kept, doubt: 'unseen' };
}

/** Whether something else began, too: it has used a file before the sweep came to it, or after. */
export function isBusy(burst: Span, { read, timeline }: Pick<Scene, 'read' | 'timeline'>): boolean {
  // A file with several names is met again by each.
  return read.some(
    (one) => one.names.length === 1 && isWithin(one, burst) && !timeline.isBrief(one),
  );
}
