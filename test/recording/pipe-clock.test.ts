/** The wall clock is set while a recording runs: every time that is kept moves with the store's. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { nowUs } from '../../src/recording/clock.ts';
import type { LossRow, SessionRow } from '../../src/store/types.ts';
import { CLIENT, PipeRig, row } from './pipe-rig.ts';

const SECOND = 1_000_000;
const HOUR = 3600 * SECOND;

let rig: PipeRig;
beforeEach(() => {
  rig = new PipeRig();
});
afterEach(() => rig.close());

const session = (): SessionRow => {
  const [only] = rig.store.sessions();
  assert.ok(only !== undefined);
  return only;
};
const lost = (): LossRow => {
  const [only] = rig.store.losses();
  assert.ok(only !== undefined);
  return only;
};
/** Wall-clock times that are close to what they should be. */
const near = (us: number, expected: number): void =>
  assert.ok(Math.abs(us - expected) < 5 * SECOND, `${(us - expected) / SECOND} s off`);

for (const [what, step] of [
  ['back', -HOUR],
  ['on', HOUR],
] as const)
  describe(`the clock is set ${what} by an hour`, () => {
    test('a loss from before is the session’s that was open, of the time that it has now', async () => {
      rig.rows = [row(1)];
      await rig.pipe.flush(false);
      rig.step(step);
      rig.losses = [{ where: 'trace-ring', count: 5, fromUs: nowUs() - SECOND, toUs: nowUs() }];
      rig.accessTimes = [{ object: 2, atUs: Date.now() * 1000 + step - SECOND / 2, link: false }];
      await rig.pipe.flush(false);
      const { recordingId, fromUs, detail } = lost();
      assert.equal(recordingId, rig.recordingId);
      near(fromUs, Date.now() * 1000 + step);
      assert.match(detail ?? '', /1 of them new to session-1/);
      const { loss, files, openedUs, lastUs } = session();
      assert.deepEqual([loss, files], [5, 2]);
      near(openedUs, Date.now() * 1000 + step);
      assert.ok(lastUs - openedUs >= 0 && lastUs - openedUs < 5 * SECOND);
    });

    test('in the middle of a flush: all of the flush is of one clock', async () => {
      rig.rows = [row(1)];
      await rig.pipe.flush(false);
      rig.sync = () => {
        rig.step(step);
        rig.sync = () => Promise.resolve();
        rig.rows = [row(1), row(2)];
        return Promise.resolve();
      };
      await rig.pipe.flush(true);
      const { openedUs, lastUs } = session();
      near(openedUs, Date.now() * 1000 + step);
      near(lastUs, Date.now() * 1000 + step);
      assert.deepEqual(
        rig.store.files(1).map(({ firstUs }) => Math.abs(firstUs - openedUs) < 5 * SECOND),
        [true, true],
      );
    });

    test('while the store takes nothing: what was dropped has the time that it would have now', async () => {
      rig.close();
      rig = new PipeRig({ pendingBytes: 1 });
      rig.rows = [row(1)];
      await rig.pipe.flush(false);
      rig.diskFull = true;
      for (let round = 0; round < 3; round += 1) {
        rig.rows = [row(2)];
        await assert.rejects(rig.pipe.flush(false), /no room/);
        if (round === 1) rig.step(step);
      }
      rig.diskFull = false;
      for (let round = 0; round < 2; round += 1) await rig.pipe.flush(false);
      const { where, fromUs, toUs } = lost();
      assert.equal(where, 'writer');
      near(fromUs, Date.now() * 1000 + step);
      near(toUs, fromUs);
      near(session().openedUs, fromUs);
    });

    test('a look that must wait is for the same moments', async () => {
      rig.rows = [row(1)];
      const loss = () => ({ where: 'trace-ring', count: 1, fromUs: nowUs() - 1000, toUs: nowUs() });
      rig.losses = [loss()];
      await rig.pipe.flush(false);
      rig.losses = [loss()];
      rig.asked.accesses = 0;
      // Early: the look before was only just now.
      rig.pipe.commit([]);
      await rig.pipe.flush(false);
      rig.step(step);
      rig.accessTimes = [{ object: 9, atUs: Date.now() * 1000 + step, link: false }];
      rig.pass(HOUR / 60);
      await rig.pipe.flush(false);
      for (const { fromUs, toUs } of rig.store.losses()) {
        near(fromUs, Date.now() * 1000 + step);
        assert.ok(toUs >= fromUs);
      }
      assert.equal(session().client, CLIENT);
    });
  });

test('heartbeats go on after the clock was set back', async () => {
  rig.rows = [row(1)];
  await rig.pipe.flush(false);
  rig.step(-HOUR);
  await rig.pipe.flush(false);
  const before = rig.store.lastIngestUs() ?? 0;
  rig.pass(6 * SECOND);
  await rig.pipe.flush(false);
  assert.ok((rig.store.lastIngestUs() ?? 0) > before);
});
