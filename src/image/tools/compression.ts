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

/** What else is taken for an image, by its first bytes: where they are, and a way out if there is one. */
const OTHERS: readonly (readonly [at: number, bytes: RegExp, what: string])[] = [
  [0, /^\x04"M\x18/, 'lz4, not of its legacy format: take lz4 -l'],
  [0, /^[\x50-\x5f]\*M\x18/, 'a skippable frame: take zstd, not pzstd'],
  [0, /^(?:\xc7q|q\xc7)/, "cpio's old binary format: take cpio -o -H newc"],
  [257, /^ustar/, 'a tar archive: take cpio -o -H newc'],
  [0x202, /^HdrS/, 'a kernel, which is no image'],
  [0, /^hsqs/, 'a squashfs, which is no initramfs'],
];
/** As many bytes as tell. */
export const KIND_BYTES = 0x206;

/** What else such bytes are known for. */
export function unknownKind(head: Buffer): string | null {
  const found = OTHERS.find(([at, bytes]) => bytes.test(head.toString('latin1', at, at + 5)));
  return found?.[2] ?? null;
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
