/**
 * The newc archive format ("070701"), the only one Linux's initramfs unpacker takes besides its
 * checksum variant. Pure functions over bytes. Must not import anything of ours, read files or
 * know why a record is in an archive.
 *
 * A record: 110 bytes of header (magic and thirteen fields of 8 hexadecimal digits), the name with
 * its NUL, zeros to a multiple of 4, the data, zeros to a multiple of 4.
 */

export const HEADER_BYTES = 110;
/** NUL included; the kernel skips records with longer names without a message (PATH_MAX). */
export const MAX_NAME_BYTES = 4096;
/** The kernel skips longer symbolic links without a message. */
export const MAX_LINK_BYTES = 4096;
/** What a record is named that ends an archive, whatever else it says. */
export const TRAILER = 'TRAILER!!!';
/** A file of that name, as its record has to be named: the same path, and no reader's end. */
export const TRAILER_FILE = `./${TRAILER}`;
const TRAILER_NAME = Buffer.from(TRAILER);
/** GNU cpio's block: readers of tapes and `cpio` itself want whole ones. */
const BLOCK_BYTES = 512;

/** Without and with a sum of each file's bytes in its header. */
export const NEWC = '070701';
export const NEWC_CRC = '070702';
/** The header's last eight digits. */
export const CHECKSUM_START = HEADER_BYTES - 8;

/** One record's header. Every number is unsigned and below 2^32. */
export interface CpioHeader {
  readonly inode: number;
  /** Type and permission bits, as in st_mode. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  /** Seconds since 1970. */
  readonly mtime: number;
  /** Bytes of data that follow: a file's content or a symbolic link's target. */
  readonly size: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly name: Buffer;
  /** NULs behind the name's own, a multiple of 4: every reader takes the name up to the first. */
  readonly namePadding?: number;
}

/** A value that the format has no room for. */
export class CpioFieldError extends Error {
  override readonly name = 'CpioFieldError';
  readonly field: string;
  readonly path: Buffer;

  constructor(field: string, value: number, path: Buffer) {
    super(`${field} ${value} of ${path.toString()} does not fit into a newc archive`);
    this.field = field;
    this.path = path;
  }
}

/** Zeros that follow `length` bytes up to a multiple of 4. */
export function paddingOf(length: number): number {
  return -length & 3;
}

/** Bytes of a record's header, name and padding; its data starts there. */
export function headerLength(nameLength: number): number {
  const length = HEADER_BYTES + nameLength + 1;
  return length + paddingOf(length);
}

/** Capitals, as GNU cpio and the kernel's gen_init_cpio write them; readers take both. */
const DIGITS = Buffer.from('0123456789ABCDEF');

/**
 * Writes header, name and padding to `target` from `at`; returns the offset after them.
 * Throws {@link CpioFieldError} for a number that is negative, not whole or over 32 bits (a file
 * of 4 GiB), a name over 4095 bytes with its padding, or a symbolic link over 4096.
 */
export function writeHeader(
  target: Buffer,
  at: number,
  header: CpioHeader,
  magic: string = NEWC,
): number {
  const { name, namePadding = 0 } = header;
  const nameLength = name.length + namePadding;
  if (name.length === 0 || nameLength >= MAX_NAME_BYTES)
    throw new CpioFieldError('name length', nameLength, name);
  if ((header.mode & 0o170000) === 0o120000 && header.size > MAX_LINK_BYTES)
    throw new CpioFieldError('link length', header.size, name);
  // By hand, as the zeros at the end: a call into Node costs more than a few bytes.
  for (let i = 0; i < 6; i++) target[at + i] = magic.charCodeAt(i);
  let to = at + 6;
  const put = (field: string, value: number): void => {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff)
      throw new CpioFieldError(field, value, name);
    to = writeDigits(target, to, value);
  };
  put('inode', header.inode);
  put('mode', header.mode);
  put('uid', header.uid);
  put('gid', header.gid);
  put('nlink', header.nlink);
  put('mtime', header.mtime);
  put('size', header.size);
  put('device', 0);
  put('device', 0);
  put('rdev major', header.rdevMajor);
  put('rdev minor', header.rdevMinor);
  put('name length', nameLength + 1);
  put('checksum', 0);
  name.copy(target, to);
  const end = at + headerLength(nameLength);
  for (let i = to + name.length; i < end; i++) target[i] = 0;
  return end;
}

/** Writes eight hexadecimal digits; returns the offset after them. */
export function writeDigits(target: Buffer, at: number, value: number): number {
  for (let shift = 28; shift >= 0; shift -= 4) target[at++] = DIGITS[(value >>> shift) & 15] ?? 0;
  return at;
}

/** Length of {@link trailer} after `offset` bytes of archive. */
export function trailerLength(offset: number): number {
  const end = offset + headerLength(TRAILER_NAME.length);
  return end + (-end & (BLOCK_BYTES - 1)) - offset;
}

/** The end record, and zeros that make the whole archive a multiple of 512 bytes. */
export function trailer(offset: number, magic: string = NEWC): Buffer {
  const bytes = Buffer.alloc(trailerLength(offset));
  const end: CpioHeader = {
    inode: 0,
    mode: 0,
    uid: 0,
    gid: 0,
    nlink: 1,
    mtime: 0,
    size: 0,
    rdevMajor: 0,
    rdevMinor: 0,
    name: TRAILER_NAME,
  };
  writeHeader(bytes, 0, end, magic);
  return bytes;
}
