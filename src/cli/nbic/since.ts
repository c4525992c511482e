/** The moment from which on accesses count: a file's modification time, or a time. */
import { statSync } from 'node:fs';
import { TraceError } from '../../common/errors.ts';
import { momentOf } from '../moment.ts';

/** What RFC 3339 times begin with; a file of such a name can be given with ./ before it. */
const TIME = /^\d{4}-\d\d-\d\d[Tt ]/;

/**
 * Wall-clock microseconds, a file's rounded down.
 * @throws TraceError `bad-time`, `timestamp-missing`
 */
export function sinceArgument(text: string): number {
  if (TIME.test(text)) return momentOf(text);
  try {
    return Number(statSync(text, { bigint: true }).mtimeNs / 1000n);
  } catch (cause) {
    throw new TraceError({
      code: 'timestamp-missing',
      message: `cannot look at ${text}: ${(cause as NodeJS.ErrnoException).code ?? String(cause)}`,
      hint: '-t takes a file, made by touch before the boot, or a time like 2026-01-31T12:00:00Z',
      exit: 'notFound',
      cause,
    });
  }
}
