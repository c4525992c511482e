/**
 * What a person may choose about an image. Plain data: the same from the command line and through
 * the daemon, so that both build the same bytes. Owns the shape only.
 */
import type { RuleName } from './needs/rule.ts';

export interface ImageChoices {
  /** Bits of src/common/words.ts: operations that select a file; all by default. */
  readonly operations?: number | undefined;
  /** Rules of needs/ that add nothing; none by default. */
  readonly without?: readonly RuleName[] | undefined;
  /** What is written of the plan; newc by default. */
  readonly format?: ImageFormat | undefined;
  /** Of archives only; none by default. */
  readonly compress?: Compression | undefined;
  /** Other owners and groups than the root's. */
  readonly owners?: readonly IdChange[] | undefined;
  readonly groups?: readonly IdChange[] | undefined;
  /** Everything belongs to root:root. */
  readonly allRoot?: boolean | undefined;
}

export const IMAGE_FORMATS = [
  'newc',
  'newc-crc',
  'list',
  'list0',
  'gen-init-cpio',
  'manifest',
] as const;
export type ImageFormat = (typeof IMAGE_FORMATS)[number];

export const COMPRESSION_METHODS = ['gzip', 'zstd', 'xz', 'lz4'] as const;
export type CompressionMethod = (typeof COMPRESSION_METHODS)[number];

export interface Compression {
  readonly method: CompressionMethod;
  readonly level: number;
}

export interface IdChange {
  readonly from: number;
  readonly to: number;
}
