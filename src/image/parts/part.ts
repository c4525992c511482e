/**
 * The parts that a written image consists of, one behind the other. Owns their shape and the rules
 * of the kernel for what may stand where. Must not read files.
 */
import { TraceError } from '../../common/errors.ts';
import type { CompressionMethod, ImageFormat } from '../choices.ts';

/**
 * `early`, `append`: a file that a person gave. `microcode`: made from the root's firmware. `image`:
 * what the plan says.
 */
export type PartKind = 'early' | 'microcode' | 'image' | 'append';

export interface ImagePart {
  readonly kind: PartKind;
  /** Null for a plain archive. */
  readonly compression: CompressionMethod | null;
  /** From the beginning of all; what lies between two parts is zeros. */
  readonly offset: number;
  readonly bytes: number;
}

/**
 * What the image itself is behind `early` parts begins at such a multiple, as it does behind every
 * archive of cpio.
 */
const EARLY_BLOCK = 512;

/** Zeros behind an early part of this length. */
export function earlyPadding(bytes: number): number {
  return -bytes & (EARLY_BLOCK - 1);
}

/**
 * Zeros before a part that is appended at `offset`. The kernel looks for plain records at multiples
 * of 4; a compressed one begins anywhere, and between two of lz4, which are one stream to the
 * kernel, there may be nothing.
 */
export function appendPadding(offset: number, compression: CompressionMethod | null): number {
  return compression === null ? -offset & 3 : 0;
}

/** Where a part begins that follows these at once. */
export function offsetAfter(parts: readonly ImagePart[]): number {
  const last = parts.at(-1);
  return last === undefined ? 0 : last.offset + last.bytes;
}

/** Throws `parts-of-no-archive` for parts with a format that is none. */
export function checkParts(format: ImageFormat, wanted: boolean): void {
  if (!wanted || format === 'newc' || format === 'newc-crc') return;
  throw new TraceError({
    code: 'parts-of-no-archive',
    message: `--format ${format} is no archive: nothing can stand before it or behind it`,
    hint: 'leave --early, --early-microcode and --append out',
    exit: 'usage',
  });
}

/**
 * The kernel's lz4 takes all that follows for its own (lib/decompress_unlz4.c).
 * Throws `lz4-not-last`.
 */
export function checkOrder(
  image: CompressionMethod | undefined,
  appended: readonly { readonly name: string; readonly compression: CompressionMethod | null }[],
): void {
  let last: { name: string; compression: CompressionMethod | null | undefined } = {
    name: 'the image',
    compression: image,
  };
  for (const next of appended) {
    if (last.compression === 'lz4' && next.compression !== 'lz4')
      throw new TraceError({
        code: 'lz4-not-last',
        message: `${last.name} is compressed by lz4, and ${next.name} behind it is not: the kernel would not unpack it`,
        hint:
          last.name === 'the image'
            ? 'choose another --compress, or compress what is appended with lz4 -l'
            : 'append what is compressed by lz4 last',
        exit: 'usage',
      });
    last = next;
  }
}
