/**
 * What a flush does with what it has drained when something goes wrong on the way: nothing may
 * vanish uncounted, and what the session machine has decided must reach the store.
 */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { FileEvent } from '../../src/common/batches.ts';
import { TraceError } from '../../src/common/errors.ts';
import { FAN_ACCESS } from '../../src/fanotify-ts/masks.ts';
import { nowUs } from '../../src/recording/clock.ts';
import { BROKEN, CLIENT, PipeRig, row } from './pipe-rig.ts';

let rig: PipeRig;
beforeEach(() => {
  rig = new PipeRig();
});
afterEach(() => rig.close());

const EVENT: FileEvent = {
  mask: 0,
  pidClass: 'other',
  fsid: Buffer.alloc(8),
  object: null,
  parent: null,
  name: null,
  count: 1,
};

describe('a flush that fails half-way', () => {
  test('what was not attributed is a loss; what was, and its session, is stored', async () => {
    rig.rows = [row(1), row(BROKEN), row(4)];
    await assert.rejects(rig.pipe.flush(false), /it broke/);
    const [session] = rig.store.sessions();
    assert.deepEqual([session?.client, session?.files, session?.loss], [CLIENT, 1, 6]);
    const [loss] = rig.store.losses();
    assert.equal(loss?.where, 'attribution');
    assert.match(loss.detail ?? '', /it broke/);

    rig.rows = [row(1), row(4)];
    await rig.pipe.flush(false);
    assert.deepEqual(
      rig.store.sessions().map(({ files, loss: lost }) => [files, lost]),
      [[2, 6]],
      'the next flush is committed too',
    );
  });

  test('as many events as the table holds, in one flush', async () => {
    rig.events = new Array<FileEvent>(262_144).fill(EVENT);
    await rig.pipe.flush(false);
    assert.deepEqual(rig.store.losses(), []);
  });

  test('a look at the root that fails costs nothing of what was drained', async () => {
    rig.rows = [row(1)];
    rig.losses = [{ where: 'trace-ring', count: 5, fromUs: nowUs() - 1e6, toUs: nowUs() }];
    rig.accessTimes = [{ object: 2, atUs: (Date.now() - 500) * 1000, link: false }];
    rig.store.fileIdsOf = () => {
      throw new TraceError({ code: 'database-io', message: 'it is torn', exit: 'io' });
    };
    await assert.rejects(rig.pipe.flush(false), /it is torn/);
    const [session] = rig.store.sessions();
    assert.deepEqual([session?.files, session?.loss], [1, 5]);
  });
});

describe('the kernel’s queues are late', () => {
  const late = new TraceError({ code: 'trace-sync-timeout', message: 'too late', exit: 'busy' });
  /** A READ that no file event tells of: to be judged, both queues must be drained first. */
  const disagree = async (): Promise<void> => {
    rig.rows = [row(1, { kind: 'read', bytes: 9 })];
    await rig.pipe.flush(false);
  };

  test('recording goes on, nobody waits each time, and the witnesses are judged later', async () => {
    await disagree();
    rig.sync = () => Promise.reject(late);
    for (const hash of [4, 5]) {
      rig.rows = [row(hash)];
      await rig.pipe.flush(false);
    }
    assert.equal(rig.store.sessions()[0]?.files, 3);
    assert.equal(rig.syncs, 1);
    assert.deepEqual(
      rig.notices.filter((text) => text.startsWith('too late')),
      ['too late; recording goes on, the witnesses are compared later'],
    );
    assert.deepEqual(rig.store.losses(), []);

    rig.sync = () => Promise.resolve();
    rig.pass(61_000_000);
    await rig.pipe.flush(false);
    const [loss] = rig.store.losses();
    assert.deepEqual([loss?.where, loss?.count], ['witness-fanotify', 1]);
  });

  test('what waits to be compared cannot grow', async () => {
    await disagree();
    rig.sync = () => Promise.reject(late);
    for (let minute = 0; minute < 5; minute += 1) {
      await rig.pipe.flush(false);
      rig.pass(61_000_000);
    }
    assert.equal(rig.syncs, 3);
    assert.match(rig.notices.at(-1) ?? '', /what the two witnesses saw meanwhile is not compared/);
  });

  test('who needs the whole is told', async () => {
    rig.sync = () => Promise.reject(late);
    rig.rows = [row(1)];
    await assert.rejects(rig.pipe.flush(true), late);
    assert.equal(rig.pipe.failure, 'too late');
    await rig.pipe.flush(false);
    assert.equal(rig.pipe.failure, null);
    assert.equal(rig.store.sessions()[0]?.files, 1);
  });

  test('the end is not: what had come out is committed', async () => {
    await disagree();
    rig.sync = () => Promise.reject(late);
    rig.rows = [row(4)];
    await rig.pipe.finish(nowUs());
    assert.equal(rig.store.sessions()[0]?.files, 2);
    assert.match(rig.notices.at(-1) ?? '', /^ended without what the kernel still had: too late/);
  });
});

