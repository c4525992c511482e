/**
 * Builds whatever the lab's machines are made of and is not in the cache yet, and starts nothing.
 * Arguments: suites of kernels. Default: the lab's usual one.
 */
import { ensureArtifacts } from './artifacts.ts';
import { SUITE } from './debian.ts';
import { labKernel } from './kernels.ts';

const asked = process.argv.slice(2);
for (const text of asked.length > 0 ? asked : [SUITE]) {
  await ensureArtifacts(labKernel(text), (line) => process.stdout.write(`${line}\n`));
}
