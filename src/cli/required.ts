/**
 * An option that a command cannot do without. Asked for here and not with commander's own
 * requiredOption(), which would complain of the missing `--root` when `--rot` was written.
 */
import { TraceError } from '../common/errors.ts';

/** For a command line that is not right, whichever program it is of. */
export const HELP_HINT = '--help after the command tells what it takes';

/** @throws TraceError `usage-missing-option` */
export function required<T>(value: T | undefined, option: string): T {
  if (value !== undefined) return value;
  throw new TraceError({
    code: 'usage-missing-option',
    message: `the option ${option} is missing`,
    hint: HELP_HINT,
    exit: 'usage',
  });
}
