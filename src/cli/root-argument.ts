/** Turns a `--root` argument into the absolute path that the daemon knows. */
import { resolve } from 'node:path';
import { realpathSync } from 'node:fs';

/**
 * Absolute, symlinks resolved where the directory exists; else as written, so that what is wrong
 * with it can be said.
 */
export function rootArgument(text: string): Buffer {
  const path = resolve(text);
  try {
    return realpathSync.native(path, { encoding: 'buffer' });
  } catch {
    return Buffer.from(path);
  }
}
