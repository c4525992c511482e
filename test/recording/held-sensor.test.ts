/** File events that come late: who read is known as of now, and that is said. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import type { FileEvent } from '../../src/common/batches.ts';
import { FAN_ACCESS } from '../../src/fanotify-ts/masks.ts';
import { PipeRig } from './pipe-rig.ts';

const SECOND = 1_000_000;
const handle = { type: 1, bytes: Buffer.alloc(8) };
const event: FileEvent = {
  mask: FAN_ACCESS,
  pidClass: 'server',
  fsid: Buffer.alloc(8),
  object: handle,
  parent: handle,
  name: Buffer.from('name'),
  count: 5,
};

let rig: PipeRig;
beforeEach(() => {
  rig = new PipeRig();
  rig.traced = false;
});
afterEach(() => rig.close());

async function flushed(...events: FileEvent[]): Promise<[string, number, number][]> {
  rig.events = events;
  await rig.pipe.flush(false);
  return rig.store
    .losses()
    .map(({ where, count, fromUs, toUs }) => [
      where,
      count,
      Math.round((toUs - fromUs) / (5 * SECOND)) * 5,
    ]);
}

test('what comes within seconds is not doubtful, however long nothing came', async () => {
  assert.deepEqual(await flushed(event), []);
  for (let second = 0; second < 30; second += 1) {
    rig.pass(SECOND);
    await flushed();
  }
  assert.deepEqual(await flushed(event), []);
});

test('what one flush has after a stall is doubtful, once', async () => {
  await flushed();
  rig.pass(15 * SECOND);
  const told: [string, number, number][] = [['daemon-stall', 5, 15]];
  assert.deepEqual(await flushed(event), told);
  assert.deepEqual(await flushed(event), told);
});

test('the sensor’s own thread is later than the flush: its events are doubtful in the next', async () => {
  await flushed();
  rig.pass(15 * SECOND);
  rig.behindUs.files = 15 * SECOND;
  assert.deepEqual(await flushed(), []);
  rig.behindUs.files = 0;
  const told: [string, number, number][] = [['daemon-stall', 5, 15]];
  assert.deepEqual(await flushed(event), told);
  assert.deepEqual(await flushed(event), told);
});
