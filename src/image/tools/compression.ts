/**
 * How a member of an image is compressed, by its first bytes, as the kernel tells (lib/decompress.c).
 * Owns the magic numbers, and what of each format the kernel's own unpacker refuses.
 */
export type Compression = 'gzip' | 'bzip2' | 'lzma' | 'xz' | 'lzo' | 'lz4' | 'zstd';

/** Two bytes are all that the kernel looks at. */
const MAGIC: ReadonlyMap<number, Compression> = new Map([
  [0x1f8b, 'gzip'],
  [0x1f9e, 'gzip'],
  [0x425a, 'bzip2'],
  [0x5d00, 'lzma'],
  [0xfd37, 'xz'],
  [0x894c, 'lzo'],
  [0x0221, 'lz4'],
  [0x28b5, 'zstd'],
]);

/** Null for what is none of these. */
export function compressionAt(head: Buffer): Compression | null {
  return head.length < 2 ? null : (MAGIC.get(head.readUInt16BE()) ?? null);
}

/** What else such bytes are known for, with the way out. */
export function unknownKind(head: Buffer): string | null {
  const digits = head.toString('hex', 0, 4);
  if (digits === '04224d18') return 'lz4, not of its legacy format: take lz4 -l';
  return /^5.2a4d18$/.test(digits) ? 'a skippable frame: take zstd, not pzstd' : null;
}

/** Bytes that the kernel cannot unpack, or that nobody can. */
export class BadMember extends Error {
  override readonly name = 'BadMember';
  /** Nobody can: they are cut off or damaged. */
  readonly damaged: boolean;

  constructor(message: string, { damaged = true }: { readonly damaged?: boolean } = {}) {
    super(message);
    this.damaged = damaged;
  }
}
