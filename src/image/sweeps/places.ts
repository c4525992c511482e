/**
 * Directories of which no boot uses everything, because what is in them belongs to many programs.
 * Owns the table. A directory of one program is none, however large: squid lists its whole cache,
 * a web application reads all of its own, and looks just like a sweep.
 */

/** Outermost first. */
export const SHARED: readonly string[] = [
  '',
  'etc',
  'lib',
  'lib64',
  'usr',
  'var',
  'usr/lib',
  'usr/lib64',
  'usr/share',
  'usr/share/doc',
  'usr/share/man',
];

const LIBRARIES = /^(?:usr\/)?(?:local\/)?lib(?:32|64|x32)?(?:\/[a-z0-9_]+-linux-[a-z0-9_]+)?$/;

/** Where `ldconfig` looks by default, whatever the machine. */
export function isLibraryDirectory(path: string): boolean {
  return LIBRARIES.test(path);
}

/** What `ldconfig` looks into: `lib*.so*` and `ld-*.so*`. */
export function isLibraryName(name: string): boolean {
  return /^(?:lib|ld-).*\.so/.test(name);
}

/** Whether a path lies in a directory or is it. */
export function isIn(directory: string, path: string): boolean {
  return directory === '' || path === directory || path.startsWith(`${directory}/`);
}
