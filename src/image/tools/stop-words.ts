/** What it means that the kernel gives up in the middle of an image, in words for a person. */
import type { Stop, StopCode } from './record-reader.ts';

const WORDS: Readonly<Record<StopCode, readonly [what: string, hint: string]>> = {
  'old-format': ['a record of the old portable format (odc)', 'make it with cpio -o -H newc'],
  'no-magic': [
    'bytes that are no record',
    'make it with cpio -o -H newc, and append nothing to it',
  ],
  'damaged-header': [
    'a header with something that is no hexadecimal digit',
    'make it again; kernels before 7.0 read the number up to there and go on',
  ],
  'name-without-end': [
    'a name that does not end where its record says',
    'make it again; older kernels read beyond its end and go on',
  ],
  'broken-padding': [
    'something that does not begin at a multiple of 4',
    'fill up with zeros to a multiple of 4 before what is appended',
  ],
  'bad-checksum': ["a file whose checksum is not its record's", 'make it again from sound files'],
  junk: ['bytes behind an archive that are no record', 'compress what follows by itself'],
  'junk-at-end': [
    'the end of a compressed member in the middle of a record',
    'cut compressed members at the ends of records',
  ],
  'unknown-magic': [
    'bytes that are neither a record nor compressed in a way that the kernel knows',
    'append archives only, each at a multiple of 4',
  ],
  'cannot-unpack': [
    'a compressed member that the kernel cannot unpack',
    'make it with gzip -n, zstd, xz --check=crc32 or lz4 -l',
  ],
  'cut-off': ['the end of the image in the middle of a record', 'get all of it again'],
};

/** Of what is no image at all. */
const NO_IMAGE = 'give an archive made with cpio -o -H newc, compressed or not';

export interface StopWords {
  readonly message: string;
  readonly hint: string;
}

export function stopWords(stop: Stop, why: string | null): StopWords {
  const [what, hint] = WORDS[stop.code];
  const said =
    stop.kernel === null ? 'the kernel says nothing' : `the kernel says "${stop.kernel}"`;
  const more = why === null ? '' : ` (${why})`;
  return {
    message: `at byte ${stop.offset} of member ${stop.member}: ${what}${more}; ${said}`,
    hint: stop.code === 'unknown-magic' && stop.offset === 0 && stop.member === 0 ? NO_IMAGE : hint,
  };
}
