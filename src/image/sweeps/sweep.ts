/** What a sweep is, as it is told. Owns the shape only. */
import type { Span } from './burst.ts';
import type { Touch } from './touch.ts';

/**
 * Why what a sweep read may be wanted all the same. `unseen`: the client may have used it later
 * without asking the server. `busy`: something else went on at the same time.
 */
export type Doubt = 'unseen' | 'busy';

export interface Sweep extends Span {
  /** The directory that it went through, as a byte string. */
  readonly top: string;
  /** What it touched and nothing else did. */
  readonly swept: readonly Touch[];
  /** What it read, as far as nobody else is known to have used it, if that is in doubt. */
  readonly kept: readonly Touch[];
  /** Null if nothing is. */
  readonly doubt: Doubt | null;
}
