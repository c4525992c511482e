/** The fuzzers themselves: they find what is broken, keep it, make it smaller, and make it again. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';

import { TARGETS as BROKEN } from './broken-targets.ts';
import { mutate } from './mutate.ts';
import { Random } from './random.ts';
import { fuzz } from './supervise.ts';
import { Tally } from './tally.ts';
import { TARGETS } from './targets/all.ts';

function broken(t: TestContext, name: string, attempts: number) {
  const folder = mkdtempSync(join(tmpdir(), 'nfsroot-trace-fuzz-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const target = BROKEN.find((one) => one.name === name);
  assert.ok(target !== undefined);
  const from = join(import.meta.dirname, 'broken-targets.ts');
  const limits = { seconds: 60, turns: 100, standsStill: { cpuMs: 2000, ms: 60_000 }, attempts };
  return fuzz({ target, from, seed: 7, folder, ...limits });
}

for (const [name, kind] of [
  ['throws', /^TypeError .*broken-targets\.ts:\d+$/],
  ['says-bug', /^TraceError .*broken-targets\.ts:\d+$/],
  ['dies', /^ends with SIGABRT$/],
  ['hangs', /^stands still$/],
] as const)
  it(`what ${name} is found`, async (t) => {
    const { find } = await broken(t, name, 2);
    assert.match(find?.kind ?? '', kind);
    const input = readFileSync(find?.file ?? '');
    assert.ok(input.includes('broken'));
    // The half that is not needed is gone.
    assert.ok(input.length <= 113, `${input.length} bytes`);
  });

it('what is slow is found, by its CPU time', async () => {
  const target = BROKEN.find(({ name }) => name === 'is-slow');
  assert.ok(target !== undefined);
  const tally = new Tally(target, { mostMs: 20 });
  assert.equal(await tally.take(0, Buffer.from('sound')), null);
  assert.equal((await tally.take(1, Buffer.from('broken')))?.kind, 'slow');
});

it('a refusal is an answer', async (t) => {
  const { said, find } = await broken(t, 'refuses', 0);
  assert.equal(find, null);
  assert.equal(said?.turns, 100);
  assert.ok((said.answers['bad-input'] ?? 0) > 3);
});

it('the same choices make the same inputs', () => {
  const make = (seed: number, turn: number): Buffer =>
    mutate(new Random(seed, turn), Buffer.alloc(200, 'abc'), ['word']);
  assert.deepEqual(make(1, 2), make(1, 2));
  assert.notDeepEqual(make(1, 2), make(1, 3));
  assert.notDeepEqual(make(1, 2), make(2, 2));
  for (const target of TARGETS)
    assert.deepEqual(target.make(new Random(3, 4)), target.make(new Random(3, 4)), target.name);
});
