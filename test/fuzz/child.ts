/**
 * Runs one fuzzer in a process of its own, since what is looked for may hang it or end it. Owns
 * which inputs there are and in which order. What is found is tally.ts's, watching supervise.ts's.
 *
 *     node child.ts TARGET [--from MODULE] --file INPUT
 *     node child.ts TARGET [--from MODULE] --seed S --first N --seconds T --turns N --current FILE
 *
 * The working folder is its own. Prints one line of JSON at the end. Status 1 if something is found.
 */
import { openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Random } from './random.ts';
import type { Target } from './target.ts';
import { type Found, type Said, Tally } from './tally.ts';

const { values, positionals } = parseArgs({
  options: {
    from: { type: 'string', default: join(import.meta.dirname, 'targets/all.ts') },
    file: { type: 'string' },
    seed: { type: 'string', default: '1' },
    first: { type: 'string', default: '0' },
    seconds: { type: 'string', default: '10' },
    turns: { type: 'string', default: 'Infinity' },
    current: { type: 'string' },
  },
  allowPositionals: true,
});

const { TARGETS } = (await import(values.from)) as { readonly TARGETS: readonly Target[] };
const target = TARGETS.find(({ name }) => name === positionals[0]);
if (target === undefined) throw new Error(`no fuzzer ${positionals[0] ?? ''}`);
const said = values.file === undefined ? await series(target) : await once(target, values.file);
process.stdout.write(`${JSON.stringify(said)}\n`);
process.exit(said.found === null ? 0 : 1);

async function once(one: Target, file: string): Promise<Said> {
  const tally = new Tally(one);
  const found = await tally.take(0, readFileSync(file));
  return tally.said(1, found);
}

async function series(one: Target): Promise<Said> {
  const tally = new Tally(one);
  const { seconds, turns, seed, first } = values;
  const end = performance.now() + Number(seconds) * 1000;
  const last = Number(first) + Number(turns);
  const current = values.current === undefined ? null : openSync(values.current, 'w');
  let found: Found | null = null;
  let turn = Number(first);
  const parent = process.ppid;
  const goesOn = (): boolean => performance.now() < end && process.ppid === parent;
  for (; found === null && turn < last && goesOn(); turn++) {
    // Whoever watches must know which input it was that ended this process.
    if (current !== null) writeSync(current, String(turn).padStart(15), 0);
    const input = one.make(new Random(Number(seed), turn));
    found = await tally.take(turn, input);
    if (found !== null) writeFileSync('found', input);
  }
  return tally.said(turn - Number(first), found);
}
