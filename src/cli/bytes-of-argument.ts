/**
 * An argument as the bytes that were given: Node decodes its arguments, and what is not UTF-8 is lost
 * in that. Owns where the bytes still are.
 */
import { readFileSync } from 'node:fs';
import { TraceError } from '../common/errors.ts';

const LOST = '\ufffd';

/** Throws `usage-bad-value` if two arguments differ in nothing else than what is lost. */
export function bytesOfArgument(argument: string): Buffer {
  const decoded = Buffer.from(argument);
  if (!argument.includes(LOST)) return decoded;
  const given = readFileSync('/proc/self/cmdline', 'latin1').split('\0');
  const bytes = given.map((one) => Buffer.from(one, 'latin1'));
  const [found = decoded, ...others] = bytes.filter((one) => one.toString() === argument);
  if (others.some((other) => !other.equals(found)))
    throw new TraceError({
      code: 'usage-bad-value',
      message: `two arguments are ${argument} but for bytes that are not UTF-8`,
      hint: 'rename one of them, or call it by a link',
      exit: 'usage',
    });
  return found;
}
