/**
 * What the asking side of the control socket says of a daemon that cannot be reached, or that
 * refuses. Owns those words.
 */
import { EXIT, TraceError, type ExitName } from '../common/errors.ts';
import type { ErrorBody } from './api.ts';

export function unreachable(socket: string, cause: NodeJS.ErrnoException): TraceError {
  if (cause.code === 'EACCES')
    return new TraceError({
      code: 'socket-permission',
      message: `no permission for the daemon's socket ${socket}`,
      hint: 'run it as root',
      exit: 'permission',
      cause,
    });
  if (cause.code === 'ENOENT' || cause.code === 'ECONNREFUSED')
    return new TraceError({
      code: 'daemon-not-running',
      message: `no daemon listens on ${socket}`,
      hint: 'start one with `trace start --root DIR` or `trace daemon`',
      exit: 'unavailable',
      cause,
    });
  return new TraceError({
    code: 'daemon-connection',
    message: `the connection to the daemon broke: ${cause.message}`,
    hint: 'see its log, and `trace status`',
    exit: 'io',
    cause,
  });
}

/** The error that an answer carries. */
export function errorOf(text: string): TraceError {
  const { error } = JSON.parse(text) as ErrorBody;
  const exit: ExitName = error.exit in EXIT ? (error.exit as ExitName) : 'bug';
  return new TraceError({
    code: error.code,
    message: error.message,
    exit,
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}
