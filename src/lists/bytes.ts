/** Paths in lists: joining, and doing away with `.` and `..` by their names alone. Pure. */

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

/** The way from a directory to a path in it, beginning with a slash; null if it is elsewhere. */
export function within(path: Buffer, directory: Buffer): Buffer | null {
  if (directory.length === 1) return path;
  if (!path.subarray(0, directory.length).equals(directory)) return null;
  const rest = path.subarray(directory.length);
  if (rest.length === 0) return Buffer.of(SLASH);
  return rest[0] === SLASH ? rest : null;
}
