/**
 * The face of the native root tree: safe reading of one directory tree by relative byte paths.
 * Owns the meaning of its errors. Must not know what a path is wanted for.
 *
 * No call follows a symbolic link, not even in the middle of a path, and none leaves the file
 * system mount that the root is on (openat2(2), Linux 5.6), but for mounts that are named. Paths are relative, without a leading
 * slash and without `.`, `..` or empty components; the empty path is the root itself.
 */
import { constants as fs } from 'node:fs';
import { constants } from 'node:os';

import { compareBytes } from '../common/bytes.ts';
import { TraceError } from '../common/errors.ts';
import { addon } from './binding.ts';
import { SurveyedTree } from './surveyed-tree.ts';
import { isSystemError } from './system-error.ts';
import { rootNotReadable, rootUnreadable } from './unreadable-root.ts';

export type FileType = 'file' | 'directory' | 'symlink' | 'character' | 'block' | 'fifo' | 'socket';

/** What statx(2) says about one name, links not followed. */
export interface TreeStat {
  readonly type: FileType;
  /** Permission bits with set-id and sticky bits (07777). */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes. */
  readonly size: number;
  /** Whole seconds since 1970, negative before; and the nanoseconds within it. */
  readonly mtime: number;
  readonly mtimeNsec: number;
  readonly ctime: number;
  readonly ctimeNsec: number;
  readonly nlink: number;
  /** Device and inode: which object this is while the tree is mounted. */
  readonly dev: number;
  readonly ino: bigint;
  /** Device number of a character or block node. */
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  /** Another file system is mounted over this path: what is seen is not what the root has here. */
  readonly foreign: boolean;
}

export interface TreeLink {
  readonly path: Buffer;
  readonly target: Buffer;
}

export interface TreeWalk {
  readonly links: TreeLink[];
  /** In no order. */
  readonly directories: Buffer[];
}

/** What is at many paths of a tree. */
export interface TreeStates {
  /** These bytes are the same as long as nobody changes one of the objects in any way. */
  readonly states: ArrayBuffer;
  /** When any of them changed last, in whole seconds since 1970. */
  readonly newest: number;
  /** Whether {@link TreeStat.foreign} is true of any. */
  readonly foreign: boolean;
}

/** The addon's class; errors are {@link isSystemError} ones. */
export interface RootTreeHandle {
  open(path: Buffer, mounts: readonly Buffer[]): void;
  close(): void;
  mountIds(): BigUint64Array | undefined;
  /** Fills 15 numbers (native/archive/survey.h) and returns 0, or returns an errno. */
  stat(path: Buffer, fields: Float64Array): number;
  readLink(path: Buffer): Buffer;
  /** Each name ends by a NUL; E2BIG if there are more than `most`. */
  list(path: Buffer, most: number): Buffer;
  read(path: Buffer, offset: number, length: number): Buffer;
  attributes(path: Buffer): Buffer | undefined;
  attribute(path: Buffer, name: Buffer): Buffer | undefined;
  /** Flat, as native/archive/symlink_walk.h has them. */
  symlinks(): Promise<{ readonly links: Buffer; readonly directories: Buffer }>;
  /** A row (native/archive/survey.h) for each path, which each end by a NUL. */
  survey(paths: Buffer): Promise<Float64Array>;
  states(paths: Buffer): Promise<TreeStates>;
}

const RootTree = addon['RootTree'] as new () => RootTreeHandle;

const { ENOENT, ENOTDIR, ELOOP, EXDEV, ENAMETOOLONG, E2BIG, EACCES, EPERM, ENOSYS, EINVAL } =
  constants.errno;
const READ_LINK = 'read the link';
/** ELOOP: a link in the middle of the path; EXDEV: below another mount. */
const NOT_THERE = new Set([ENOENT, ENOTDIR, ELOOP, EXDEV, ENAMETOOLONG]);

const TYPES: ReadonlyMap<number, FileType> = new Map([
  [fs.S_IFREG, 'file'],
  [fs.S_IFDIR, 'directory'],
  [fs.S_IFLNK, 'symlink'],
  [fs.S_IFCHR, 'character'],
  [fs.S_IFBLK, 'block'],
  [fs.S_IFIFO, 'fifo'],
  [fs.S_IFSOCK, 'socket'],
] as const);

