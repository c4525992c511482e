/**
 * How a file is known to be what it was without being read: by which mount it is on, its device and
 * inode, its size and times. Owns what that takes to be sure. Must not know what it saves.
 *
 * Size and times alone would not do. Images of read-only file systems are made with the same times
 * for whatever is in them, and can take each other's place under one device number; so a file is
 * known only as long as its file system stays mounted, which the kernel's numbers of mounts tell:
 * they never come twice in a boot (STATX_MNT_ID_UNIQUE, Linux 6.8).
 */
import { readFileSync } from 'node:fs';
import { ARCHIVE_FILE_FIELDS } from '../fanotify-ts/archive-content.ts';
import type { NativeTree } from '../fanotify-ts/tree.ts';

/**
 * A file that changed later than this before it is read may change again without showing it: in the
 * same tick of the clock, or through a memory map, which changes a file's times only once before its
 * pages are written back (after 35 s at most, unless vm.dirty_expire_centisecs says otherwise).
 */
export const SETTLED_SECONDS = 60;

/** Where a change time is in {@link ARCHIVE_FILE_FIELDS}. */
const CTIME = 8;

export class FileIdentity {
  /** Of which boot and mounts the files are: they are the same only if this is. */
  readonly place: string;
  readonly #before: number;

  private constructor(place: string, before: number) {
    this.place = place;
    this.#before = before;
  }

  /**
   * Of files that are read from now on; null where the kernel does not tell mounts apart.
   * @param settledSeconds for tests, which cannot wait
   */
  static now(tree: NativeTree, settledSeconds = SETTLED_SECONDS): FileIdentity | null {
    const mounts = tree.mountIds();
    const boot = bootId();
    if (mounts === null || boot === null) return null;
    return new FileIdentity([boot, ...mounts].join(' '), Date.now() / 1000 - settledSeconds);
  }

  /** Whether files of an archive, as numbers, will show it when they change. */
  isSettled(files: Float64Array): boolean {
    for (let at = CTIME; at < files.length; at += ARCHIVE_FILE_FIELDS)
      if (!this.isLongAgo(files[at])) return false;
    return true;
  }

  /** Whether what changed last at this time, in seconds, will show it when it changes again. */
  isLongAgo(ctime = Infinity): boolean {
    return ctime < this.#before;
  }
}

function bootId(): string | null {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
  } catch {
    return null;
  }
}
