/**
 * Archives byte by byte, right and wrong, for tests of the image tools. Owns the layout only: any
 * field may be given as the text that stands there.
 */
export const DIRECTORY = 0o040755;
export const FILE = 0o100644;
export const LINK = 0o120777;
export const CHARACTER = 0o020600;

export interface Crafted {
  readonly name: string | Buffer;
  readonly mode?: number;
  readonly data?: string | Buffer;
  readonly ino?: number;
  readonly nlink?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly mtime?: number;
  readonly rdev?: readonly [major: number, minor: number];
  readonly magic?: string;
  /** What the header says, instead of what is so. */
  readonly nameSize?: number;
  readonly size?: number;
  readonly checksum?: number;
  /** Text of the first field. */
  readonly inoText?: string;
}

let serial = 1000;

export function record(one: Crafted): Buffer {
  const name = Buffer.isBuffer(one.name) ? one.name : Buffer.from(`${one.name}\0`, 'latin1');
  const data = Buffer.from(one.data ?? '');
  const [major, minor] = one.rdev ?? [0, 0];
  const hex = (value: number): string => value.toString(16).padStart(8, '0');
  const fields = [
    one.inoText ?? hex(one.ino ?? serial++),
    hex(one.mode ?? FILE),
    hex(one.uid ?? 0),
    hex(one.gid ?? 0),
    hex(one.nlink ?? 1),
    hex(one.mtime ?? 1_000_000_000),
    hex(one.size ?? data.length),
    hex(0),
    hex(0),
    hex(major),
    hex(minor),
    hex(one.nameSize ?? name.length),
    hex(one.checksum ?? 0),
  ];
  const head = padded(
    Buffer.concat([Buffer.from((one.magic ?? '070701') + fields.join('')), name]),
  );
  return padded(Buffer.concat([head, data]));
}

export const padded = (bytes: Buffer, to = 4): Buffer =>
  Buffer.concat([bytes, Buffer.alloc((to - (bytes.length % to)) % to)]);

export const trailer = (): Buffer => record({ name: 'TRAILER!!!', mode: 0, ino: 0, mtime: 0 });

export const directory = (name: string, more: Partial<Crafted> = {}): Buffer =>
  record({ name, mode: DIRECTORY, nlink: 2, ...more });
export const file = (name: string, data: string | Buffer = name, more: Partial<Crafted> = {}) =>
  record({ name, data, ...more });
export const link = (name: string, target: string, more: Partial<Crafted> = {}): Buffer =>
  record({ name, mode: LINK, data: target, ...more });

/** A whole archive, filled up to 512 bytes as cpio does. */
export const archive = (...records: readonly Buffer[]): Buffer =>
  padded(Buffer.concat([...records, trailer()]), 512);
