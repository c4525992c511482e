/**
 * The benchmarks of the recorder, each in turn or those that are named; scripts/bench-recorder
 * prepares what they need. Prints Markdown, or puts it into docs/performance.md.
 */
import process from 'node:process';
import { scriptArguments } from '../../test/support/script-arguments.ts';
import { makeDisk } from './disk.ts';
import { writePart } from './figures.ts';
import { benchFanotify } from './recorder-fanotify.ts';
import { benchNfs } from './recorder-nfs.ts';
import { benchIdle, benchStart } from './recorder-start.ts';
import { benchStore } from './recorder-store.ts';

const { values, positionals } = scriptArguments({
  options: {
    runs: { type: 'string', default: '5' },
    write: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
const runs = Number(values.runs);
const IDLE_SECONDS = 60;

const disk = makeDisk({ directories: 1000, files: 100, bytes: 4096 });
const benches: Readonly<Record<string, () => Promise<string>>> = {
  fanotify: () => benchFanotify(disk, runs),
  store: () => benchStore(disk, runs),
  start: () => benchStart(disk, runs),
  idle: () => benchIdle(disk, IDLE_SECONDS),
  nfs: () => benchNfs(runs),
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
  const text = await bench();
  process.stdout.write(`${text}\n`);
  if (values.write) writePart(name, text);
}
