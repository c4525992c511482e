/** A moment as a person gives it: RFC 3339. */
import { TraceError } from '../common/errors.ts';

/**
 * Wall-clock microseconds.
 * @throws TraceError `bad-time`
 */
export function momentOf(text: string): number {
  const ms = Date.parse(text);
  if (Number.isFinite(ms)) return ms * 1000;
  throw new TraceError({
    code: 'bad-time',
    message: `'${text}' is not a time`,
    hint: 'write it like 2026-01-31T12:00:00Z',
    exit: 'usage',
  });
}
