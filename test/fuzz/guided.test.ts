/** Guidance itself: what shows as new, and that it finds what blind inputs do not. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { pathToFileURL } from 'node:url';

import { TARGETS as BROKEN } from './broken-targets.ts';
import { Coverage } from './coverage.ts';
import { fuzz } from './supervise.ts';

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'nfsroot-trace-fuzz-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

it('guidance finds a state that blind inputs do not come to, and the same seed finds it again', async (t) => {
  const target = BROKEN.find(({ name }) => name === 'is-deep');
  assert.ok(target !== undefined);
  const from = join(import.meta.dirname, 'broken-targets.ts');
  const series = {
    target,
    from,
    seed: 1,
    seconds: 100,
    turns: 40_000,
    folder: folderOf(t),
    attempts: 0,
  };
  const guided = await fuzz({ ...series, guided: true });
  assert.match(guided.find?.kind ?? '', /^RangeError .*broken-targets\.ts:\d+$/);
  const again = await fuzz({ ...series, guided: true });
  assert.equal(again.said?.turns, guided.said?.turns);
  assert.deepEqual(again.said?.learnt, guided.said?.learnt);
  const blind = await fuzz(series);
  assert.equal(blind.said?.turns, series.turns);
  assert.equal(blind.find, null);
});

/** 1 takes another way through each than 0 does; with counters they say the same as without. */
const CODE = `
export const ways: Record<string, (at: number) => unknown> = {
  if: (at) => { if (at === 1) return 1; return 0; },
  else: (at) => { if (at === 1) return 'a'
    else if (at === 2) return 'b'
    else return 'c' },
  and: (at) => at === 1 && at + 1,
  or: (at) => at === 0 || at + 1,
  nullish: (at) => [5][at] ?? (at as number),
  choice: (at) => at === 1 ? { at } : at === 2 ? [at] : null,
  case: (at) => { switch (at) { case 1: return 'x'; case 2: default: return 'y' } },
  catch: (at) => { try { if (at === 1) throw new Error('x') } catch { return 'caught' } return 'not' },
  times: (at) => { let all = 0; for (let i = 0; i < at; i++) all += i; return all; },
  lazy: (at) => { const f = (): number => 7; return at === 1 ? f() : f; },
};
export const line = (): string => String(new Error('here').stack);
`;

it('each way through the code is new once', async (t) => {
  const file = join(folderOf(t), 'code.ts');
  writeFileSync(file, CODE);
  const url = pathToFileURL(file).href;
  interface Code {
    readonly ways: Readonly<Record<string, (at: number) => unknown>>;
    readonly line: () => string;
  }
  const plain = (await import(`${url}?plain`)) as Code;
  const coverage = new Coverage((one) => one === url);
  coverage.start();
  const counted = (await import(url)) as Code;
  const isNew = (way: string, at: number): boolean => {
    coverage.clear();
    const said = counted.ways[way]?.(at);
    if (typeof said !== 'function') assert.deepEqual(said, plain.ways[way]?.(at), way);
    return coverage.isNew();
  };
  coverage.isNew();
  for (const way of Object.keys(plain.ways)) {
    assert.ok(isNew(way, 0), `${way} 0`);
    assert.ok(isNew(way, 1), `${way} 1`);
    assert.ok(!isNew(way, 1) && !isNew(way, 0), `${way} again`);
  }
  assert.ok(isNew('times', 2), 'another number of times');
  assert.ok(coverage.reached > 20);
  const line = readFileSync(file, 'utf8').split('\n').findIndex((one) => one.includes('here')) + 1; // prettier-ignore
  assert.ok(coverage.missed().get(url)?.includes(line));
  coverage.clear();
  assert.match(counted.line(), new RegExp(`code\\.ts:${line}:`));
  assert.ok(coverage.isNew());
  assert.ok(!coverage.missed().get(url)?.includes(line));
});
