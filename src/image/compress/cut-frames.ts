/**
 * Where an archive is cut into frames that are compressed each on its own. Owns the rule. Must not
 * read files or know how frames are compressed.
 *
 * The kernel takes compressed members that follow each other if each ends at a record's end; a cut
 * inside a record fails. The rule looks at nothing but the records since the last cut, so that a
 * file that changes moves the cuts near it and no others: frames can be kept from one image to the
 * next.
 */
import { recordLength } from '../archive.ts';
import { trailerLength } from '../cpio.ts';
import { pathInode } from '../numbering.ts';
import type { PlanEntry } from '../plan-types.ts';

/** A stretch of the archive. */
export interface Frame {
  readonly start: number;
  readonly end: number;
}

/** No frame is cut below this: small frames compress worse. */
const LEAST = 2 << 20;
/** Beyond LEAST a frame grows by this much on average: it ends at 8 MiB, more or less. */
const GROWTH = 6 << 20;
/** Only a record that is larger by itself makes a larger frame. */
export const FRAME_MOST = 16 << 20;

/** Frames of the archive of these entries, in order. The end record has the last to itself. */
export function cutFrames(entries: readonly PlanEntry[]): Frame[] {
  const frames: Frame[] = [];
  let start = 0;
  let end = 0;
  const cut = (): void => {
    if (end > start) frames.push({ start, end });
    start = end;
  };
  for (const entry of entries) {
    const length = recordLength(entry);
    if (end - start + length > FRAME_MOST) cut();
    end += length;
    // The chance is in proportion to the record, so that small files make no small frames.
    if (end - start >= LEAST && chance(entry.path) < length / GROWTH) cut();
  }
  cut();
  // Its padding follows the archive's length: it would change the frame that it is in every time.
  frames.push({ start, end: start + trailerLength(start) });
  return frames;
}

/** A number from 0 to 1 that a path has by itself. */
function chance(path: Buffer): number {
  let hash = pathInode(path.toString('latin1'));
  // FNV's high bits hardly depend on a path's last characters: MurmurHash3's last step mixes them.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}
