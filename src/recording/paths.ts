/** Absolute paths as bytes: what lies in what, and how the kernel's tables write them. Pure. */

const SLASH = Buffer.from('/');

/** Is `inner` the directory `outer` or below it? Both absolute and normalised. */
export function isWithin(inner: Buffer, outer: Buffer): boolean {
  if (inner.equals(outer)) return true;
  const prefix = outer.length === 1 ? outer : Buffer.concat([outer, SLASH]);
  return inner.subarray(0, prefix.length).equals(prefix);
}

/** The way from a directory to a path in it; empty for the directory itself. */
export function relativeTo(outer: Buffer, inner: Buffer): Buffer {
  return inner.subarray(Math.min(inner.length, outer.length === 1 ? 1 : outer.length + 1));
}

/** A relative path below a relative directory; either may be empty. */
export function below(directory: Buffer, path: Buffer): Buffer {
  if (directory.length === 0) return path;
  return path.length === 0 ? directory : Buffer.concat([directory, SLASH, path]);
}

/** Undoes the octal escapes of mountinfo and etab (`\040` is a blank). */
export function unescapeOctal(field: Buffer): Buffer {
  const text = field.toString('latin1');
  return Buffer.from(
    text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(parseInt(digits, 8))),
    'latin1',
  );
}
