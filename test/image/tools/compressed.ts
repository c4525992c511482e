/** Bytes as the usual programs compress them, for tests of the image tools. */
import { run } from '../support.ts';

const PROGRAMS = {
  gzip: ['gzip', '-n', '-c'],
  zstd: ['zstd', '-q', '-c'],
  xz: ['xz', '--check=crc32', '-c'],
  lz4: ['lz4', '-l', '-q', '-c'],
  bzip2: ['bzip2', '-c'],
  lzma: ['xz', '--format=lzma', '-c'],
} as const;

export type Method = keyof typeof PROGRAMS;
export const METHODS = Object.keys(PROGRAMS) as Method[];

export function compressed(method: Method, bytes: Buffer, more: readonly string[] = []): Buffer {
  const [program, ...args] = PROGRAMS[method];
  return run(program, [...args, ...more], { input: bytes });
}
