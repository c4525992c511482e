/** Unpacks a compressed part, to look at what is in it. Owns with what. Must not know archives. */
import { pipeline } from 'node:stream';
import { createZstdDecompress } from 'node:zlib';
import type { CompressionMethod } from '../choices.ts';
import { programCompressor } from '../compress/program.ts';

/** Programs, as Node's gunzip passes over what is no gzip at the end, at which the kernel stops. */
const PACKAGES = { gzip: 'gzip', xz: 'xz-utils', lz4: 'lz4' } as const;

/** Throws `program-missing`, `program-failed`, or what zlib throws. */
export async function* unpack(
  pieces: AsyncIterable<Buffer>,
  method: CompressionMethod,
): AsyncGenerator<Buffer> {
  if (method === 'zstd') {
    const unpacked = createZstdDecompress();
    // A failure of the source ends the stream with it, and so comes out where it is read.
    pipeline(pieces, unpacked, () => undefined);
    yield* unpacked as AsyncIterable<Buffer>;
    return;
  }
  const args = ['-d', '-c'];
  const program = await programCompressor({ program: method, args, package: PACKAGES[method] });
  yield* program.stream(pieces, 0);
}
