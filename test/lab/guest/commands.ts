/**
 * Runs in the lab's server: several commands of `trace`, one after the other, in one process, since
 * to start one costs seconds in emulation. The argument is the JSON of their words. After each, both
 * outputs get a NUL, and standard output another one after the command's status.
 */
import { writeSync } from 'node:fs';
import { join } from 'node:path';

const MAIN = join(import.meta.dirname, '../../../dist/cli/main.js');
const [, , given = '[]'] = process.argv;

const { main } = (await import(MAIN)) as {
  readonly main: (program: string, words: readonly string[]) => Promise<void>;
};

for (const words of JSON.parse(given) as string[][]) {
  process.exitCode = 0;
  await main('trace', words);
  writeSync(1, `\0${process.exitCode}\0`);
  writeSync(2, '\0');
}
process.exitCode = 0;
