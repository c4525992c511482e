/** Turns a `--root` argument into the absolute path that the daemon knows. */
import { realpathSync } from 'node:fs';
import { TraceError } from '../common/errors.ts';
import { pathOfArgument } from './bytes-of-argument.ts';

/**
 * Absolute, symlinks resolved where the directory exists; else as written, so that what is wrong
 * with it can be said.
 * @throws TraceError `usage-empty-root`
 */
export function rootArgument(text: string): Buffer {
  // A script's variable that is not set would stand for the folder that it runs in.
  if (text === '')
    throw new TraceError({
      code: 'usage-empty-root',
      message: '--root is empty',
      hint: 'name the exported directory, for example /nfsroots/sarge',
      exit: 'usage',
    });
  const path = pathOfArgument(text);
  try {
    return realpathSync.native(path, { encoding: 'buffer' });
  } catch {
    return path;
  }
}
