/**
 * Runs in the lab's server: several commands of `trace`, one after the other, in one process, since
 * to start one costs seconds in emulation. The argument is the JSON of their words. After each, both
 * outputs get a NUL, and standard output another one after the command's status.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, '../../../dist/cli/main.js');
const [program = '', script = '', given = '[]'] = process.argv;

for (const [index, words] of (JSON.parse(given) as string[][]).entries()) {
  process.argv = [program, script, ...words];
  process.exitCode = 0;
  // The words after the question mark make it a module of its own, which runs.
  await import(`${MAIN}?${index}`);
  writeSync(1, `\0${process.exitCode}\0`);
  writeSync(2, '\0');
}
process.exitCode = 0;
