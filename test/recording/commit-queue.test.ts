/** The last hop to the store: what waits, what must go, and what it counts. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TraceError } from '../../src/common/errors.ts';
import { CommitQueue } from '../../src/recording/commit-queue.ts';
import type { IngestBatch } from '../../src/store/types.ts';

describe('CommitQueue', () => {
  const same = (us: number): number => us;
  const full = new TraceError({ code: 'database-full', message: 'full', exit: 'io' });
  class FailingStore {
    refuse: Error | null = null;
    readonly taken: IngestBatch[] = [];
    ingest(batch: IngestBatch): void {
      if (this.refuse !== null) throw this.refuse;
      this.taken.push(batch);
    }
  }
  const batch = (atUs: number, accesses = 1): IngestBatch => ({
    atUs,
    accesses: Array.from({ length: accesses }, (_, index) => ({
      sessionId: 1,
      fileId: index,
      operations: 1,
      count: 1,
      bytes: 0,
      firstUs: atUs,
      lastUs: atUs,
      order: 0,
      evidence: 'nfsd' as const,
    })),
  });

  test('what the disk refused waits, in its order', () => {
    const store = new FailingStore();
    const queue = new CommitQueue({ store });
    store.refuse = full;
    for (const atUs of [1, 2]) assert.throws(() => queue.commit(batch(atUs)), full);
    assert.equal(queue.waiting, 2);
    store.refuse = null;
    queue.commit(batch(3));
    assert.deepEqual(
      store.taken.map(({ atUs }) => atUs),
      [1, 2, 3],
    );
    assert.equal(queue.waiting, 0);
  });

  test('a batch over the bound is nothing to drop while the store takes it', () => {
    const store = new FailingStore();
    const queue = new CommitQueue({ store, limitBytes: 2000 });
    queue.commit(batch(1, 100));
    assert.equal(store.taken[0]?.accesses?.length, 100);
    assert.equal(queue.hasLosses, false);
    store.refuse = full;
    assert.throws(() => queue.commit(batch(2, 100)), full);
    store.refuse = null;
    queue.commit({ atUs: 3 });
    assert.equal(queue.takeLosses(same)[0]?.count, 100);
  });

  test('what it had to drop is a loss of the sessions it was of; sessions and names are kept', () => {
    const store = new FailingStore();
    const queue = new CommitQueue({ store, limitBytes: 5000 });
    store.refuse = full;
    for (let atUs = 1; atUs <= 10; atUs += 1)
      assert.throws(() => queue.commit({ ...batch(atUs, 3), names: [] }));
    assert.equal(queue.waiting, 10);
    store.refuse = null;
    queue.commit(batch(2000));
    const losses = queue.takeLosses(same);
    assert.deepEqual(
      losses.map(({ where, sessionId, fromUs }) => [where, sessionId, fromUs]),
      [['writer', 1, 1]],
    );
    const kept = store.taken.flatMap(({ accesses = [] }) => accesses).length;
    assert.equal(kept + (losses[0]?.count ?? 0), 31);
    assert.equal(store.taken.at(-1)?.accesses?.length, 1, 'the newest are kept');
    assert.deepEqual(queue.takeLosses(same), []);
  });

  test('when even that is too much it says so, and counts what it is told', () => {
    const store = new FailingStore();
    const queue = new CommitQueue({ store, limitBytes: 2000 });
    store.refuse = full;
    const names = Array.from({ length: 20 }, (_, fileId) => ({
      fileId,
      path: Buffer.from('x'),
      change: 'added' as const,
    }));
    assert.throws(() => queue.commit({ atUs: 1, names }), full);
    assert.equal(queue.full, true);
    queue.noteDropped(5, 2, 3);
    queue.noteDropped(5, 4, 6);
    assert.throws(() => queue.commit({ atUs: 9 }), full);
    assert.equal(queue.waiting, 1, 'an empty batch only asks again');
    assert.deepEqual(queue.takeLosses(same), [], 'a row would wait like the others');
    store.refuse = null;
    queue.commit({ atUs: 10 });
    assert.equal(queue.full, false);
    assert.deepEqual(
      queue.takeLosses(same).map(({ count, fromUs, toUs }) => [count, fromUs, toUs]),
      [[10, 2, 6]],
    );
  });

  test('a row that the store refuses is found, set aside alone, and counted', () => {
    const bad = (fileId: number): boolean => fileId === 7 || fileId === 90;
    const taken: number[] = [];
    let transactions = 0;
    const queue = new CommitQueue({
      store: {
        ingest: ({ accesses = [] }) => {
          transactions += 1;
          if (accesses.some(({ fileId }) => bad(fileId)))
            throw new Error('FOREIGN KEY constraint failed');
          taken.push(...accesses.map(({ fileId }) => fileId));
        },
      },
    });
    queue.commit(batch(1, 100));
    assert.equal(taken.length, 98);
    assert.ok(!taken.some(bad));
    assert.ok(transactions < 40, `${transactions} transactions`);
    const [loss] = queue.takeLosses(same);
    assert.deepEqual([loss?.where, loss?.sessionId, loss?.count], ['refused-batch', 1, 2]);
    assert.match(loss?.detail ?? '', /an access: FOREIGN KEY/);
    queue.commit(batch(2, 3));
    assert.equal(queue.waiting, 0);
  });

  test('what it drops, or sets aside, it counts to whose it was', () => {
    const times = { firstUs: 1_000_005, lastUs: 1_000_006 };
    const clock = { bootId: 'b', offsetUs: 1_000_000 };
    const missing = { directoryId: 1, name: Buffer.from('x'), count: 1, ...times };
    const note = { kind: 'boots-merged' as const, count: 1, detail: '' };
    const queue = new CommitQueue({
      store: {
        ingest: (refused) => {
          if ((refused.losses ?? []).length === 0) throw new Error('no');
        },
      },
    });
    queue.commit({
      atUs: 1_000_009,
      clock,
      missing: [{ ...missing, sessionId: 1 }],
      missingDropped: [{ sessionId: 2, count: 1 }],
      notes: [{ ...note, sessionId: 3, atUs: 1_000_007 }],
      closed: [{ id: 4, reason: 'stop', atUs: 1_000_008 }],
      names: [{ fileId: 1, path: Buffer.from('x'), change: 'added' }],
    });
    // In the order in which the store writes them.
    assert.deepEqual(
      queue
        .takeLosses((us) => us - 5)
        .map(({ sessionId, fromUs, toUs }) => [sessionId, fromUs, toUs]),
      [
        [3, 2, 2],
        [null, 4, 4],
        [1, 0, 1],
        [2, 4, 4],
        [4, 3, 3],
      ],
      'times as the clock has them when it is told, not when it happened',
    );
  });
});
