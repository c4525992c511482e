/** An image that can be read twice: a pipe's bytes in a nameless temporary file. */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TraceError } from '../../common/errors.ts';
import { Input } from './input.ts';

/** A file for writing and reading that goes away with its descriptor. */
export function temporaryFile(): number {
  const folder = mkdtempSync(join(tmpdir(), 'nfsroot-trace-'));
  try {
    return openSync(join(folder, 'spool'), 'wx+', 0o600);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Appends to such a file. Throws `no-room-to-unpack`. */
export function appendTo(fd: number, bytes: Buffer): void {
  try {
    for (let done = 0; done < bytes.length;) done += writeSync(fd, bytes, done);
  } catch (cause) {
    throw new TraceError({
      code: 'no-room-to-unpack',
      message: `cannot keep the image in ${tmpdir()}: ${(cause as Error).message}`,
      hint: 'set TMPDIR to a folder with room for it',
      exit: 'io',
      cause,
    });
  }
}

/** Calls `use` with an input that may be opened again and again by `again`. */
export async function withRereadable<T>(
  input: Input,
  use: (again: () => Input) => Promise<T>,
): Promise<T> {
  if (input.size !== null) return use(() => input.again());
  const fd = temporaryFile();
  try {
    for (let window = input.window(); window.length > 0; window = input.window()) {
      appendTo(fd, window);
      input.consume(window.length);
    }
    return await use(() => Input.ofDescriptor(fd, input.name));
  } finally {
    closeSync(fd);
  }
}
