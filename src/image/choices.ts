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
  /** The first that matches a path decides it. */
  readonly rules?: readonly ImageRule[] | undefined;
  /** All directories and all links of the root, too. */
  readonly skeleton?: boolean | undefined;
  /** Anything that would be a warning about the image's content refuses it. */
  readonly strict?: boolean | undefined;
  /** What is not as it was recorded: refuse, take it as it is now (the default), leave it out. */
  readonly onDrift?: DriftPolicy | undefined;
  /** Texts of marks: only what was used between them. Whoever evaluates sessions minds these. */
  readonly since?: string | undefined;
  readonly until?: string | undefined;
}

export const DRIFT_POLICIES = ['fail', 'warn', 'skip'] as const;
export type DriftPolicy = (typeof DRIFT_POLICIES)[number];

export interface ImageRule {
  /** Adds what it matches; else takes it out. */
  readonly include: boolean;
  /** A byte string: one character (1-255) for each byte. */
  readonly glob: string;
}
