/**
 * The face of the native archive writer: ready-made bytes and file data into one descriptor.
 * Owns how its failures are told. Must not know the archive's format or where the output lives.
 */
import { constants } from 'node:os';

import { TraceError } from '../common/errors.ts';
import type { ArchiveContent } from './archive-content.ts';
import { addon } from './binding.ts';
import { isSystemError, type SystemError } from './system-error.ts';
import type { NativeTree, RootTreeHandle } from './tree.ts';
import { rootNotReadable, rootUnreadable } from './unreadable-root.ts';

export interface WriteArchiveOptions extends ArchiveContent {
  readonly tree: NativeTree;
  /** Open for writing; stays open. A pipe or socket may be non-blocking. */
  readonly fd: number;
  /** What follows: the first bytes of an open file, whoever made it; it stays open. */
  readonly tail?: { readonly fd: number; readonly length: number } | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called about ten times a second with the bytes written so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

interface ArchiveJobHandle {
  run(): Promise<number>;
  written(): number;
  abort(): void;
}

const ArchiveJob = addon['ArchiveJob'] as new (
  tree: RootTreeHandle,
  fd: number,
  head: Buffer,
  files: Float64Array,
  names: Buffer,
  tail: number,
  tailLength: number,
) => ArchiveJobHandle;

interface ArchiveFailure extends SystemError {
  readonly failure: 'drift' | 'read' | 'write' | 'aborted';
  readonly detail: string;
}

const PROGRESS_MS = 100;

/**
 * Writes the archive on a worker thread and gives the number of bytes written. What stands in the
 * output after an error is a part of an archive. Throws `drift` (a file is not as it was planned),
 * `root-not-readable`, `root-unreadable`, `output-full`, `output-closed`, `output-failed`, or the
 * signal's reason.
 */
export async function writeArchive(options: WriteArchiveOptions): Promise<number> {
  const { tree, fd, head, files, names = head, tail, signal, onProgress } = options;
  signal?.throwIfAborted();
  const job = new ArchiveJob(
    ...([tree.handle, fd, head, files, names] as const),
    ...([tail?.fd ?? -1, tail?.length ?? 0] as const),
  );
  const abort = () => job.abort();
  signal?.addEventListener('abort', abort);
  const timer = onProgress && setInterval(() => onProgress(job.written()), PROGRESS_MS);
  try {
    return await job.run();
  } catch (cause) {
    signal?.throwIfAborted();
    throw isSystemError(cause) ? archiveFailure(cause) : cause;
  } finally {
    clearInterval(timer);
    signal?.removeEventListener('abort', abort);
  }
}

/** What a failure of the addon's archive classes means to a person. */
export function archiveFailure(error: SystemError): TraceError {
  const cause = error as ArchiveFailure;
  const path = cause.subject?.toString() ?? '';
  if (cause.failure === 'drift')
    return new TraceError({
      code: 'drift',
      message: `${path} ${cause.detail} while the image was made`,
      hint: 'export again when nothing writes to the root',
      exit: 'failed',
      cause,
    });
  if (cause.failure === 'read') {
    const { EACCES, EPERM } = constants.errno;
    const toldAs =
      cause.errno === EACCES || cause.errno === EPERM ? rootNotReadable : rootUnreadable;
    return toldAs(`cannot read ${path}: ${cause.message}`, cause);
  }
  return outputError(cause);
}

/** What a failed write to an output means to a person. */
export function outputError(cause: { readonly errno?: number | undefined }): TraceError {
  const { ENOSPC, EDQUOT, EPIPE, EFBIG } = constants.errno;
  const errno = Math.abs(cause.errno ?? 0);
  if (errno === ENOSPC || errno === EDQUOT)
    return new TraceError({
      code: 'output-full',
      message: 'no space is left for the image',
      hint: 'free some space there, or write the image elsewhere',
      exit: 'io',
      cause,
    });
  if (errno === EPIPE)
    return new TraceError({
      code: 'output-closed',
      message: 'the reader of the image closed its end before the image was complete',
      hint: 'what it has is no image; see why it ended, and export again',
      exit: 'io',
      cause,
    });
  const message = cause instanceof Error ? cause.message : String(errno);
  return new TraceError({
    code: 'output-failed',
    message: `cannot write the image: ${message}`,
    ...(errno === EFBIG && { hint: 'the file system or a limit does not allow so large a file' }),
    exit: 'io',
    cause,
  });
}
