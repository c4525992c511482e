/**
 * Where a compressed member ends: what follows it may be another one, or a plain archive. Owns the
 * structure of zstd (RFC 8878), xz (its file format, 1.2.1), lz4's legacy frames and bzip2's streams,
 * as far as the kernel takes them. Must not decompress: each yields the member's bytes, and leaves the
 * input behind them.
 */
import { BadMember } from './compression.ts';
import type { Input } from './input.ts';

const PIECE = 64 * 1024;

/** Copies, as the window of the input moves on; cut alike, however the input comes. */
export function* take(input: Input, length: number, what: string): Generator<Buffer> {
  for (let left = length; left > 0;) {
    const most = Math.min(left, PIECE);
    const window = input.window(most);
    if (window.length === 0) throw new BadMember(`${what} is cut off`);
    const piece = Buffer.from(window.subarray(0, most));
    input.consume(piece.length);
    left -= piece.length;
    yield piece;
  }
}

/** All that is left. */
export function* takeRest(input: Input): Generator<Buffer> {
  for (let window = input.window(); window.length > 0; window = input.window()) {
    const piece = Buffer.from(window.subarray(0, PIECE));
    input.consume(piece.length);
    yield piece;
  }
}

function peek(input: Input, length: number, what: string): Buffer {
  const window = input.window(length);
  if (window.length < length) throw new BadMember(`${what} is cut off`);
  return window.subarray(0, length);
}

const ZSTD = { magic: 0xfd2fb528, rle: 1, dictionary: [0, 1, 2, 4], size: [0, 2, 4, 8] } as const;
/** The kernel's ZSTD_WINDOWSIZE_MAX: it allocates the window. */
const MOST_WINDOW = 128 * 1024 * 1024;

/** One frame. */
export function* zstdFrame(input: Input): Generator<Buffer> {
  const head = peek(input, 6, 'zstd');
  if (head.readUInt32LE() !== ZSTD.magic) throw new BadMember('no frame of zstd');
  const [descriptor = 0, window = 0] = head.subarray(4);
  const single = (descriptor & 0x20) !== 0;
  const sizeBytes = ZSTD.size[descriptor >> 6] ?? 0;
  const header =
    5 +
    (single ? 0 : 1) +
    (ZSTD.dictionary[descriptor & 3] ?? 0) +
    (single ? Math.max(1, sizeBytes) : sizeBytes);
  if (windowBytes(peek(input, header, 'zstd'), { single, window }) > MOST_WINDOW)
    throw new BadMember('zstd with a window over 128 MiB', { damaged: false });
  yield* take(input, header, 'zstd');
  for (let last = false; !last;) {
    const word = peek(input, 3, 'zstd').readUIntLE(0, 3);
    last = (word & 1) !== 0;
    yield* take(input, 3 + (((word >> 1) & 3) === ZSTD.rle ? 1 : word >> 3), 'zstd');
  }
  if ((descriptor & 4) !== 0) yield* take(input, 4, 'zstd');
}

/** Of a single segment it is the size of its content. */
function windowBytes(
  header: Buffer,
  { single, window }: { readonly single: boolean; readonly window: number },
): number {
  if (!single) return 2 ** (10 + (window >> 3)) * (1 + (window & 7) / 8);
  const size = header.subarray(5 + (ZSTD.dictionary[(header[4] ?? 0) & 3] ?? 0));
  if (size.length < 8) return size.readUIntLE(0, size.length) + (size.length === 2 ? 256 : 0);
  return Number(size.readBigUInt64LE());
}

const XZ = { magic: 'fd377a585a00', header: 12, footer: 12, lzma2: 0x21 } as const;
/** Bytes of each kind of check; the kernel has none and CRC32. */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const KERNEL_CHECKS = [0, 1];
/** Of a number's bytes all but the last have this bit. */
const CONTINUES = 0x80;

/** One stream. */
export function* xzStream(input: Input): Generator<Buffer> {
  const head = peek(input, XZ.header, 'xz');
  if (head.toString('hex', 0, 6) !== XZ.magic) throw new BadMember('no stream of xz');
  const check = (head[7] ?? 0) & 15;
  if (!KERNEL_CHECKS.includes(check))
    throw new BadMember('xz with a check that the kernel does not have (take xz --check=crc32)', {
      damaged: false,
    });
  yield* take(input, XZ.header, 'xz');
  let blocks = 0;
  for (let first = byteAt(input); first !== 0; first = byteAt(input)) {
    yield* xzBlock(input, first, CHECK_BYTES[check] ?? 0);
    blocks++;
  }
  // The index: how many blocks there were, and two numbers of each.
  const start = input.at;
  yield* take(input, 1, 'xz');
  for (let numbers = 1 + 2 * blocks; numbers > 0; numbers--) {
    while (byteAt(input) >= CONTINUES) yield* take(input, 1, 'xz');
    yield* take(input, 1, 'xz');
  }
  yield* take(input, (-(input.at - start) & 3) + 4 + XZ.footer, 'xz');
}

