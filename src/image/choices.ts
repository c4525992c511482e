/**
 * What a person may choose about an image. Plain data: the same from the command line and through
 * the daemon, so that both build the same bytes. Owns the shape only.
 */
import type { RuleName } from './needs/rule.ts';

/** What the kernel runs: the root's own /init, or one of the generated ones (docs/image.md). */
export const INIT_KINDS = ['own', 'exec', 'rambox', 'preboot'] as const;
export type InitKind = (typeof INIT_KINDS)[number];

export interface ImageChoices {
  /** Bits of src/common/words.ts: operations that select a file; all by default. */
  readonly operations?: number | undefined;
  /** Rules of needs/ that add nothing; none by default. */
  readonly without?: readonly RuleName[] | undefined;
  /** The root's own if it has a usable one, else `exec`, by default. */
  readonly init?: InitKind | undefined;
  /** The first that matches a path decides it. */
  readonly rules?: readonly ImageRule[] | undefined;
  /** All directories and all links of the root, too. */
  readonly skeleton?: boolean | undefined;
  /** What only a sweep touched, too. */
  readonly keepSweeps?: boolean | undefined;
  /** Anything that would be a warning about the image's content refuses it. */
  readonly strict?: boolean | undefined;
  /** What is not as it was recorded: refuse, take it as it is now (the default), leave it out. */
  readonly onDrift?: DriftPolicy | undefined;
  /** Texts of marks: only what was used between them. Whoever evaluates sessions minds these. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  /** Data of large files begins at multiples of a file system's block; of plain archives only. */
  readonly align?: boolean | undefined;
  /** What is written of the plan; newc by default. */
  readonly format?: ImageFormat | undefined;
  /** Of archives only; none by default. */
  readonly compress?: Compression | undefined;
  /** Other owners and groups than the root's. */
  readonly owners?: readonly IdChange[] | undefined;
  readonly groups?: readonly IdChange[] | undefined;
  /** Everything belongs to root:root. */
  readonly allRoot?: boolean | undefined;
  /** The root's processor microcode in a part of its own before the archive. */
  readonly earlyMicrocode?: boolean | undefined;
}

export const DRIFT_POLICIES = ['fail', 'warn', 'skip'] as const;
export type DriftPolicy = (typeof DRIFT_POLICIES)[number];

export interface ImageRule {
  /** Adds what it matches; else takes it out. */
  readonly include: boolean;
  /** A byte string: one character (1-255) for each byte. */
  readonly glob: string;
}

export const IMAGE_FORMATS = [
  'newc',
  'newc-crc',
  'list',
  'list0',
  'gen-init-cpio',
  'manifest',
  'cyclonedx',
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
