/**
 * Turns a failed system call of the fanotify room into the error a person gets.
 * Owns the codes and hints. Must not know the group's state.
 */
import { constants } from 'node:os';
import { TraceError } from '../common/errors.ts';

const { errno } = constants;

/** The native addon's error: see native/error.h. */
interface SystemCallError extends Error {
  readonly errno: number;
  readonly syscall: string;
  readonly subject?: Buffer;
}

function isSystemCallError(error: unknown): error is SystemCallError {
  return error instanceof Error && 'errno' in error && 'syscall' in error;
}

const PERMISSION_HINT =
  'run as root, or give the process CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH; a systemd unit must ' +
  'also allow the system calls fanotify_init and fanotify_mark';

/** The TraceError for what a native call threw; anything else is given back as it is. */
export function fanotifyError(error: unknown): unknown {
  if (!isSystemCallError(error)) return error;
  const subject = error.subject?.toString() ?? '';
  if (error.syscall === 'fanotify_init') return initError(error);
  if (error.syscall === 'fanotify_mark') return markError(error, subject);
  if (error.syscall === 'unwatch')
    return new TraceError({
      code: 'not-watched',
      message: `cannot stop watching ${subject}: it is not watched`,
      exit: 'notFound',
      cause: error,
    });
  return pathError(error, subject);
}

function initError(error: SystemCallError): TraceError {
  const message = `cannot start fanotify: ${error.message}`;
  switch (error.errno) {
    case errno.EPERM:
      return new TraceError({
        code: 'fanotify-permission',
        message: 'cannot start fanotify with an unlimited queue: no permission',
        hint: PERMISSION_HINT,
        exit: 'permission',
        cause: error,
      });
    case errno.EINVAL:
    case errno.ENOSYS:
      return new TraceError({
        code: 'fanotify-unsupported',
        message,
        hint: 'the kernel must be Linux 5.9 or later, built with CONFIG_FANOTIFY',
        exit: 'unavailable',
        cause: error,
      });
    case errno.EMFILE:
      return new TraceError({
        code: 'fanotify-limit',
        message,
        hint: 'end other fanotify users, or raise fs.fanotify.max_user_groups with sysctl',
        exit: 'unavailable',
        cause: error,
      });
    default:
      return new TraceError({ code: 'fanotify-failed', message, exit: 'io', cause: error });
  }
}

function markError(error: SystemCallError, subject: string): TraceError {
  const message = `cannot watch the file system of ${subject}`;
  const unsupported = (why: string, hint: string) =>
    new TraceError({
      code: 'fanotify-unsupported-fs',
      message: `${message}: ${why}`,
      hint,
      exit: 'unavailable',
      cause: error,
    });
  switch (error.errno) {
    case errno.EPERM:
      return new TraceError({
        code: 'fanotify-permission',
        message: `${message}: no permission`,
        hint: PERMISSION_HINT,
        exit: 'permission',
        cause: error,
      });
    case errno.ENODEV:
      return unsupported(
        'its id (fsid) is zero, so its files cannot be told from others',
        'give the file system a UUID (ext4: tune2fs -U random, unmounted), or put the root on one that has one',
      );
    case errno.EXDEV:
      return unsupported(
        'it is a subvolume with an id of its own',
        'watch the top level of the btrfs file system, which covers its subvolumes',
      );
    case errno.EOPNOTSUPP:
      return unsupported(
        'it has no file handles',
        'put the root on a file system that NFS can export (ext4, XFS, btrfs, tmpfs, ...); an ' +
          'overlay must be mounted with index=on,nfs_export=on',
      );
    case errno.EINVAL:
      return new TraceError({
        code: 'fanotify-unsupported',
        message: `${message}: the kernel refuses the events asked for`,
        hint: 'the kernel must be Linux 5.9 or later',
        exit: 'unavailable',
        cause: error,
      });
    default:
      return new TraceError({
        code: 'fanotify-failed',
        message: `${message}: ${error.message}`,
        exit: 'io',
        cause: error,
      });
  }
}

function pathError(error: SystemCallError, subject: string): TraceError {
  const message = `cannot watch ${subject}`;
  switch (error.errno) {
    case errno.ENOENT:
      return new TraceError({
        code: 'not-found',
        message: `${message}: no such directory`,
        hint: 'check the path',
        exit: 'notFound',
        cause: error,
      });
    case errno.ENOTDIR:
      return new TraceError({
        code: 'not-a-directory',
        message: `${message}: not a directory`,
        hint: 'name a directory of the file system to watch',
        exit: 'notFound',
        cause: error,
      });
    case errno.EACCES:
    case errno.EPERM:
      return new TraceError({
        code: 'fanotify-permission',
        message: `${message}: no permission to open it`,
        hint: PERMISSION_HINT,
        exit: 'permission',
        cause: error,
      });
    default:
      return new TraceError({
        code: 'fanotify-failed',
        message: `${message}: ${error.message}`,
        exit: 'io',
        cause: error,
      });
  }
}