/** What `stat` filled in from `at`; null for a type that there is not. */
export function statOf(fields: Float64Array, at: number, ino = 0n): TreeStat | null {
  const type = TYPES.get(fields[at] ?? 0);
  if (type === undefined) return null;
  return {
    type,
    mode: fields[at + 1] ?? 0,
    uid: fields[at + 2] ?? 0,
    gid: fields[at + 3] ?? 0,
    size: fields[at + 4] ?? 0,
    mtime: fields[at + 5] ?? 0,
    mtimeNsec: fields[at + 6] ?? 0,
    ctime: fields[at + 7] ?? 0,
    ctimeNsec: fields[at + 8] ?? 0,
    nlink: fields[at + 9] ?? 0,
    dev: fields[at + 10] ?? 0,
    ino,
    rdevMajor: fields[at + 11] ?? 0,
    rdevMinor: fields[at + 12] ?? 0,
    foreign: (fields[at + 13] ?? 0) !== 0,
  };
}

/** Whether an errno says that nothing of the root is at a path. */
export function isNotThere(errno: number): boolean {
  return NOT_THERE.has(errno);
}

/** One root, opened once; close it, since it keeps directories of the root open. */
export class NativeTree {
  /** The path it was opened by, for messages. */
  readonly path: Buffer;
  /** For the addon's other classes. */
  readonly handle: RootTreeHandle;
  readonly #fields = new Float64Array(15);
  readonly #inode = new BigUint64Array(this.#fields.buffer, 14 * 8, 1);

  private constructor(path: Buffer, handle: RootTreeHandle) {
    this.path = path;
    this.handle = handle;
  }

  /**
   * Opens the directory `path`; links in `path` itself are followed.
   * Throws `root-not-found`, `root-not-readable` or `kernel-too-old`.
   * @param options.mounts relative paths: what is mounted there belongs to the tree. Where nothing
   * is, nothing is different
   */
  static open(
    path: Buffer | string,
    { mounts = [] }: { readonly mounts?: readonly Buffer[] } = {},
  ): NativeTree {
    const bytes = typeof path === 'string' ? Buffer.from(path) : path;
    const handle = new RootTree();
    try {
      // A mount within another comes after it.
      handle.open(bytes, [...mounts].sort(compareBytes));
    } catch (cause) {
      throw openError(cause, bytes);
    }
    return new NativeTree(bytes, handle);
  }

  close(): void {
    this.handle.close();
  }

  /**
   * Numbers of the mounts that the tree is read through, its own first, that no other mount of this
   * boot ever has; null where the kernel has none (before Linux 6.8).
   */
  mountIds(): readonly bigint[] | null {
    const ids = this.#call('look at', Buffer.alloc(0), () => this.handle.mountIds());
    return ids === undefined ? null : [...ids];
  }

