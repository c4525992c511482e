/**
 * Compresses one frame, whole or as it comes. Owns the parameters, which decide the bytes: they are
 * all pinned here. Must not know archives.
 *
 * What the kernel's unpackers refuse is avoided here: names, times and extra fields of gzip, CRC64
 * of xz, frames of lz4 that are not the legacy ones, windows of zstd over 8 MiB.
 */
import { pipeline } from 'node:stream';
import { promisify } from 'node:util';
import { constants, createGzip, createZstdCompress, gzip, zstdCompress } from 'node:zlib';
import type { Compression } from '../choices.ts';
import { checkCompression } from './methods.ts';
import { programCompressor } from './program.ts';

export interface Compressor {
  /** Method, level and the version of what does it: the same key and input give the same bytes. */
  readonly key: string;
  /** Whether compressing takes so little that hashing the same bytes takes a good part of that. */
  readonly isQuick: boolean;
  whole(bytes: Buffer): Promise<Buffer>;
  /** `length` bytes that come in pieces; the pieces' sizes must be the same each time. */
  stream(pieces: AsyncIterable<Buffer>, length: number): AsyncIterable<Buffer>;
}

const CHUNK = 1 << 20;
/** 250 MB/s, an eighth of what SHA-256 does; level 6 is at a third of that. */
const QUICK_ZSTD = 3;

/** Throws `bad-level`, or `program-missing` for what the machine does not have. */
export async function openCompressor(compression: Compression): Promise<Compressor> {
  checkCompression(compression);
  const { method, level } = compression;
  switch (method) {
    case 'gzip':
      return gzipCompressor(level);
    case 'zstd':
      return zstdCompressor(level);
    case 'xz':
      return programCompressor({
        program: 'xz',
        args: ['--format=xz', '--check=crc32', '--threads=1', `-${level}`, '--stdout'],
        package: 'xz-utils',
      });
    case 'lz4':
      return programCompressor({
        program: 'lz4',
        args: ['-l', `-${level}`, '-q', '-c'],
        package: 'lz4',
      });
  }
}

function gzipCompressor(level: number): Compressor {
  const options = {
    level,
    windowBits: 15,
    memLevel: 8,
    strategy: constants.Z_DEFAULT_STRATEGY,
    chunkSize: CHUNK,
  };
  const whole = promisify<Buffer, typeof options, Buffer>(gzip);
  return {
    key: `gzip -${level} zlib ${process.versions.zlib}`,
    isQuick: false,
    whole: (bytes) => whole(bytes, options),
    stream: (pieces) => through(pieces, createGzip(options)),
  };
}

function zstdCompressor(level: number): Compressor {
  const options = (pledgedSrcSize: number) => ({
    params: {
      [constants.ZSTD_c_compressionLevel]: level,
      [constants.ZSTD_c_checksumFlag]: 1,
      [constants.ZSTD_c_contentSizeFlag]: 1,
      [constants.ZSTD_c_nbWorkers]: 0,
      [constants.ZSTD_c_enableLongDistanceMatching]: 0,
    },
    pledgedSrcSize,
    chunkSize: CHUNK,
  });
  const whole = promisify<Buffer, ReturnType<typeof options>, Buffer>(zstdCompress);
  return {
    key: `zstd -${level} libzstd ${process.versions['zstd'] ?? ''}`,
    isQuick: level <= QUICK_ZSTD,
    whole: (bytes) => whole(bytes, options(bytes.length)),
    stream: (pieces, length) => through(pieces, createZstdCompress(options(length))),
  };
}

function through(
  pieces: AsyncIterable<Buffer>,
  transform: NodeJS.ReadWriteStream & AsyncIterable<Buffer | string>,
): AsyncIterable<Buffer> {
  // A failure of the source ends the transform with it, and so comes out where it is read.
  pipeline(pieces, transform, () => undefined);
  return transform as AsyncIterable<Buffer>;
}
