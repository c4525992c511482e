/**
 * Runs one fuzzer in a process of its own, since what is looked for may hang it or end it. Owns
 * which inputs there are and in which order: guided by what those before made the code do (coverage.ts,
 * corpus.ts), or blindly. What is found is tally.ts's, watching supervise.ts's.
 *
 *     node child.ts TARGET [--from MODULE] --file INPUT
 *     node child.ts TARGET [--from MODULE] --seed S --seconds T --turns N --current FILE [--guided]
 *
 * The working folder is its own. Prints one line of JSON at the end. Status 1 if something is found.
 */
import { openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { Corpus } from './corpus.ts';
import { writeCurrent } from './current.ts';
import type { Target } from './target.ts';
import { type Found, type Said, Tally } from './tally.ts';

const { values, positionals } = parseArgs({
  options: {
    from: { type: 'string', default: join(import.meta.dirname, 'targets/all.ts') },
    file: { type: 'string' },
    seed: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '10' },
    turns: { type: 'string', default: 'Infinity' },
    current: { type: 'string' },
    guided: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});

/** TypeScript's own parser, which finds the blocks, takes half a second to load. */
const coverage = values.guided ? new (await import('./coverage.ts')).Coverage(isWatched) : null;
coverage?.start();
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
  const { seconds, turns, seed } = values;
  const corpus = new Corpus(one, Number(seed));
  const end = performance.now() + Number(seconds) * 1000;
  const current = values.current === undefined ? null : openSync(values.current, 'w');
  let found: Found | null = null;
  let turn = 0;
  const parent = process.ppid;
  const goesOn = (): boolean => performance.now() < end && process.ppid === parent;
  for (; found === null && turn < Number(turns) && goesOn(); turn++) {
    const input = corpus.next(turn);
    // Whoever watches must know which input it was that ended this process.
    if (current !== null) writeCurrent(current, { turn, input });
    coverage?.clear();
    found = await tally.take(turn, input);
    if (coverage?.isNew() === true) corpus.keep();
  }
  if (coverage === null) return tally.said(turn, found);
  const missed = Object.fromEntries(coverage.missed());
  const learnt = { blocks: coverage.reached, kept: corpus.size, missed };
  return { ...tally.said(turn, found), learnt };
}

/** The code under test: the project's, and what a module of fuzzers has in itself. */
function isWatched(url: string): boolean {
  return (
    url.startsWith(new URL('../../src/', import.meta.url).href) ||
    url === pathToFileURL(values.from).href
  );
}
