/**
 * An option that a command cannot do without. Asked for here and not with commander's own
 * requiredOption(), which would complain of the missing `--root` when `--rot` was written.
 */
import { TraceError } from '../common/errors.ts';

/** @throws TraceError `usage-missing-option` */
export function required<T>(value: T | undefined, option: string): T {
  if (value !== undefined) return value;
  throw new TraceError({
    code: 'usage-missing-option',
    message: `the option ${option} is missing`,
    hint: 'see `trace --help`, or --help after the command',
    exit: 'usage',
  });
}
