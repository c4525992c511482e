/**
 * Whether a stream is plain frames of zstd, whole, and nothing else: the kernel stops at skippable
 * ones, and Node passes over whatever follows the last. Owns the format's frames (RFC 8878, 3.1.1).
 * Must not decompress.
 */
import { Pieces } from './pieces.ts';

const MAGIC = 0xfd2fb528;
const RLE = 1;
const DICTIONARY_BYTES = [0, 1, 2, 4];
const SIZE_BYTES = [0, 2, 4, 8];

/** Throws an Error that says what is wrong, and where. */
export async function checkZstdFrames(pieces: AsyncIterable<Buffer>): Promise<void> {
  const stream = new Pieces(pieces);
  try {
    while ((await stream.peek(1)).length > 0) await passFrame(stream);
  } finally {
    await stream.close();
  }
}

async function passFrame(stream: Pieces): Promise<void> {
  const start = stream.at;
  const head = await stream.peek(5);
  if (head.length < 5 || head.readUInt32LE() !== MAGIC)
    throw new Error(`no plain frame of zstd at byte ${start}`);
  const descriptor = head[4] ?? 0;
  const single = (descriptor & 0x20) !== 0;
  const sizeBytes = SIZE_BYTES[descriptor >> 6] ?? 0;
  const header =
    5 +
    (single ? 0 : 1) +
    (DICTIONARY_BYTES[descriptor & 3] ?? 0) +
    (single ? Math.max(1, sizeBytes) : sizeBytes);
  const pass = async (length: number): Promise<void> => {
    if (!(await stream.skip(length))) throw new Error(`frame of zstd cut off at byte ${stream.at}`);
  };
  await pass(header);
  for (let last = false; !last;) {
    const block = await stream.peek(3);
    if (block.length < 3) throw new Error(`frame of zstd cut off at byte ${stream.at}`);
    const word = block.readUIntLE(0, 3);
    last = (word & 1) !== 0;
    await pass(3 + (((word >> 1) & 3) === RLE ? 1 : word >> 3));
  }
  if ((descriptor & 4) !== 0) await pass(4);
}
