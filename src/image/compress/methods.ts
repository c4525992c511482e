/**
 * The ways to compress an archive that Linux unpacks. Owns their names, levels and endings.
 */
import { TraceError } from '../../common/errors.ts';
import { type Compression, COMPRESSION_METHODS, type CompressionMethod } from '../choices.ts';

interface Method {
  readonly suffix: string;
  readonly levels: readonly [number, number];
  readonly usual: number;
  /** What the kernel must have been configured with. */
  readonly config: string;
}

/**
 * zstd ends at 19: from 20 on its window goes beyond 8 MiB, which the kernel has to allocate when
 * it boots. 3, 6 and 6 are the usual levels of these programs; lz4 is at 9 because unpacking, the
 * reason to choose it, is as fast at any level.
 */
export const METHODS: Readonly<Record<CompressionMethod, Method>> = {
  gzip: { suffix: '.gz', levels: [1, 9], usual: 6, config: 'CONFIG_RD_GZIP' },
  zstd: { suffix: '.zst', levels: [1, 19], usual: 3, config: 'CONFIG_RD_ZSTD' },
  xz: { suffix: '.xz', levels: [0, 9], usual: 6, config: 'CONFIG_RD_XZ' },
  lz4: { suffix: '.lz4', levels: [1, 12], usual: 9, config: 'CONFIG_RD_LZ4' },
};

/** Of what the kernel unpacks, too, and nothing here makes. */
const OTHER_SUFFIXES = ['.bz2', '.lzma', '.lzo'];

/**
 * What a file's name asks for; undefined for no compression. Throws `usage-bad-value` for one that
 * is not made: a plain archive of such a name would be taken for compressed.
 */
export function compressionOfName(name: string): Compression | undefined {
  const other = OTHER_SUFFIXES.find((suffix) => name.endsWith(suffix));
  if (other !== undefined) {
    const suffixes = COMPRESSION_METHODS.map((one) => METHODS[one].suffix);
    throw new TraceError({
      code: 'usage-bad-value',
      message: `no image is compressed as ${other} says`,
      hint: `take ${suffixes.join(', ')}, or say what it is to be with --compress`,
      exit: 'usage',
    });
  }
  const method = COMPRESSION_METHODS.find((one) => name.endsWith(METHODS[one].suffix));
  return method === undefined ? undefined : { method, level: METHODS[method].usual };
}

/** Throws `bad-level` for a level that the method does not have. */
export function checkCompression({ method, level }: Compression): void {
  const [least, most] = METHODS[method].levels;
  if (Number.isInteger(level) && level >= least && level <= most) return;
  throw new TraceError({
    code: 'bad-level',
    message: `${method} has no level ${level}`,
    hint: `give a level from ${least} to ${most}, or none`,
    exit: 'usage',
  });
}
