/**
 * What a frame is made from, as a hash, without reading its files. Owns which bytes and numbers that
 * is. Must not know where it is looked up.
 */
import { createHash } from '../../common/hashing.ts';
import { ARCHIVE_FILE_FIELDS, type ArchiveContent } from '../../fanotify-ts/archive-content.ts';
import { paddingOf } from '../cpio.ts';
import type { FileIdentity } from '../identity.ts';
import type { Frame } from './cut-frames.ts';

/** Of a file's numbers: its place in the head, its name's place and length, and its size. */
const [AFTER, NAME, NAME_LENGTH, SIZE] = [0, 1, 2, 3];

/**
 * One for each frame, in order; null where a file of it may change without showing it. Equal ones
 * stand for equal bytes of the archive.
 */
export function identifyFrames(
  frames: readonly Frame[],
  { head, files }: ArchiveContent,
  identity: FileIdentity,
): (string | null)[] {
  // How far the frames before this one reach: into the head, into the files, and bytes of these.
  let from = 0;
  let first = 0;
  let data = 0;
  return frames.map(({ end }) => {
    let next = first;
    for (; next < files.length; next += ARCHIVE_FILE_FIELDS) {
      if ((files[next + AFTER] ?? 0) + data >= end) break;
      const size = files[next + SIZE] ?? 0;
      data += size + paddingOf(size);
    }
    const own = files.slice(first, next);
    // What comes before a frame is no matter of it, nor by which name a file is read.
    for (let at = 0; at < own.length; at += ARCHIVE_FILE_FIELDS) {
      own[at + AFTER] = (own[at + AFTER] ?? 0) - from;
      own[at + NAME] = own[at + NAME_LENGTH] = 0;
    }
    const part = head.subarray(from, end - data);
    from = end - data;
    first = next;
    if (!identity.isSettled(own)) return null;
    return createHash('sha256')
      .update(`${identity.place}\n${part.length} ${own.length}\n`)
      .update(part)
      .update(new Uint8Array(own.buffer))
      .digest('hex');
  });
}
