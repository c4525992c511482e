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
  /** ... but this flag. */
  readonly unless?: string;
  /** It is there because of the call. */
  readonly makes?: boolean;
  /** Whether it is a path, where that is for other arguments to say, as strace writes them. */
  readonly only?: (args: readonly string[], path: Buffer) => boolean;
}

export interface FileCall {
  readonly paths: readonly NamedPath[];
  /** Which argument has the flags of open(2). */
  readonly opens?: number;
  /** It is open(2) with O_CREAT. */
  readonly creates?: true;
  /** From which argument on its flags are, if not behind all paths. */
  readonly flags?: number;
}

function one(operation: Operation, more: Partial<NamedPath> = {}): FileCall {
  return { paths: [{ path: 0, operation, ...more }] };
}

function at(operation: Operation, more: Partial<NamedPath> = {}): FileCall {
  return { paths: [{ directory: 0, path: 1, operation, ...more }] };
}

/** A device or a directory, or words that only the file system knows: `tmpfs`, `server:/export`. */
const SOURCE: NamedPath = {
  path: 0,
  operation: 'getattr',
  only: (args, path) => path[0] === SLASH || /\bMS_(?:BIND|MOVE)\b/.test(args[3] ?? ''),
};
const SLASH = 0x2f;
const ITSELF = { itself: true } as const;
const MADE = { itself: true, makes: true } as const;

