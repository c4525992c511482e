/** Makes a folder and those above it. Must not know what they are for. */
import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';

/**
 * As mkdirSync with `recursive`, which never returns where the kernel says ENOENT for a folder whose
 * parent is there, as /proc does (Node 24).
 * @param mode of those that are made
 */
export function makeFolders(path: string, mode = 0o777): void {
  const parent = dirname(path);
  if (make(path, mode) || parent === path) return;
  makeFolders(parent, mode);
  if (!make(path, mode)) mkdirSync(path, { mode });
}

/** False if what is above it is not there. */
function make(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return false;
    // If it is something else than a folder, that shows when it is used.
    if (code !== 'EEXIST') throw error;
  }
  return true;
}
