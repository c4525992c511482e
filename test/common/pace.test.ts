/** What is waited for has the processor most of the time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { Pace, pauseMs } from '../../src/common/pace.ts';

test('a pause is ten looks, not less than 20 ms and not more than a second', () => {
  assert.deepEqual(
    [0, 1, 2, 5, 30, 100, 5000].map((ms) => pauseMs(ms)),
    [20, 20, 20, 50, 300, 1000, 1000],
  );
});

test('the pause is that of the look before it, also of one that failed', async () => {
  const pace = new Pace();
  const failed = pace.look(async () => {
    await delay(30);
    throw new Error('nobody');
  });
  await assert.rejects(failed, /nobody/);
  const began = performance.now();
  await pace.pause();
  assert.ok(performance.now() - began > 200);
  assert.equal(await pace.look(() => Promise.resolve('there')), 'there');
});