  /** Null when nothing of this root is there: no such name, or only by way of a link or mount. */
  lstat(path: Buffer): TreeStat | null {
    const errno = this.handle.stat(path, this.#fields);
    if (errno !== 0) {
      if (NOT_THERE.has(errno)) return null;
      throw this.#error('look at', path, { errno });
    }
    const stat = statOf(this.#fields, 0, this.#inode[0]);
    if (stat === null) throw this.#error('look at', path, { errno: EINVAL });
    return stat;
  }

  /**
   * The same tree, with much of what is usually asked of these paths known already.
   * @param paths byte strings: one join is quicker than thousands of small buffers
   */
  async survey(paths: readonly string[]): Promise<SurveyedTree> {
    // None can hold a NUL.
    const names = paths.filter((name) => !name.includes('\0')).sort();
    const flat = Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1');
    const rows = await this.handle.survey(flat);
    return new SurveyedTree({ tree: this, names, rows });
  }

  /** What is at these paths, which each end by a NUL; sorted ones are quickest. Nothing is opened. */
  states(paths: Buffer): Promise<TreeStates> {
    return this.handle.states(paths);
  }

  /** The bytes that a symbolic link holds. */
  readlink(path: Buffer): Buffer {
    return this.#call(READ_LINK, path, () => this.handle.readLink(path));
  }

  /**
   * The names in a directory, `.` and `..` left out, in bytewise order.
   * @param most names; with more it throws `too-many-names`
   */
  list(path: Buffer, most = Infinity): Buffer[] {
    return this.#call('list', path, () => splitNul(this.handle.list(path, most)));
  }

  /** Up to `length` bytes from `offset` of a regular file; never opens any other type. */
  read(path: Buffer, offset: number, length: number): Buffer {
    return this.#call('read', path, () => this.handle.read(path, offset, length));
  }

  /** Names of the extended attributes, in bytewise order; none where there is no support. */
  attributes(path: Buffer): string[] {
    const flat = this.#call('list attributes of', path, () => this.handle.attributes(path));
    return flat === undefined
      ? []
      : splitNul(flat)
          .map((name) => name.toString('latin1'))
          .sort();
  }

  /** The value of one extended attribute, up to 64 KiB; null if it is not there. */
  attribute(path: Buffer, name: string): Buffer | null {
    const read = () => this.handle.attribute(path, Buffer.from(name, 'latin1')) ?? null;
    return this.#call('read an attribute of', path, read);
  }

  /**
   * Every symbolic link of the root, in bytewise order of the paths; one walk on a worker thread.
   * Throws `root-not-readable` for a directory that may not be read: links would be missing.
   */
  async symlinks(): Promise<TreeLink[]> {
    return (await this.walk()).links;
  }

  /** The same, with every directory that was looked into: the root, and all whose names change this. */
  async walk(): Promise<TreeWalk> {
    let found: Awaited<ReturnType<RootTreeHandle['symlinks']>>;
    try {
      found = await this.handle.symlinks();
    } catch (cause) {
      const subject = isSystemError(cause) ? cause.subject : undefined;
      throw this.#error('list', subject ?? Buffer.alloc(0), cause);
    }
    const parts = splitNul(found.links);
    const links: TreeLink[] = [];
    for (let i = 0; i + 1 < parts.length; i += 2) {
      const [path, target] = [parts[i], parts[i + 1]];
      if (path !== undefined && target !== undefined) links.push({ path, target });
    }
    return { links, directories: splitNul(found.directories) };
  }

  #call<T>(doing: string, path: Buffer, call: () => T): T {
    try {
      return call();
    } catch (cause) {
      throw this.#error(doing, path, cause);
    }
  }

  #error(doing: string, path: Buffer, cause: unknown): TraceError {
    const errno = (cause as { errno?: unknown }).errno;
    const where = `${path.length === 0 ? '/' : path.toString()} in the root ${this.path.toString()}`;
    if (errno === EACCES || errno === EPERM)
      return rootNotReadable(`may not ${doing} ${where}`, cause);
    if (errno === ENAMETOOLONG)
      return new TraceError({
        code: 'path-too-long',
        message: `cannot ${doing} ${where}: its path is longer than a client could open`,
        hint: 'leave it out of the image, with --exclude of a directory that it is in',
        exit: 'data',
        cause,
      });
    if (errno === E2BIG)
      return new TraceError({
        code: 'too-many-names',
        message: `cannot ${doing} ${where}: it has too many names`,
        exit: 'data',
        cause,
      });
    // EINVAL: no link is there, but something else.
    const changed = doing === READ_LINK && errno === EINVAL;
    if (changed || (typeof errno === 'number' && NOT_THERE.has(errno)))
      return new TraceError({
        code: 'not-in-root',
        message: `cannot ${doing} ${where}: it is not there${changed ? ' as a link any more' : ''}`,
        hint: 'something changes the root meanwhile: try again when nothing does',
        exit: 'notFound',
        cause,
      });
    return rootUnreadable(`cannot ${doing} ${where}: ${describe(cause)}`, cause);
  }
}

function describe(cause: unknown): string {
  if (cause instanceof Error) return cause.message;
  const errno = (cause as { errno?: unknown }).errno;
  const name = Object.entries(constants.errno).find(([, value]) => value === errno)?.[0];
  return name ?? `error ${String(errno)}`;
}

function openError(cause: unknown, path: Buffer): TraceError {
  const errno = isSystemError(cause) ? cause.errno : 0;
  const shown = path.toString();
  if (errno === ENOSYS)
    return new TraceError({
      code: 'kernel-too-old',
      message: 'this kernel has no openat2, which reading a root safely needs',
      hint: 'use Linux 5.6 or newer',
      exit: 'unavailable',
      cause,
    });
  if (errno === EACCES || errno === EPERM)
    return rootNotReadable(`may not enter the root ${shown}`, cause);
  return new TraceError({
    code: 'root-not-found',
    message:
      errno === ENOTDIR
        ? `the root ${shown} is not a directory`
        : `cannot open the root ${shown}: ${describe(cause)}`,
    hint: 'give the exported directory, for example /nfsroots/sarge',
    exit: 'notFound',
    cause,
  });
}

function splitNul(flat: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let start = 0; start < flat.length;) {
    const end = flat.indexOf(0, start);
    parts.push(flat.subarray(start, end));
    start = end + 1;
  }
  return parts;
}
