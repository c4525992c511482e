/**
 * The benchmarks of the image builder, each in turn or those that are named; scripts/bench-image
 * prepares what they need. Prints Markdown, or puts it into docs/performance.md.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { scriptArguments } from '../../test/support/script-arguments.ts';
import { writePart } from './figures.ts';
import { benchClosure } from './image-closure.ts';
import { benchCompressed } from './image-compressed.ts';
import { benchListed } from './image-list.ts';
import { benchUnchanged } from './image-unchanged.ts';
import { benchShared, benchWritten } from './image-written.ts';

const { values, positionals } = scriptArguments({
  options: {
    runs: { type: 'string', default: '5' },
    dir: { type: 'string', default: '/var/tmp' },
    write: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const runs = Number(values.runs);
const benches: Readonly<Record<string, (work: string, runs: number) => Promise<string>>> = {
  written: benchWritten,
  shared: benchShared,
  unchanged: benchUnchanged,
  compressed: benchCompressed,
  closure: benchClosure,
  listed: benchListed,
};
const unknown = positionals.filter((name) => !(name in benches));
if (unknown.length > 0) {
  process.stderr.write(
    `error: no benchmark ${unknown.join(', ')}\nhint: ${Object.keys(benches).join(', ')}\n`,
  );
  process.exit(64);
}
for (const [name, bench] of Object.entries(benches)) {
  if (positionals.length > 0 && !positionals.includes(name)) continue;
  const work = mkdtempSync(join(values.dir, 'nfsroot-trace-bench-'));
  try {
    const text = await bench(work, runs);
    process.stdout.write(`${text}\n`);
    if (values.write) writePart(`image-${name}`, text);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
