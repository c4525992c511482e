/** The store takes nothing: what is kept meanwhile has a bound, and nothing feeds on itself. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { nowUs } from '../../src/recording/clock.ts';
import { PipeRig, row } from './pipe-rig.ts';

let rig: PipeRig;
beforeEach(() => {
  rig = new PipeRig();
});
afterEach(() => rig.close());

const ring = () => ({ where: 'trace-ring', count: 2, fromUs: nowUs() - 1000, toUs: nowUs() });

async function refused(rounds: number, { used = false } = {}): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    rig.rows = [row(2 + (round % 7) * 8)];
    rig.losses = [ring()];
    rig.names = [{ fileId: 1, path: Buffer.from(`name ${round}`), change: 'added' }];
    if (used) rig.accessTimes = [{ object: 100, atUs: Date.now() * 1000, link: false }];
    await assert.rejects(rig.pipe.flush(round % 3 === 0), /no room/);
    rig.pass(10_000_000);
  }
}

describe('batches wait', () => {
  test('the root is looked at when they do not any more, once for all', async () => {
    rig.rows = [row(1)];
    await rig.pipe.flush(false);
    rig.diskFull = true;
    await refused(1, { used: true });
    const { accesses } = rig.asked;
    await refused(8, { used: true });
    assert.equal(rig.asked.accesses, accesses);
    const waiting = rig.pipe.uncommitted;
    rig.diskFull = false;
    await rig.pipe.flush(false);
    assert.equal(rig.pipe.uncommitted, 0);
    assert.equal(rig.asked.accesses, accesses, 'this flush did not know that it would be taken');
    await rig.pipe.flush(false);
    assert.equal(rig.asked.accesses, accesses + 1);
    assert.ok(waiting <= 9, `${waiting} wait`);
    assert.equal(rig.store.session(1)?.loss, 18);
  });
});

describe('memory is full', () => {
  test('nobody is asked for names, losses are counted, and both are told afterwards', async () => {
    rig.close();
    rig = new PipeRig({ pendingBytes: 2000 });
    rig.rows = [row(1)];
    await rig.pipe.flush(false);
    rig.diskFull = true;
    await refused(10);
    const { uncommitted } = rig.pipe;
    const { names } = rig.asked;
    await refused(30);
    assert.equal(rig.pipe.uncommitted, uncommitted);
    assert.equal(rig.asked.names, names);
    rig.diskFull = false;
    const claimed = rig.store.lastIngestUs() ?? 0;
    await rig.pipe.flush(false);
    assert.equal(rig.store.lastIngestUs(), claimed, 'a kill now is a gap since then');
    await rig.pipe.flush(false);
    assert.equal(rig.asked.names, names + 1, 'by the flush that found room');
    await rig.pipe.flush(false);
    assert.ok((rig.store.lastIngestUs() ?? 0) > claimed, 'all of them are told');
    const places = new Map<string, number>();
    for (const { where, count } of rig.store.lossesOfRecording(rig.recordingId))
      places.set(where, count);
    assert.equal(places.get('trace-ring'), 2 * 40);
    const stored = rig.store.session(1)?.accesses ?? 0;
    assert.equal(stored + (places.get('writer') ?? 0), 2 + 2 * 40);
    assert.ok(rig.store.losses().length < 25, `${rig.store.losses().length} rows`);
  });
});

describe('nothing follows', () => {
  test('what the last commit lost is told by it', async () => {
    rig.rows = [row(1), row(2)];
    rig.refuses = ({ accesses = [] }) => accesses.some(({ fileId }) => fileId === 2);
    await rig.pipe.flush(true);
    assert.deepEqual(
      rig.store.losses({ sessionId: 1 }).map(({ where, count }) => [where, count]),
      [['refused-batch', 2]],
    );
  });

  test('nor the end of the session at which the store stumbles', async () => {
    rig.rows = [row(1)];
    await rig.pipe.flush(true);
    rig.refuses = ({ closed = [] }) => closed.length > 0;
    const effects = rig.pipe.sessions.closeRoot(rig.rootId, nowUs(), 'stop');
    await rig.pipe.commitLast(effects);
    assert.deepEqual(
      rig.store.losses({ sessionId: 1 }).map(({ where, count }) => [where, count]),
      [['refused-batch', 1]],
    );
  });

  test('and when the store refuses for ever, it ends all the same', async () => {
    rig.refuses = ({ losses = [] }) => losses.length > 0;
    rig.losses = [ring()];
    await rig.pipe.flush(true);
    assert.deepEqual(rig.store.losses(), []);
  });
});
