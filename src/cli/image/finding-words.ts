/** What `trace image verify` found, in words for a person. */
import type { Finding } from '../../image/tools/kernel-unpacker.ts';

const WORDS: Readonly<Record<Finding['code'], string>> = {
  'no-parent': 'its directory is not there, or comes later',
  'parent-is-no-directory': 'what should be its directory is none',
  'name-part-too-long': 'a part of its name is over 255 bytes',
  'links-loop': 'its path goes through over 40 links',
  'in-the-way': 'a directory that is not empty is there',
  'no-file-name': "its name is a directory's",
  'first-name-is-gone': 'the first name of this file is not there any more',
  'unknown-type': 'it is of no type; what was at its path is removed',
  'no-name': 'it has no name',
  'name-too-long': 'its name is over 4096 bytes',
  'body-of-no-file': 'it has data, and is no file',
  'link-too-long': 'its target has 4096 bytes or more',
  'other-type-replaced': 'something of another type was there, and is removed',
  'all-names-overwritten': 'a file with several names was there: all of them have this content now',
  'device-kept': 'a device was there, and keeps its numbers',
  overwritten: 'it was there before, and is overwritten',
  replaced: 'a link was there, and is replaced',
  'needs-built-in': "its directory is only there if the kernel's own archive has it",
  'end-with-data': 'a file of this name ends the archive, and is not unpacked',
  'links-cut-off':
    'the data of this file is on the other side of an end record, which makes two files of its names',
};

export const findingWords = ({ code }: Finding): string => WORDS[code];
