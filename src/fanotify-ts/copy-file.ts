/**
 * The face of the native copy of one file of a tree. Owns how its failures are told. Must not know
 * what copies are for.
 */
import { archiveFailure } from './archive-writer.ts';
import { addon } from './binding.ts';
import { isSystemError } from './system-error.ts';
import type { NativeTree, RootTreeHandle, TreeStat } from './tree.ts';

const copyPlanned = addon['copyPlanned'] as (
  tree: RootTreeHandle,
  path: Buffer,
  record: Float64Array,
  fd: number,
  leave: number,
) => Promise<boolean>;

export interface CopyFileOptions {
  readonly tree: NativeTree;
  readonly path: Buffer;
  /** As the file must be before and after, device, inode and both times included. */
  readonly stat: TreeStat;
  /** A new file, open for writing; stays open. */
  readonly fd: number;
  /** Bytes of its file system that a copy must leave free; sharing takes none. */
  readonly leave: number;
}

/**
 * Copies a regular file on a worker thread, by sharing its blocks where the file system can.
 * Throws `drift` (it is not the file of `stat`), `root-not-readable`, `root-unreadable`,
 * `output-full` (also if it would leave too little), `output-failed`.
 * @returns whether blocks are shared
 */
export async function copyFile({ tree, path, stat, fd, leave }: CopyFileOptions): Promise<boolean> {
  const { size, dev, ino, mtime, mtimeNsec, ctime, ctimeNsec } = stat;
  const identity = [dev, Number(ino), mtime, mtimeNsec, ctime, ctimeNsec];
  const record = Float64Array.from([0, 0, path.length, size, ...identity]);
  try {
    return await copyPlanned(tree.handle, path, record, fd, leave);
  } catch (cause) {
    throw isSystemError(cause) ? archiveFailure(cause) : cause;
  }
}
