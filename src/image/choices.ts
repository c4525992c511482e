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
}
