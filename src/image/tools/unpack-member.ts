/**
 * The bytes of a compressed member of an image as they were before. Owns with what each kind is
 * unpacked, and that the input stands behind the member afterwards. Must not know archives.
 */
import { pipeline } from 'node:stream';
import { crc32, createInflateRaw, createZstdDecompress } from 'node:zlib';
import { TraceError } from '../../common/errors.ts';
import { runProgram } from '../compress/program.ts';
import { BadMember, type Compression } from './compression.ts';
import { bzip2Stream, lz4Frames, passGzipHeader, takeRest, xzStream, zstdFrame } from './frames.ts';
import type { Input } from './input.ts';

const CHUNK = 256 * 1024;
/** Of a damaged piece nothing comes out, so that pieces must not depend on how the input comes. */
const PIECE = 16 * 1024;
/** CRC-32 and length, at which the kernel does not look. */
const GZIP_TRAILER = 8;

interface Unpacker {
  readonly program: string;
  readonly args: readonly string[];
  readonly package: string;
}

const XZ: Unpacker = { program: 'xz', args: ['-d', '-c', '--single-stream'], package: 'xz-utils' };
const BZIP2: Unpacker = { program: 'bzip2', args: ['-d', '-c'], package: 'bzip2' };
const LZ4: Unpacker = { program: 'lz4', args: ['-d', '-c', '-q'], package: 'lz4' };
/** Of these only their own unpacker knows where one ends: what follows it is taken for a part of it. */
const TO_THE_END = {
  lzma: { program: 'xz', args: ['-d', '-c', '--format=lzma'], package: 'xz-utils' },
  lzo: { program: 'lzop', args: ['-d', '-c'], package: 'lzop' },
} as const satisfies Readonly<Record<string, Unpacker>>;

/**
 * @param options.strict gzip's checksum, too, must be right
 * Throws {@link BadMember}, and `program-missing` for what this machine cannot unpack.
 */
export function unpackMember(
  input: Input,
  compression: Compression,
  { strict }: { readonly strict: boolean },
): AsyncGenerator<Buffer> {
  switch (compression) {
    case 'gzip':
      return inflated(input, strict);
    case 'zstd':
      return unzstd(zstdFrame(input));
    case 'xz':
      return byProgram(XZ, xzStream(input));
    case 'bzip2':
      return byProgram(BZIP2, bzip2Stream(input));
    case 'lz4':
      return byProgram(LZ4, lz4Frames(input));
    default:
      return byProgram(TO_THE_END[compression], takeRest(input));
  }
}

async function* unzstd(pieces: Iterable<Buffer>): AsyncGenerator<Buffer> {
  const unpacked = createZstdDecompress({ chunkSize: CHUNK });
  // A failure of the source ends the stream with it, and so comes out where it is read.
  pipeline(pieces, unpacked, () => undefined);
  try {
    yield* unpacked as AsyncIterable<Buffer>;
  } catch (cause) {
    throw bad('zstd', cause);
  }
}

async function* byProgram(unpacker: Unpacker, pieces: Iterable<Buffer>): AsyncGenerator<Buffer> {
  // What is wrong with the bytes says more than what the program makes of their end.
  let wrong: unknown = null;
  function* watched(): Generator<Buffer> {
    try {
      yield* pieces;
    } catch (error) {
      wrong = error;
      throw error;
    }
  }
  try {
    yield* runProgram(unpacker, watched());
  } catch (cause) {
    if (cause instanceof TraceError && cause.code === 'program-missing')
      throw new TraceError({
        code: cause.code,
        message: `${cause.message}, and a part of the image is compressed by it`,
        hint: `install the package ${unpacker.package}`,
        exit: cause.exit,
        cause,
      });
    throw bad(unpacker.program, wrong ?? cause);
  }
}

/** Only the engine knows where the bytes end: it tells how many it took of what it was given. */
async function* inflated(input: Input, strict: boolean): AsyncGenerator<Buffer> {
  passGzipHeader(input);
  const inflate = createInflateRaw({ chunkSize: CHUNK });
  let known = 0;
  const give = (): void => {
    const window = input.window(PIECE).subarray(0, PIECE);
    if (window.length === 0) {
      inflate.end();
      return;
    }
    inflate.write(window, (error) => {
      if (error) return;
      input.consume(inflate.bytesWritten - known);
      known = inflate.bytesWritten;
      if (!inflate.readableEnded && !inflate.destroyed) give();
    });
  };
  give();
  let sum = 0;
  try {
    for await (const chunk of inflate as AsyncIterable<Buffer>) {
      if (strict) sum = crc32(chunk, sum);
      yield chunk;
    }
  } catch (cause) {
    throw bad('gzip', cause);
  }
  input.consume(inflate.bytesWritten - known);
  if (strict) {
    const trailer = input.window(GZIP_TRAILER);
    if (trailer.length < GZIP_TRAILER) throw new BadMember('gzip is cut off');
    if (trailer.readUInt32LE() !== sum)
      throw new BadMember("gzip is damaged: its checksum is not its content's");
  }
  input.skip(GZIP_TRAILER);
}

function bad(what: string, cause: unknown): BadMember {
  if (cause instanceof BadMember) return cause;
  const said = cause instanceof Error ? cause.message : String(cause);
  return new BadMember(`${what} is damaged or cut off: ${said}`);
}
