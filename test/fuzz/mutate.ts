/**
 * Bytes made a little wrong, as any format may be: bits, numbers, pieces that are gone, come twice or
 * stand elsewhere, an end that comes too soon. Owns the kinds of change. Must not know formats.
 */
import type { Random } from './random.ts';

/** What lengths, counts and offsets are when somebody means harm. */
export const ODD_NUMBERS = [
  0, 1, 2, 3, 4, 7, 8, 15, 16, 127, 128, 255, 256, 1023, 4095, 4096, 4097, 0x7fff, 0xffff, 0x10000,
  0xfffff, 0x7fffffff, 0x80000000, 0xfffffff0, 0xfffffffe, 0xffffffff,
] as const;

const MOST_BYTES = 256 * 1024;

/** `words`: what may stand in such a file, and somewhere where it should not. */
export function mutate(random: Random, bytes: Buffer, words: readonly string[] = []): Buffer {
  let made = Buffer.from(bytes);
  for (let times = 1 + random.few(6); times > 0; times--) made = change(random, made, words);
  return made.length > MOST_BYTES ? made.subarray(0, MOST_BYTES) : made;
}

function change(random: Random, bytes: Buffer<ArrayBuffer>, words: readonly string[]) {
  const at = random.below(bytes.length + 1);
  const piece = bytes.subarray(at, at + 1 + random.few(random.pick([4, 64, 1024])));
  const behind = bytes.subarray(at + piece.length);
  const before = bytes.subarray(0, at);
  switch (random.below(words.length > 0 ? 11 : 10)) {
    case 0:
      return Buffer.concat([before, behind]);
    case 1:
      return Buffer.concat([before, piece, piece, behind]);
    case 2: {
      const other = random.below(bytes.length + 1);
      const rest = Buffer.concat([before, behind]);
      return Buffer.concat([rest.subarray(0, other), piece, rest.subarray(other)]);
    }
    case 3:
      return Buffer.concat([before, random.bytes(piece.length), behind]);
    case 4:
      return random.once(4) ? before : flip(random, bytes, at);
    case 5:
    case 6:
      return number(random, bytes, at);
    case 7:
      return Buffer.concat([
        before,
        Buffer.alloc(piece.length, random.pick([0, 0x0a, 0x20, 0xff])),
        behind,
      ]);
    case 8:
      return flip(random, bytes, at);
    case 9:
      // What takes a step for each two of its bytes takes long.
      if (!random.once(20)) return flip(random, bytes, at);
      return Buffer.concat([
        before,
        Buffer.alloc(
          random.pick([5_000, 60_000]),
          random.once(2) || piece.length === 0 ? ' ' : piece,
        ),
        behind,
      ]);
    default:
      return Buffer.concat([
        before,
        Buffer.from(random.pick(words), 'latin1'),
        random.once(2) ? behind : bytes.subarray(at),
      ]);
  }
}

function flip(random: Random, bytes: Buffer<ArrayBuffer>, at: number) {
  const byte = bytes[at];
  if (byte !== undefined) bytes[at] = byte ^ (1 << random.below(8));
  return bytes;
}

/** A number of 1, 2, 4 or 8 bytes, of either byte order, there. */
function number(random: Random, bytes: Buffer<ArrayBuffer>, at: number) {
  const length = random.pick([1, 2, 4, 8]);
  const start = random.once(2) ? at : at - (at % length);
  if (start + length > bytes.length) return bytes;
  const value = Buffer.alloc(8);
  value.writeUInt32LE(random.pick([...ODD_NUMBERS, bytes.length, bytes.length - at]));
  if (random.once(4)) value.writeUInt32LE(random.pick(ODD_NUMBERS), 4);
  const digits = value.subarray(0, length);
  (random.once(4) ? digits.reverse() : digits).copy(bytes, start);
  return bytes;
}
