/**
 * A place in a file system as a process names it, and where paths lead from there. Pure.
 */
import { below, climbs, isAbsolute, join, tidy, within } from './bytes.ts';

/** A directory, as whoever has this as its root names it; null: as whoever wrote the log does. */
export interface Place {
  readonly path: Buffer;
  readonly chroot: Buffer | null;
}

/**
 * Why it is not known what a process has as its root. `parent`: its parent may be one of several that
 * have not the same. `gone`: it took one that the log does not tell.
 */
export type Lost = 'parent' | 'gone';

/** Those that share it (CLONE_FS) are one. */
export interface Process {
  readonly cwd: Place | null;
  readonly chroot: Buffer | null;
  readonly lost: Lost | null;
}

/** As the kernel: PATH_MAX. */
const MOST_PATH = 4096;

/**
 * Where a path leads for a process; null: relative to a directory that is not known, or the root is
 * not.
 */
export function resolve(process: Process, path: Buffer, directory?: Place | null): Place | null {
  if (process.lost === 'gone') return null;
  if (isAbsolute(path)) return process.lost === null ? { path, chroot: process.chroot } : null;
  const from = directory === undefined ? process.cwd : directory;
  return from === null ? null : { path: join(from.path, path), chroot: from.chroot };
}

/** A place as a working directory: where `..` in it leads is not known here, so it can only grow. */
export function asDirectory(place: Place | null): Place | null {
  const path = tidy(place?.path ?? Buffer.alloc(0));
  return place === null || path.length > MOST_PATH ? null : { path, chroot: place.chroot };
}

/** A directory as strace itself names it, as the process names it if it can. */
export function seenBy(process: Process, path: Buffer): Place {
  const own = process.chroot === null ? null : within(path, process.chroot);
  return own === null ? { path, chroot: null } : { path: own, chroot: process.chroot };
}

/** A directory as the server names it; null: `..` may stop at the root of whoever names it so. */
export function wholePath({ path, chroot }: Place): Buffer | null {
  const inner = tidy(path);
  if (chroot === null || chroot.length === 1) return trimmed(inner);
  return climbs(path) ? null : trimmed(below(chroot, inner));
}

function trimmed(path: Buffer): Buffer {
  return path.length > 1 && path.at(-1) === 0x2f ? path.subarray(0, -1) : path;
}
