/** What the reader of strace's output makes of lines, of a root that is /nfsroots/sarge. */
import { StraceReader } from '../../src/lists/strace/reader.ts';
import { readList, type ReadList } from './read-list.ts';

const ROOT = Buffer.from('/nfsroots/sarge');

export function readStrace(...lines: string[]): ReadList {
  const rootNamed = (directory: Buffer): Buffer | null =>
    ['sarge', '/nfsroots/sarge'].includes(directory.toString()) ? ROOT : null;
  return readList(lines, (sink) => new StraceReader({ sink, rootNamed }));
}
