/**
 * The FAN_* bits that a {@link FileEvent}'s mask can hold, and their names.
 * Owns only constants (kernel ABI, linux/fanotify.h).
 */

/** A file or directory was read. */
export const FAN_ACCESS = 0x1;
/** A file's content was changed (write, truncate). */
export const FAN_MODIFY = 0x2;
/** Metadata was changed (owner, mode, times, link count, extended attributes). */
export const FAN_ATTRIB = 0x4;
/** A file that had been open for writing was closed. */
export const FAN_CLOSE_WRITE = 0x8;
/** A file or directory was opened. */
export const FAN_OPEN = 0x20;
/** A name was moved out of the parent directory. */
export const FAN_MOVED_FROM = 0x40;
/** A name was moved into the parent directory. */
export const FAN_MOVED_TO = 0x80;
/** A name was made in the parent directory: file, directory, symlink, device, hard link. */
export const FAN_CREATE = 0x100;
/** A name was removed from the parent directory. */
export const FAN_DELETE = 0x200;
/** Not an event: the object is a directory. */
export const FAN_ONDIR = 0x40000000;

/** Reads, opens and changes of content and attributes: kept from the classes asked for. */
export const ACCESS_MASK = FAN_ACCESS | FAN_OPEN | FAN_MODIFY | FAN_CLOSE_WRITE | FAN_ATTRIB;

/** Changes of names: kept from every process but this one. */
export const NAME_MASK = FAN_CREATE | FAN_DELETE | FAN_MOVED_FROM | FAN_MOVED_TO;

const NAMES: readonly (readonly [bit: number, name: string])[] = [
  [FAN_ACCESS, 'access'],
  [FAN_MODIFY, 'modify'],
  [FAN_ATTRIB, 'attrib'],
  [FAN_CLOSE_WRITE, 'close-write'],
  [FAN_OPEN, 'open'],
  [FAN_MOVED_FROM, 'moved-from'],
  [FAN_MOVED_TO, 'moved-to'],
  [FAN_CREATE, 'create'],
  [FAN_DELETE, 'delete'],
  [FAN_ONDIR, 'dir'],
];

/**
 * The names of a mask's bits, in the order of the bits.
 *
 * @example
 * maskNames(FAN_OPEN | FAN_ACCESS); // ['access', 'open']
 */
export function maskNames(mask: number): string[] {
  return NAMES.filter(([bit]) => (mask & bit) !== 0).map(([, name]) => name);
}
