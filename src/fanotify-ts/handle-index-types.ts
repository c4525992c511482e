/**
 * What goes into a handle index and what comes out of it. Owns only types.
 */
import type { FileHandle } from '../common/batches.ts';

/** What an NFS server puts in front of the file handle: one per export (`/proc/net/rpc/nfsd.fh`). */
export interface ExportKey {
  /** 0-7; 1 = `fsid=N`, 6 = UUID, 7 = inode and UUID, ... */
  readonly fsidType: number;
  /** As it stands in the NFS handle (each word of `nfsd.fh/content` in reversed byte order). */
  readonly fsid: Buffer;
}

/** What one walk found. */
export interface IndexSummary {
  /** Distinct objects found, the root included. */
  readonly objects: number;
  /** Names found, the root's own not counted. */
  readonly names: number;
  /** Directories listed to the end. */
  readonly directories: number;
  /** Directories that could not be opened or read to the end: what was known of them is kept. */
  readonly unreadable: number;
  /** Objects and names that there was no room for. */
  readonly refused: number;
  /** Names and directories that went away between being seen and being looked at. */
  readonly vanished: number;
  /** Mounts below the root: not entered. */
  readonly otherFileSystems: number;
  /** (object, export key) pairs whose hash another object has too, in the whole index. */
  readonly collisions: number;
  /** Wall time of the walk and its merge, microseconds. */
  readonly tookUs: number;
  /** Memory of the whole index. */
  readonly bytes: number;
}

/** lstat of an object, fresh. */
export interface ObjectStat {
  /** As Node's `fs.Stats.dev`. */
  readonly dev: number;
  readonly inode: bigint;
  /** Type and permission bits (S_IFMT included). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly nlink: number;
  readonly rdev: number;
  /** When it was made; 0 where the file system does not keep that. */
  readonly birthNs: bigint;
  /** Where a symbolic link leads; absent for all else. */
  readonly target?: Buffer;
}

/** A name that appeared: FAN_CREATE, FAN_MOVED_TO, the new half of FAN_RENAME. */
export interface LearnEvent {
  readonly parent: FileHandle;
  readonly name: Buffer;
  readonly object: FileHandle;
  /** FAN_ONDIR of the event's mask; without it the index asks the file system when it must know. */
  readonly directory?: boolean;
}

/** A name that went: FAN_DELETE, FAN_MOVED_FROM, the old half of FAN_RENAME. */
export interface ForgetEvent {
  readonly parent: FileHandle;
  readonly name: Buffer;
}

/** What the index holds now. */
export interface IndexGrowth {
  readonly objects: number;
  readonly names: number;
  /** Objects and names that there was no room for, since open. */
  readonly refused: number;
  /** Answers of `pathsOf` that were cut short, since open. */
  readonly leftOut: number;
  /** Memory. */
  readonly bytes: number;
}

/** A tree that is not looked at but told: the handle of its root. See `HandleIndex.learn`. */
export interface ToldTree {
  readonly rootHandle: FileHandle;
}
