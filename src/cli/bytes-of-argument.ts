/**
 * An argument as the bytes that were given: Node decodes its arguments, and what is not UTF-8 is lost
 * in that. Owns where the bytes still are.
 */
import { readFileSync } from 'node:fs';

const LOST = '\ufffd';

export function bytesOfArgument(argument: string): Buffer {
  const decoded = Buffer.from(argument);
  if (!argument.includes(LOST)) return decoded;
  const given = readFileSync('/proc/self/cmdline', 'latin1').split('\0');
  const bytes = given.map((one) => Buffer.from(one, 'latin1'));
  return bytes.find((one) => one.toString() === argument) ?? decoded;
}
