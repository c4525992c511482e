/**
 * Paths in lists: joining, and what can be done with them by their names alone. `..` after a name is
 * left: what it leads to is known only where links are followed (path_resolution(7)). Pure.
 */

const SLASH = 0x2f;

export function isAbsolute(path: Buffer): boolean {
  return path[0] === SLASH;
}

/** A relative path from a directory. */
export function join(directory: Buffer, path: Buffer): Buffer {
  if (isAbsolute(path)) return path;
  const between = directory.at(-1) === SLASH ? [] : [Buffer.of(SLASH)];
  return Buffer.concat([directory, ...between, path]);
}

/** An absolute path without `.`, `..` and doubled slashes; what ends with a slash goes on to. */
export function normal(path: Buffer): Buffer {
  const text = path.toString('latin1');
  const names: string[] = [];
  for (const name of text.split('/'))
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  const end = names.length > 0 && text.endsWith('/') ? '/' : '';
  return Buffer.from(`/${names.join('/')}${end}`, 'latin1');
}

/** An absolute path without `.`, doubled slashes and what would lead above its top. */
export function tidy(path: Buffer): Buffer {
  return isPlain(path) ? path : pathOf(namesOf(path), path);
}

/** It leads above its top by its names; after links, it may or may not. */
export function climbs(path: Buffer): boolean {
  return path.includes('..') && leavesTop(namesOf(path));
}

/**
 * The way from a directory to a path in it, beginning with a slash; `..` is done away with up to the
 * directory, and left from there on.
 * @returns undefined: it does not come to the directory; null: it leads out again, by its names
 */
export function wayInto(path: Buffer, directory: Buffer): Buffer | null | undefined {
  if (isPlain(path) && directory.at(-1) !== SLASH && isPlain(directory))
    return within(path, directory) ?? undefined;
  const top = namesOf(normal(directory));
  const names = namesOf(path);
  const way: string[] = [];
  let met = false;
  for (let at = 0; at <= names.length; at += 1) {
    if (way.length === top.length && way.every((name, i) => name === top[i])) {
      const rest = names.slice(at);
      if (top.length === 0) return pathOf(rest, path);
      if (rest[0] !== '..') return leavesTop(rest) ? null : pathOf(rest, path);
      met = true;
    }
    const name = names[at];
    if (name === '..') way.pop();
    else if (name !== undefined) way.push(name);
  }
  return met ? null : undefined;
}

/** A directory below which a path is, as seen from above. */
export function below(directory: Buffer, path: Buffer): Buffer {
  return directory.length === 1 ? path : Buffer.concat([directory, path]);
}

/** Nothing in it needs a look at its names, as of nearly all paths: a list has millions. */
function isPlain(path: Buffer): boolean {
  return isAbsolute(path) && !/\/[/.]/.test(path.toString('latin1'));
}

/** latin1, without `.`; `..` only after a name. */
function namesOf(path: Buffer): string[] {
  const names = path
    .toString('latin1')
    .split('/')
    .filter((name) => name !== '' && name !== '.');
  const first = names.findIndex((name) => name !== '..');
  return first < 0 ? [] : names.slice(first);
}

/** @param like what ends as this does, as a directory or not */
function pathOf(names: readonly string[], like: Buffer): Buffer {
  const end = names.length > 0 && /\/\.?$/.test(like.subarray(-2).toString('latin1')) ? '/' : '';
  return Buffer.from(`/${names.join('/')}${end}`, 'latin1');
}

function leavesTop(names: readonly string[]): boolean {
  let depth = 0;
  return names.some((name) => (depth += name === '..' ? -1 : 1) < 0);
}

/** The way from a directory to a path in it, beginning with a slash; null if it is elsewhere. */
export function within(path: Buffer, directory: Buffer): Buffer | null {
  if (directory.length === 1) return path;
  if (!path.subarray(0, directory.length).equals(directory)) return null;
  const rest = path.subarray(directory.length);
  if (rest.length === 0) return Buffer.of(SLASH);
  return rest[0] === SLASH ? rest : null;
}