const byteAt = (input: Input): number => peek(input, 1, 'xz')[0] ?? 0;

function* xzBlock(input: Input, first: number, checkBytes: number): Generator<Buffer> {
  yield* take(input, (first + 1) * 4, 'xz');
  const start = input.at;
  // LZMA2 is always the last filter, so its chunks are what is stored.
  for (;;) {
    const control = byteAt(input);
    if (control === 0) break;
    if (control >= 0x80) {
      const size = peek(input, 5, 'xz').readUInt16BE(3) + 1;
      yield* take(input, 5 + (control >= 0xc0 ? 1 : 0) + size, 'xz');
    } else if (control <= 2) {
      const size = peek(input, 3, 'xz').readUInt16BE(1) + 1;
      yield* take(input, 3 + size, 'xz');
    } else throw new BadMember('xz is damaged');
  }
  yield* take(input, 1, 'xz');
  yield* take(input, (-(input.at - start) & 3) + checkBytes, 'xz');
}

const LZ4_MAGIC = 0x184c2102;
/** LZ4_COMPRESSBOUND of the legacy format's blocks of 8 MiB. */
const MOST_LZ4 = 8 * 1024 * 1024 + (8 * 1024 * 1024) / 255 + 16;

/**
 * All legacy frames that follow each other: to the kernel they are one stream, which ends with the
 * image or with a size of 0.
 */
export function* lz4Frames(input: Input): Generator<Buffer> {
  if (peek(input, 4, 'lz4').readUInt32LE() !== LZ4_MAGIC)
    throw new BadMember('not the legacy format of lz4 (take lz4 -l)', { damaged: false });
  yield* take(input, 4, 'lz4');
  for (;;) {
    const window = input.window(4);
    if (window.length < 4) break;
    const size = window.readUInt32LE();
    if (size === 0) break;
    if (size !== LZ4_MAGIC && size > MOST_LZ4)
      throw new BadMember('lz4 is followed by something else, or damaged', { damaged: false });
    yield* take(input, size === LZ4_MAGIC ? 4 : 4 + size, 'lz4');
  }
}

/** The 48 bits that end a stream, at any bit: 32 of checksum follow, and what is left of their byte. */
const BZIP2_END = [0x1772, 0x45385090] as const;
const BZIP2_CHECKSUM = 32;

/** One stream. That its blocks hold these bits by chance is one in 2^48 for each of their bits. */
export function* bzip2Stream(input: Input): Generator<Buffer> {
  let [high, low] = [0, 0];
  for (;;) {
    const window = input.window().subarray(0, PIECE);
    if (window.length === 0) throw new BadMember('bzip2 is cut off');
    for (const [at, byte] of window.entries())
      for (let left = 7; left >= 0; left--) {
        high = ((high << 1) | (low >>> 31)) & 0xffff;
        low = (low << 1) | ((byte >> left) & 1);
        if (low !== BZIP2_END[1] || high !== BZIP2_END[0]) continue;
        yield* take(input, at + 1 + Math.ceil((BZIP2_CHECKSUM - left) / 8), 'bzip2');
        return;
      }
    yield* take(input, window.length, 'bzip2');
  }
}

const GZIP_NAME = 8;
/** Flags that the kernel passes over without effect: text. */
const GZIP_KNOWN = GZIP_NAME | 1;
const GZIP_HEADER = 10;
const MOST_GZIP_NAME = 64 * 1024;

/** Passes over a header of gzip, as the kernel reads it. */
export function passGzipHeader(input: Input): void {
  const head = peek(input, GZIP_HEADER, 'gzip');
  if (head[0] !== 0x1f || head[1] !== 0x8b || head[2] !== 8) throw new BadMember('no gzip');
  const flags = head[3] ?? 0;
  if ((flags & ~GZIP_KNOWN) !== 0)
    throw new BadMember('gzip with extra header fields (take gzip -n)', { damaged: false });
  input.consume(GZIP_HEADER);
  if ((flags & GZIP_NAME) === 0) return;
  const end = input.window(MOST_GZIP_NAME).indexOf(0);
  if (end < 0) throw new BadMember('gzip with a name without an end');
  input.consume(end + 1);
}
