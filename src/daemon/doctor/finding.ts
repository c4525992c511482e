/**
 * What a check says: one line and, unless all is well, one hint. Owns the shape, and the reading
 * of files that may not be there or not be ours to read.
 */
import { readFileSync, statSync } from 'node:fs';

export type State = 'ok' | 'warn' | 'fail';

export interface Finding {
  /** What was looked at, a word or two; the same for every root. */
  readonly check: string;
  /** The directory that it is about; null for the whole machine. */
  readonly root: Buffer | null;
  readonly state: State;
  readonly text: string;
  /** Null only if the state is `ok`. */
  readonly hint: string | null;
}

export function ok(check: string, text: string, root: Buffer | null = null): Finding {
  return { check, root, state: 'ok', text, hint: null };
}

export function warn(
  check: string,
  text: string,
  hint: string,
  root: Buffer | null = null,
): Finding {
  return { check, root, state: 'warn', text, hint };
}

export function fail(
  check: string,
  text: string,
  hint: string,
  root: Buffer | null = null,
): Finding {
  return { check, root, state: 'fail', text, hint };
}

/** What this user may not see is said, and is no failure of the machine. */
export function unseen(check: string, what: string, root: Buffer | null = null): Finding {
  return warn(check, `could not look: no permission for ${what}`, 'run it as root', root);
}

export type Read = { readonly text: string } | { readonly denied: boolean };

/** The whole of a small text file; `denied` tells one that may not be read from one that is not. */
export function read(path: string): Read {
  try {
    return { text: readFileSync(path, 'latin1') };
  } catch (error) {
    return { denied: isDenial(error) };
  }
}

/** A file with one word or line; null if it can't be read. */
export function word(path: string): string | null {
  const found = read(path);
  return 'text' in found ? found.text.trim() : null;
}

export function isDenial(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'EACCES' || code === 'EPERM';
}

/**
 * By stat(2): access(2), which existsSync asks, judges by the real user and without the
 * capabilities of a process that is not root.
 */
export function isThere(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

/** `12.3 MB` or `1.5 GB`. */
export function megabytes(bytes: number): string {
  return bytes >= 1e9 ? `${(bytes / 1e9).toFixed(1)} GB` : `${(bytes / 1e6).toFixed(1)} MB`;
}