export const FILE_CALLS: ReadonlyMap<string, FileCall> = new Map(
  Object.entries({
    open: { ...one('read'), opens: 1 },
    openat: { ...at('read'), opens: 2 },
    openat2: { ...at('read'), opens: 2 },
    creat: { ...one('write'), creates: true },
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
    oldstat: one('getattr'),
    oldlstat: one('getattr', ITSELF),
    name_to_handle_at: at('getattr', { ...ITSELF, unless: 'AT_SYMLINK_FOLLOW' }),
    inotify_add_watch: one('getattr', { path: 1 }),
    getxattr: one('getattr'),
    lgetxattr: one('getattr', ITSELF),
    listxattr: one('getattr'),
    llistxattr: one('getattr', ITSELF),
    getxattrat: at('getattr'),
    listxattrat: at('getattr'),
    file_getattr: at('getattr'),
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
    utimensat_time64: at('setattr'),
    truncate: one('setattr'),
    truncate64: one('setattr'),
    setxattr: one('setattr'),
    lsetxattr: one('setattr', ITSELF),
    removexattr: one('setattr'),
    lremovexattr: one('setattr', ITSELF),
    setxattrat: at('setattr'),
    removexattrat: at('setattr'),
    file_setattr: at('setattr'),
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
        { directory: 0, path: 1, operation: 'getattr', itself: true, unless: 'AT_SYMLINK_FOLLOW' },
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
    mount: { paths: [{ path: 1, operation: 'getattr' }, SOURCE], flags: 3 },
    umount: one('getattr'),
    umount2: one('getattr'),
    oldumount: one('getattr'),
    pivot_root: { paths: [0, 1].map((path) => ({ path, operation: 'getattr' })) },
    move_mount: {
      paths: [
        {
          directory: 0,
          path: 1,
          operation: 'getattr',
          itself: true,
          unless: 'MOVE_MOUNT_F_SYMLINKS',
        },
        {
          directory: 2,
          path: 3,
          operation: 'getattr',
          itself: true,
          unless: 'MOVE_MOUNT_T_SYMLINKS',
        },
      ],
    },
    open_tree: at('getattr'),
    open_tree_attr: at('getattr'),
    mount_setattr: at('getattr'),
    fspick: at('getattr'),
    fsconfig: {
      paths: [
        {
          ...{ directory: 4, path: 3, operation: 'getattr' },
          only: ([, command = ''], path) =>
            command.startsWith('FSCONFIG_SET_PATH') ||
            (command === 'FSCONFIG_SET_STRING' && path[0] === SLASH),
        },
      ],
    },
    swapon: one('read'),
    swapoff: one('getattr'),
    acct: one('write'),
    quotactl: {
      paths: [
        { path: 1, operation: 'getattr' },
        // Q_QUOTAON: the file that has the quotas.
        { path: 3, operation: 'read' },
      ],
    },
    fanotify_mark: {
      paths: [{ directory: 3, path: 4, operation: 'getattr' }],
      flags: 1,
    },
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
  /** That something was at the path then, be it by the call itself, is certain enough. */
  readonly there: boolean;
}

/** Flags of calls that do not follow a link at the end. */
const STAYING = [
  'O_NOFOLLOW',
  'AT_SYMLINK_NOFOLLOW',
  'IN_DONT_FOLLOW',
  'UMOUNT_NOFOLLOW',
  'FAN_MARK_DONT_FOLLOW',
  'FSPICK_SYMLINK_NOFOLLOW',
];
const READ = operationBit('read');
const WRITE = operationBit('write');
const LOOKUP = operationBit('lookup');
const GETATTR = operationBit('getattr');

/**
 * How a call ended. `unknown`: the process was killed, say; taken as done, but nothing is made.
 * `there`: it failed as it does only where something is. `found`: as it does only behind the look-up of
 * all that it neither makes nor removes. `refused`: it failed otherwise, and nothing is known.
 */
export type Outcome = 'done' | 'unknown' | 'not-there' | 'there' | 'found' | 'refused';

/** What only a call fails with that has found something at its path. */
const OF_SOMETHING = new Set(['EEXIST', 'ENOTEMPTY', 'EISDIR', 'ETXTBSY', 'ENXIO']);
/** The old name of link(2) is looked for before anything is made; a file may lack the attribute. */
const BEHIND_LOOK_UP = new Set(['EROFS', 'EXDEV', 'ENODATA']);

/** @param error a name of errno(3) that is not told to mean `not-there` */
export function failedWith(error: string): Outcome {
  if (OF_SOMETHING.has(error)) return 'there';
  return BEHIND_LOOK_UP.has(error) ? 'found' : 'refused';
}

/** @param flags words of the call's flags, such as `O_WRONLY` */
export function doneTo(
  call: FileCall,
  { operation, itself = false, unless, makes = false }: NamedPath,
  { flags, outcome }: { readonly flags: ReadonlySet<string>; readonly outcome: Outcome },
): Done {
  const exclusive = flags.has('O_CREAT') && flags.has('O_EXCL');
  const ownEnd = itself && (unless === undefined || !flags.has(unless));
  const follow = !(ownEnd || exclusive || STAYING.some((flag) => flags.has(flag)));
  if (outcome === 'not-there') return { operations: LOOKUP, follow, created: false, there: false };
  const changesNames = operation === 'create' || operation === 'remove' || creates(call, flags);
  // What cannot be looked up, as a directory on its way cannot be searched, may not be there.
  const there =
    outcome === 'done' || outcome === 'there' || (outcome !== 'refused' && !changesNames);
  if (outcome !== 'done' && outcome !== 'unknown')
    return { operations: GETATTR, follow, created: false, there };
  const created = outcome === 'done' && (makes || exclusive);
  const operations = call.opens === undefined ? operationBit(operation) : opened(flags);
  return { operations, follow, created, there };
}

/** It opens a file that need not be there. */
export function creates(call: FileCall, flags: ReadonlySet<string>): boolean {
  return call.creates === true || flags.has('O_CREAT');
}

function opened(flags: ReadonlySet<string>): number {
  if (flags.has('O_PATH')) return GETATTR;
  const truncates = flags.has('O_TRUNC') ? WRITE : 0;
  if (flags.has('O_WRONLY')) return WRITE;
  return READ | (flags.has('O_RDWR') ? WRITE : truncates);
}
