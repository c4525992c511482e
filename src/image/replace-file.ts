/**
 * Writes a file so that it is always the old one or the whole new one: beside it, synced, renamed.
 * Owns the temporary file and the moment at which it becomes the target. Must not know what is
 * written.
 */
import { constants as fsConstants, readFileSync, readlinkSync } from 'node:fs';
import {
  access,
  type FileHandle,
  lstat,
  open,
  readdir,
  realpath,
  rename,
  stat,
  unlink,
} from 'node:fs/promises';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';

import { TraceError } from '../common/errors.ts';
import { createHash, randomBytes } from '../common/hashing.ts';
import { outputError } from '../fanotify-ts/archive-writer.ts';

/**
 * A new file is readable by its owner only, since an image holds whatever the root holds,
 * /etc/shadow included; one that replaces a file keeps that file's permission bits.
 */
const NEW_MODE = 0o600;

/**
 * Gives `write` an open file and makes it `output` when that has succeeded; a device or fifo is
 * written to as it is. A link is followed.
 * Throws TraceErrors: `output-not-writable`, `output-full`, `output-failed`; or what `write` throws.
 */
export async function replaceFile<T>(
  output: string,
  write: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const target = await inspect(output);
  if (!target.special) return replace(target, write);
  const handle = await opened(output, () => open(output, 'w'));
  try {
    return await written(() => write(handle));
  } finally {
    await handle.close();
  }
}

interface Target {
  /** Links resolved, so that the file they lead to is replaced and not the link. */
  readonly path: string;
  readonly mode: number;
  /** Something that is written into, not replaced: a device, a fifo. */
  readonly special: boolean;
}

async function inspect(output: string): Promise<Target> {
  try {
    // Not realpath first: of a pipe behind /dev/stdout it says that there is none.
    const found = await stat(output);
    if (found.isDirectory()) throw notWritable(output, 'it is a directory');
    if (!found.isFile()) return { path: output, mode: NEW_MODE, special: true };
    const path = await realpath(output);
    await access(path, fsConstants.W_OK);
    return { path, mode: found.mode & 0o777, special: false };
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT')
      throw cause instanceof TraceError ? cause : createError(cause, output);
    const dangling = await lstat(output).catch(() => null);
    if (dangling !== null) throw notWritable(output, 'it is a link that leads nowhere');
    return { path: output, mode: NEW_MODE, special: false };
  }
}

async function replace<T>(
  { path, mode }: Target,
  write: (file: FileHandle) => Promise<T>,
): Promise<T> {
  const directory = dirname(path);
  await sweep(directory);
  const name = `.nfsroot-trace-${here()}-${process.pid}-${randomBytes(8).toString('hex')}.partial`;
  const temporary = join(directory, name);
  const handle = await opened(path, () => open(temporary, 'wx', 0o600));
  const alive = setInterval(() => void touch(handle), ALIVE_MS).unref();
  let result: T;
  try {
    try {
      result = await written(() => write(handle));
      await written(async () => {
        await handle.chmod(mode);
        await handle.sync();
      });
    } finally {
      clearInterval(alive);
      await handle.close();
    }
    await opened(path, () => rename(temporary, path));
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
  await syncDirectory(directory);
  return result;
}

const PARTIAL = /^\.nfsroot-trace-([0-9a-f]{8})-(\d+)-[0-9a-f]{16}\.partial$/;
/** How often a writer says that it is there: what it writes may be a person's work in a shell. */
const ALIVE_MS = 60_000;
/** Of one whose processes are not ours to ask; it may stand still, and its clock may be wrong. */
const ABANDONED_MS = 3_600_000;

/** Sets the time of the last change. */
async function touch(handle: FileHandle): Promise<void> {
  const now = new Date();
  // A file system that cannot says so when the file is written, too.
  await handle.utimes(now, now).catch(() => undefined);
}

/** Where process numbers mean the same as here: this boot of this machine, and this namespace. */
function here(): string {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1');
    const hash = createHash('sha256').update(boot + readlinkSync('/proc/self/ns/pid'));
    return hash.digest('hex').slice(0, 8);
  } catch {
    // Without /proc nobody can tell; then it is a place of its own.
    return randomBytes(4).toString('hex');
  }
}

/** Removes what exports that were killed have left there. */
async function sweep(directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  for (const name of names) {
    const [, where, pid] = PARTIAL.exec(name) ?? [];
    if (where === undefined) continue;
    const path = join(directory, name);
    const found = await lstat(path).catch(() => null);
    if (found?.isFile() !== true) continue;
    const inUse =
      where === here() ? isRunning(Number(pid)) : Date.now() - found.mtimeMs < ABANDONED_MS;
    if (inUse) continue;
    await unlink(path).catch(() => undefined);
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Makes the new name last through a power cut; file systems that cannot do it are let be. */
async function syncDirectory(directory: string): Promise<void> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(directory, 'r');
    await handle.sync();
  } catch (error) {
    const { errno } = error as NodeJS.ErrnoException;
    if (Math.abs(errno ?? 0) === constants.errno.EIO) throw outputError({ errno });
  } finally {
    await handle?.close();
  }
}

async function opened<T>(output: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw createError(cause, output);
  }
}

/** A system call that fails in here is the output's; errors with a story of their own stay. */
async function written<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    throw cause instanceof Error && 'errno' in cause && 'syscall' in cause
      ? outputError(cause as NodeJS.ErrnoException)
      : cause;
  }
}

function createError(cause: unknown, output: string): TraceError {
  const { code, message } = cause as NodeJS.ErrnoException;
  if (code === 'ENOSPC' || code === 'EDQUOT') return outputError(cause as NodeJS.ErrnoException);
  const why =
    code === 'ENOENT'
      ? 'its folder does not exist'
      : code === 'EACCES' || code === 'EPERM'
        ? 'permission denied'
        : code === 'EROFS'
          ? 'the file system is read-only'
          : message;
  return notWritable(output, why, cause);
}

function notWritable(output: string, why: string, cause?: unknown): TraceError {
  return new TraceError({
    code: 'output-not-writable',
    message: `cannot write ${output}: ${why}`,
    hint: 'give another path with -o, or -o - for standard output',
    exit: 'cannotCreate',
    cause,
  });
}
