/**
 * The kernel NFS server's file handles: building one, hashing it as the server's tracepoints do,
 * and reading the server's export table. Pure; must not open files or know sessions.
 */
import { crc32 } from 'node:zlib';
import type { FileHandle } from '../common/batches.ts';

/** Bytes of the fsid for each fsid type (fs/nfsd/nfsfh.h, key_len()). */
const FSID_LENGTH: Readonly<Record<number, number>> = {
  0: 8,
  1: 4,
  2: 12,
  3: 8,
  4: 8,
  5: 8,
  6: 16,
  7: 24,
};

/** How the server names one export in every file handle below it. */
export interface ExportKey {
  /** The auth domain, `*` or a client list's name, as the kernel prints it. */
  readonly domain: string;
  readonly fsidType: number;
  /** As it stands in the handle. */
  readonly fsid: Buffer;
  /** Absolute path of the exported directory. */
  readonly path: Buffer;
}

export interface KnfsdHandleParts {
  readonly fsidType: number;
  /** As it stands in the handle: see {@link ExportKey.fsid}. */
  readonly fsid: Buffer;
  /** null = the export's root itself, which the server encodes as type 0 without bytes. */
  readonly handle: FileHandle | null;
}

/**
 * The bytes of an NFS file handle: version 1, auth type 0, fsid type, file-id type, fsid, file id.
 * @throws RangeError when a type does not fit a byte or the fsid's length is not its type's.
 */
export function knfsdHandle(parts: KnfsdHandleParts): Buffer {
  const { fsidType, fsid, handle } = parts;
  const length = FSID_LENGTH[fsidType];
  if (length === undefined) throw new RangeError(`unknown fsid type ${fsidType}`);
  if (fsid.length !== length)
    throw new RangeError(`fsid type ${fsidType} takes ${length} bytes, not ${fsid.length}`);
  const fileIdType = handle?.type ?? 0;
  if (!(fileIdType >= 0 && fileIdType <= 0xff))
    throw new RangeError(`file-id type ${fileIdType} does not fit a byte`);
  const head = Buffer.from([1, 0, fsidType, fileIdType]);
  return Buffer.concat(handle === null ? [head, fsid] : [head, fsid, handle.bytes]);
}

/** `fh_hash` of the server's tracepoints: the unsigned CRC-32 of the handle's bytes. */
export function handleHash(parts: KnfsdHandleParts): number {
  return crc32(knfsdHandle(parts));
}

/**
 * The root that an NFSv4 server shows: the export with fsid=0, or what rpc.mountd makes up in its
 * place. Its handle is the same on every server.
 */
export const NFS4_ROOT_HASH = handleHash({ fsidType: 1, fsid: Buffer.alloc(4), handle: null });

/** Undoes the kernel's qword_add() escapes: a backslash and three octal digits. */
export function decodeKernelEscapes(field: Buffer): Buffer {
  const out = Buffer.alloc(field.length);
  let length = 0;
  for (let i = 0; i < field.length; i += 1) {
    const octal = field.subarray(i + 1, i + 4).toString('latin1');
    if (field[i] === 0x5c && /^[0-3][0-7]{2}$/.test(octal)) {
      out[length] = parseInt(octal, 8);
      i += 3;
    } else {
      out[length] = field[i] ?? 0;
    }
    length += 1;
  }
  return out.subarray(0, length);
}

/**
 * The fsid as it stands in the handle. The kernel prints it as 32-bit words in its own byte order
 * (expkey_show()), so the words of a little-endian machine must be turned round.
 */
function fsidBytes(words: readonly string[], littleEndian: boolean): Buffer | null {
  const fsid = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) {
    if (!/^[0-9a-f]{8}$/i.test(word)) return null;
    const value = parseInt(word, 16);
    if (littleEndian) fsid.writeUInt32LE(value, index * 4);
    else fsid.writeUInt32BE(value, index * 4);
  }
  return fsid;
}

function splitBytes(line: Buffer): Buffer[] {
  const fields: Buffer[] = [];
  for (let start = 0; start < line.length;) {
    const blank = line.indexOf(0x20, start);
    const end = blank < 0 ? line.length : blank;
    if (end > start) fields.push(line.subarray(start, end));
    start = end + 1;
  }
  return fields;
}

/**
 * Reads /proc/net/rpc/nfsd.fh/content: lines of `domain fsidtype 0xfsid [path]`, comment lines
 * start with `#`. Negative and pending entries have no path (or are commented out) and are skipped.
 * @param options.littleEndian byte order of the machine that printed it; this machine's by default
 */
export function parseExportTable(
  content: Buffer | string,
  options: { readonly littleEndian?: boolean } = {},
): ExportKey[] {
  const littleEndian = options.littleEndian ?? LITTLE_ENDIAN;
  const bytes = typeof content === 'string' ? Buffer.from(content, 'latin1') : content;
  const keys: ExportKey[] = [];
  for (let start = 0; start < bytes.length;) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline < 0 ? bytes.length : newline;
    const key = parseLine(bytes.subarray(start, end), littleEndian);
    if (key !== null) keys.push(key);
    start = end + 1;
  }
  return keys;
}

const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

function parseLine(line: Buffer, littleEndian: boolean): ExportKey | null {
  const [domain, type, ...rest] = splitBytes(line);
  if (domain === undefined || type === undefined || domain[0] === 0x23) return null;
  const path = rest.at(-1);
  const fsidType = Number(type.toString('latin1'));
  const length = FSID_LENGTH[fsidType];
  if (path === undefined || length === undefined || path[0] !== 0x2f) return null;
  const printed = rest
    .slice(0, -1)
    .map((word) => word.toString('latin1'))
    .join('');
  const digits = printed.replace(/^0x/, '');
  if (digits.length !== length * 2) return null;
  const fsid = fsidBytes(digits.match(/.{8}/g) ?? [], littleEndian);
  if (fsid === null) return null;
  return {
    domain: decodeKernelEscapes(domain).toString('utf8'),
    fsidType,
    fsid,
    path: decodeKernelEscapes(path),
  };
}
