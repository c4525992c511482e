/**
 * A record of an archive as the kernel's unpacker sees it. Owns the shape, and the kernel's reading
 * of the header. Must not know where the bytes come from.
 */
import type { FileType } from '../tree.ts';

export const [FORMAT, DIRECTORY, FILE, LINK] = [0o170000, 0o040000, 0o100000, 0o120000] as const;
export const [CHARACTER, BLOCK, FIFO, SOCKET] = [0o020000, 0o060000, 0o010000, 0o140000] as const;

/** By the type's bits of a mode; a record may have others. */
export const TYPE_NAMES: ReadonlyMap<number, FileType> = new Map([
  [FILE, 'file'],
  [DIRECTORY, 'directory'],
  [LINK, 'symlink'],
  [CHARACTER, 'character'],
  [BLOCK, 'block'],
  [FIFO, 'fifo'],
  [SOCKET, 'socket'],
]);

/** Why the kernel passes over a record by its header alone, without a message. */
export type PassedOver = 'no-name' | 'name-too-long' | 'body-of-no-file' | 'link-too-long';

export interface ImageRecord {
  /** Which member of the image, from 0. */
  readonly member: number;
  /** Of the header, in the member as it is unpacked; of a plain archive, in the image. */
  readonly offset: number;
  /** Where its data begins, likewise. */
  readonly dataOffset: number;
  readonly inode: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly nlink: number;
  readonly mtime: number;
  readonly size: number;
  readonly devMajor: number;
  readonly devMinor: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly checksum: number;
  readonly hasChecksum: boolean;
  /**
   * Up to its first NUL; a byte string, one character for each byte. `TRAILER!!!` is one that has
   * `./` before that, so as not to be the end.
   */
  readonly name: string;
  /** Of a symbolic link, up to its first NUL; a byte string. */
  readonly target: string | null;
  readonly passedOver: PassedOver | null;
}

export const FIELDS = 13;
/** What is no digit. */
const NONE = 255;
/** Value of a hexadecimal digit. */
const DIGITS = new Uint8Array(256).fill(NONE);
for (let value = 0; value < 16; value++) {
  const sign = value.toString(16);
  for (const either of [sign, sign.toUpperCase()]) DIGITS[either.charCodeAt(0)] = value;
}

/** The thirteen numbers behind the magic, into `fields`; false if a digit is none. */
export function readFields(head: Buffer, fields: Float64Array): boolean {
  for (let field = 0, at = 6; field < FIELDS; field++) {
    let high = 0;
    let low = 0;
    let all = 0;
    for (const end = at + 4; at < end; at++) {
      const [left, right] = [DIGITS[head[at] ?? 0] ?? NONE, DIGITS[head[at + 4] ?? 0] ?? NONE];
      all |= left | right;
      high = (high << 4) | left;
      low = (low << 4) | right;
    }
    if (all > 15) return false;
    fields[field] = high * 0x10000 + low;
    at += 4;
  }
  return true;
}

/** A record that has its name and target still to come. */
export type RecordBegun = { -readonly [field in keyof ImageRecord]: ImageRecord[field] };

/** All in one object from the start: a list of an image makes no other for each of its records. */
export function beginRecord(
  fields: Float64Array,
  rest: Pick<ImageRecord, 'member' | 'offset' | 'dataOffset' | 'hasChecksum' | 'passedOver'>,
): RecordBegun {
  const at = (index: number): number => fields[index] ?? 0;
  // Both are 12 and 20 bits wide in the kernel, one number of 32.
  const device = ((at(9) << 20) | at(10)) >>> 0;
  return {
    member: rest.member,
    offset: rest.offset,
    dataOffset: rest.dataOffset,
    inode: at(0),
    // umode_t is 16 bits wide.
    mode: at(1) & 0xffff,
    uid: at(2),
    gid: at(3),
    nlink: at(4),
    mtime: at(5),
    size: at(6),
    devMajor: at(7),
    devMinor: at(8),
    rdevMajor: device >>> 20,
    rdevMinor: device & 0xfffff,
    checksum: at(12),
    hasChecksum: rest.hasChecksum,
    name: '',
    target: null,
    passedOver: rest.passedOver,
  };
}
