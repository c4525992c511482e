/**
 * How a file is compressed, by its first bytes. Owns what of each format the kernel takes. Must not
 * read files.
 */
import { TraceError } from '../../common/errors.ts';
import type { CompressionMethod } from '../choices.ts';

interface Magic {
  /** In hexadecimal. */
  readonly begins: string;
  readonly method: CompressionMethod;
  /** What the kernel would not unpack, and what to do about it; null if it would. */
  readonly refuses?: (head: Buffer) => readonly [what: string, hint: string] | null;
}

/** Flags of RFC 1952 that the kernel passes over: text, and a name (lib/decompress_inflate.c). */
const GZIP_FLAGS = 0x01 | 0x08;
/** Checks of xz that the kernel has: none and CRC32. */
const XZ_CHECKS = [0, 1];

const MAGIC: readonly Magic[] = [
  {
    begins: '1f8b08',
    method: 'gzip',
    refuses: (head) =>
      ((head[3] ?? 0) & ~GZIP_FLAGS) === 0
        ? null
        : ['gzip with extra header fields', 'compress it with gzip -n'],
  },
  { begins: '28b52ffd', method: 'zstd' },
  {
    begins: 'fd377a585a00',
    method: 'xz',
    refuses: (head) =>
      XZ_CHECKS.includes(head[7] ?? 0)
        ? null
        : ['xz with a check that the kernel does not have', 'compress it with xz --check=crc32'],
  },
  { begins: '02214c18', method: 'lz4' },
  {
    begins: '04224d18',
    method: 'lz4',
    refuses: () => ['not the legacy format of lz4', 'compress it with lz4 -l'],
  },
];

/** A skippable frame: 0x184D2A50 to 5F. */
const SKIPPABLE = /^5.2a4d18/;

/** Null for what is none of these. Throws `bad-part` for what the kernel would not unpack. */
export function compressionOf(head: Buffer, name: string): CompressionMethod | null {
  const digits = head.toString('hex');
  if (SKIPPABLE.test(digits))
    throw refused(name, 'zstd with a skippable frame first', 'compress it with zstd');
  const found = MAGIC.find(({ begins }) => digits.startsWith(begins));
  if (found === undefined) return null;
  const refusal = found.refuses?.(head) ?? null;
  if (refusal !== null) throw refused(name, ...refusal);
  return found.method;
}

function refused(name: string, what: string, hint: string): TraceError {
  return new TraceError({
    code: 'bad-part',
    message: `${name} is ${what}: the kernel would not unpack it`,
    hint,
    exit: 'data',
  });
}
