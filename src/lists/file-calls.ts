/**
 * System calls that name files, and what each does to them (syscalls(2), strace's %file). Owns that
 * table; where its paths are among the arguments, and what flags make of it.
 */
import { operationBit, type Operation } from '../common/words.ts';

/** One path of a call. */
export interface NamedPath {
  /** Which argument it is. */
  readonly path: number;
  /** Which argument is the directory that it is relative to; none: the process's own. */
  readonly directory?: number;
  readonly operation: Operation;
  /** A link at its end is not followed, whatever the flags say. */
  readonly itself?: boolean;
  /** It is there because of the call. */
  readonly makes?: boolean;
}

export interface FileCall {
  readonly paths: readonly NamedPath[];
  /** Which argument has the flags of open(2). */
  readonly opens?: number;
}

function one(operation: Operation, more: Partial<NamedPath> = {}): FileCall {
  return { paths: [{ path: 0, operation, ...more }] };
}

function at(operation: Operation, more: Partial<NamedPath> = {}): FileCall {
  return { paths: [{ directory: 0, path: 1, operation, ...more }] };
}

const ITSELF = { itself: true } as const;
const MADE = { itself: true, makes: true } as const;

export const FILE_CALLS: ReadonlyMap<string, FileCall> = new Map(
  Object.entries({
    open: { ...one('read'), opens: 1 },
    openat: { ...at('read'), opens: 2 },
    openat2: { ...at('read'), opens: 2 },
    creat: one('write'),
    execve: one('read'),
    execveat: at('read'),
    uselib: one('read'),
    stat: one('getattr'),
    stat64: one('getattr'),
    lstat: one('getattr', ITSELF),
    lstat64: one('getattr', ITSELF),
    newfstatat: at('getattr'),
    fstatat64: at('getattr'),
    statx: at('getattr'),
    statfs: one('getattr'),
    statfs64: one('getattr'),
    name_to_handle_at: at('getattr', ITSELF),
    inotify_add_watch: one('getattr', { path: 1 }),
    getxattr: one('getattr'),
    lgetxattr: one('getattr', ITSELF),
    listxattr: one('getattr'),
    llistxattr: one('getattr', ITSELF),
    access: one('access'),
    faccessat: at('access'),
    faccessat2: at('access'),
    chdir: one('access'),
    chroot: one('access'),
    readlink: one('readlink', ITSELF),
    readlinkat: at('readlink', ITSELF),
    chmod: one('setattr'),
    fchmodat: at('setattr'),
    fchmodat2: at('setattr'),
    chown: one('setattr'),
    chown32: one('setattr'),
    lchown: one('setattr', ITSELF),
    lchown32: one('setattr', ITSELF),
    fchownat: at('setattr'),
    utime: one('setattr'),
    utimes: one('setattr'),
    futimesat: at('setattr'),
    utimensat: at('setattr'),
    truncate: one('setattr'),
    truncate64: one('setattr'),
    setxattr: one('setattr'),
    lsetxattr: one('setattr', ITSELF),
    removexattr: one('setattr'),
    lremovexattr: one('setattr', ITSELF),
    mkdir: one('create', MADE),
    mkdirat: at('create', MADE),
    mknod: one('create', MADE),
    mknodat: at('create', MADE),
    symlink: one('create', { ...MADE, path: 1 }),
    symlinkat: at('create', { ...MADE, directory: 1, path: 2 }),
    unlink: one('remove', ITSELF),
    unlinkat: at('remove', ITSELF),
    rmdir: one('remove', ITSELF),
    link: {
      paths: [
        { path: 0, operation: 'getattr', itself: true },
        { path: 1, operation: 'create', ...ITSELF },
      ],
    },
    linkat: {
      paths: [
        { directory: 0, path: 1, operation: 'getattr', itself: true },
        { directory: 2, path: 3, operation: 'create', ...ITSELF },
      ],
    },
    rename: {
      paths: [
        { path: 0, operation: 'remove', itself: true },
        { path: 1, operation: 'create', ...ITSELF },
      ],
    },
    renameat: renaming(),
    renameat2: renaming(),
  } satisfies Record<string, FileCall>),
);

/** From one directory to another. */
function renaming(): FileCall {
  return {
    paths: [
      { directory: 0, path: 1, operation: 'remove', itself: true },
      { directory: 2, path: 3, operation: 'create', itself: true },
    ],
  };
}

/** What a call did, as far as the paths it names go. */
export interface Done {
  readonly operations: number;
  readonly follow: boolean;
  readonly created: boolean;
}

const READ = operationBit('read');
const WRITE = operationBit('write');
const LOOKUP = operationBit('lookup');
const GETATTR = operationBit('getattr');

/** How a call ended. Unknown: the process was killed, say; taken as done, but nothing is made. */
export type Outcome = 'done' | 'unknown' | 'not-there' | 'refused';

/** @param flags words of the call's flags, such as `O_WRONLY` */
export function doneTo(
  { opens }: FileCall,
  { operation, itself = false, makes = false }: NamedPath,
  { flags, outcome }: { readonly flags: ReadonlySet<string>; readonly outcome: Outcome },
): Done {
  const exclusive = flags.has('O_CREAT') && flags.has('O_EXCL');
  const stays = itself || exclusive || flags.has('O_NOFOLLOW') || flags.has('AT_SYMLINK_NOFOLLOW');
  const follow = !stays;
  if (outcome === 'not-there') return { operations: LOOKUP, follow, created: false };
  if (outcome === 'refused') return { operations: GETATTR, follow, created: false };
  const created = outcome === 'done' && (makes || exclusive);
  const operations = opens === undefined ? operationBit(operation) : opened(flags);
  return { operations, follow, created };
}

function opened(flags: ReadonlySet<string>): number {
  if (flags.has('O_PATH')) return GETATTR;
  const truncates = flags.has('O_TRUNC') ? WRITE : 0;
  if (flags.has('O_WRONLY')) return WRITE;
  return READ | (flags.has('O_RDWR') ? WRITE : truncates);
}