test('the end does not ask a store again that refuses: what was drained waits', async () => {
  rig.rows = [row(1)];
  rig.diskFull = true;
  const sequence = rig.syncs;
  await assert.rejects(rig.pipe.finish(nowUs()), /no room/);
  assert.deepEqual([rig.syncs - sequence, rig.pipe.uncommitted], [1, 1]);
});

test('a file event that the trace does not know of: the path may have gone by then', async () => {
  rig.events = [{ ...EVENT, mask: FAN_ACCESS, pidClass: 'nfsd' }];
  await rig.pipe.flush(false);
  rig.gone = true;
  await rig.pipe.flush(false);
  await rig.pipe.flush(false);
  const [loss] = rig.store.losses();
  assert.deepEqual([loss?.where, loss?.count], ['witness-trace', 1]);
  assert.match(loss?.detail ?? '', /^a file that has gone/);
});

test('a read without a file event: names may be missing too, and are read anew', async () => {
  rig.rows = [row(1, { kind: 'read', bytes: 9 })];
  for (let flush = 0; flush < 3; flush += 1) await rig.pipe.flush(false);
  const [loss] = rig.store.losses();
  assert.deepEqual(
    [loss?.where, loss?.detail],
    ['witness-fanotify', 'path 1\nnames were read anew'],
  );
  assert.deepEqual(rig.asked.walks, 1);
});

test('a flush that takes long: a daemon that ends without a word has lost from its drain on', async () => {
  const drainedUs = nowUs();
  Object.defineProperty(rig, 'events', {
    get: () => {
      rig.pass(3_000_000);
      return [];
    },
    set: () => undefined,
  });
  rig.rows = [row(1)];
  await rig.pipe.flush(false);
  assert.ok(nowUs() - drainedUs > 3_000_000);
  const seenUs = rig.pipe.wall.toMonotonic(rig.store.lastIngestUs() ?? 0);
  assert.ok(Math.abs(seenUs - drainedUs) < 1_000_000, `${seenUs - drainedUs} us after the drain`);
  // What is written without a drain of its own knows no more.
  rig.pipe.commit(rig.pipe.sessions.begin(CLIENT, null, nowUs()));
  assert.equal(rig.pipe.wall.toMonotonic(rig.store.lastIngestUs() ?? 0), seenUs);
});

for (const sensor of ['files', 'trace'] as const)
  test(`a commit claims no more than the sensors had: ${sensor} are behind`, async () => {
    rig.pass(10_000_000);
    rig.behindUs[sensor] = 3_000_000;
    rig.rows = [row(1)];
    await rig.pipe.flush(false);
    const claimedUs = rig.store.lastIngestUs() ?? 0;
    assert.ok(Math.abs(rig.pipe.wall.nowUs - 3_000_000 - claimedUs) < 1_000_000);

    rig.behindUs[sensor] = 0;
    rig.pipe.commit([]);
    await rig.pipe.commitLast([]);
    assert.equal(rig.store.lastIngestUs(), claimedUs, 'a commit without a drain claims nothing');
    await rig.pipe.flush(false);
    rig.rows = [row(1)];
    await rig.pipe.flush(false);
    assert.ok(rig.pipe.wall.nowUs - (rig.store.lastIngestUs() ?? 0) < 1_000_000);
  });
