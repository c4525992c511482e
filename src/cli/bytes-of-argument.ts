/**
 * An argument as the bytes that were given: Node decodes its arguments, and what is not UTF-8 is lost
 * in that. Owns where the bytes still are.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { isAbsolute, resolve } from 'node:path';
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

/** Of one that is a path: absolute, as it is written. Links stay. */
export function pathOfArgument(argument: string): Buffer {
  const path = bytesOfArgument(argument).toString('latin1');
  return Buffer.from(isAbsolute(path) ? resolve(path) : resolve(workingFolder(), path), 'latin1');
}

/** As latin1, which a path's parts are the same in. */
function workingFolder(): string {
  const folder = process.cwd();
  return folder.includes(LOST)
    ? readlinkSync('/proc/self/cwd', 'latin1')
    : Buffer.from(folder).toString('latin1');
}
