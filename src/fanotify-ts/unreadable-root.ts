/** What a root that cannot be read means to a person. Owns codes, hints and exit status of that. */
import { TraceError } from '../common/errors.ts';

/** The caller may not read something of it. */
export function rootNotReadable(message: string, cause: unknown): TraceError {
  return new TraceError({
    code: 'root-not-readable',
    message,
    hint: 'run this as a user who may read the whole root, or let the daemon do it',
    exit: 'permission',
    cause,
  });
}

/** Its file system does not give it. */
export function rootUnreadable(message: string, cause: unknown): TraceError {
  return new TraceError({
    code: 'root-unreadable',
    message,
    hint: 'see what is there; `dmesg` tells of a file system or disk that fails',
    exit: 'io',
    cause,
  });
}
