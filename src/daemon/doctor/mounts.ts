/** The mount table of this process: which mount a directory is on, and what is mounted below it. */
import { read } from './finding.ts';
import { decodeKernelEscapes } from '../../attribution/handle.ts';
import { isWithin } from '../../recording/paths.ts';

export interface Mount {
  readonly point: Buffer;
  readonly type: string;
  readonly source: string;
  /** Of the mount, and of the file system behind it. */
  readonly options: ReadonlySet<string>;
  /** `major:minor`. */
  readonly device: string;
  /** Which part of the file system it shows: `/` is all of it. */
  readonly part: Buffer;
}

/** In the order in which they were mounted; empty if it can't be read. */
export function readMounts(): Mount[] {
  const found = read('/proc/self/mountinfo');
  return 'text' in found ? parseMounts(found.text) : [];
}

/** Lines of proc(5), /proc/pid/mountinfo, as latin1. */
export function parseMounts(table: string): Mount[] {
  return table.split('\n').flatMap((line) => {
    const [before = '', after] = line.split(' - ');
    if (after === undefined) return [];
    const [, , device = '', part = '', point = '', options = ''] = before.split(' ');
    const [type = '', source = '', more = ''] = after.split(' ');
    const bytes = (text: string): Buffer => decodeKernelEscapes(Buffer.from(text, 'latin1'));
    return [
      {
        point: bytes(point),
        part: bytes(part),
        device,
        type,
        source: bytes(source).toString('utf8'),
        options: new Set([...options.split(','), ...more.split(',')]),
      },
    ];
  });
}

/** The topmost mount that a path is on; of several on one place the last. */
export function mountOf(path: Buffer, mounts: readonly Mount[]): Mount | undefined {
  return mounts
    .filter(({ point }) => isWithin(path, point))
    .reduce<Mount | undefined>(
      (best, one) => (best === undefined || one.point.length >= best.point.length ? one : best),
      undefined,
    );
}

/** Mounts strictly below a path. */
export function mountsBelow(path: Buffer, mounts: readonly Mount[]): Mount[] {
  return mounts.filter(({ point }) => isWithin(point, path) && !point.equals(path));
}
