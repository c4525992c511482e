/** What is counted while somebody watches is what the database says, whenever he began. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Sqlite from 'better-sqlite3';
import type { Store } from '../../src/store/store.ts';
import { Curve, CURVE_SECONDS } from '../../src/store/curve.ts';
import { Tally } from '../../src/store/tally.ts';
import type { IngestBatch, NewFile } from '../../src/store/types.ts';
import { access, file, opened, recorded, T0, type Recorded } from './fixtures.ts';

const look = (store: Store, most = 1000, wallUs = T0 + 60e6) =>
  store.tally({ most, budgetMs: 10_000, wallUs });

/** A small generator, so that a failure can be had again. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Batches as the recorder makes them: sessions open and close, files come, the clock is set. */
function* batches(place: Recorded, seed: number): Generator<IngestBatch> {
  const any = random(seed);
  const open: number[] = [];
  const known: NewFile[] = [];
  let session = 0;
  let setBy = 0;
  for (let round = 0; round < 40; round += 1) {
    // The clock is set now and then.
    const shiftUs = any(8) === 0 ? (any(4) - 2) * 1e9 : 0;
    setBy += shiftUs;
    const atUs = T0 + round * 1e6 + setBy;
    const openedNow = any(3) === 0 || open.length === 0 ? [++session] : [];
    open.push(...openedNow);
    const files = Array.from({ length: any(4) }, () => {
      const id = known.length + 1;
      const made: NewFile = {
        ...file(id, `f${id}`),
        mode: any(3) === 0 ? 0o040755 : 0o100644,
      };
      known.push(made);
      return made;
    });
    const accesses = Array.from({ length: known.length === 0 ? 0 : any(20) }, () =>
      access(open[any(open.length)] ?? 0, 1 + any(known.length), {
        count: 1 + any(5),
        bytes: any(1000),
        evidence: any(2) === 0 ? 'nfsd' : 'fanotify',
        firstUs: atUs,
        lastUs: atUs + 5,
      }),
    );
    const lossy = any(5) === 0;
    const closing = any(6) === 0 ? open.splice(any(open.length), 1) : [];
    yield {
      atUs,
      shiftUs,
      opened: openedNow.map((id) =>
        opened(place, { id, client: `10.0.0.${id % 7}`, openedUs: atUs, partial: any(2) === 0 }),
      ),
      files,
      accesses,
      closed: closing.map((id) => ({ id, reason: 'quiet', atUs })),
      losses: lossy
        ? [
            {
              recordingId: any(2) === 0 ? null : place.recordingId,
              sessionId: any(2) === 0 ? (open[0] ?? null) : null,
              where: 'trace-ring',
              count: 1 + any(9),
              fromUs: atUs,
              toUs: atUs,
            },
          ]
        : [],
    };
  }
}

/** Everything that the tally shows of a session, from the rows themselves. */
function byRows(store: Store) {
  return store
    .sessions()
    .filter(({ closedUs }) => closedUs === null)
    .map(({ id, client, recordingId, partial, openedUs, lastUs, files, accesses, bytes, loss }) => {
      const imageBytes = store
        .files(id)
        .filter(({ type, created }) => type === 0o100000 && !created)
        .reduce((sum, { size }) => sum + size, 0);
      const known = { id, client, recordingId, partial, openedUs, lastUs };
      return { ...known, files, accesses, bytes, imageBytes, loss };
    });
}

for (const seed of [1, 2, 3, 4, 5, 6])
  for (const from of [0, 11, 40])
    test(`the same as the rows: seed ${seed}, watched from batch ${from} on`, (t) => {
      const place = recorded(t);
      const { store } = place;
      let round = 0;
      for (const batch of batches(place, seed)) {
        if (round === from) look(store);
        store.ingest(batch);
        round += 1;
      }
      const { sessions, open, clients, total, uncounted } = look(store);
      const rows = byRows(store);
      assert.deepEqual(
        sessions.toSorted((a, b) => a.id - b.id),
        rows,
      );
      assert.deepEqual(
        [open, clients, uncounted],
        [rows.length, new Set(rows.map(({ client }) => client)).size, 0],
      );
      for (const key of ['files', 'accesses', 'bytes', 'loss'] as const)
        assert.equal(
          total[key],
          rows.reduce((sum, row) => sum + row[key], 0),
        );
    });

test('the size of an image: regular files, once each, and not what the session made', (t) => {
  const place = recorded(t);
  const { store } = place;
  look(store);
  store.ingest({
    atUs: T0,
    opened: [opened(place, { id: 1 })],
    files: [file(1, 'a'), { ...file(2, 'd'), mode: 0o040755 }, file(3, 'made')],
    accesses: [access(1, 1), access(1, 2), access(1, 3, { created: true })],
  });
  store.ingest({ atUs: T0 + 1, accesses: [access(1, 1)] });
  assert.equal(look(store).sessions[0]?.imageBytes, 10);
  store.endTally();
  assert.equal(look(store).sessions[0]?.imageBytes, 10);
});

test('the most active first, and no more than asked for', (t) => {
  const place = recorded(t);
  const { store } = place;
  look(store);
  store.ingest({
    atUs: T0,
    opened: [1, 2, 3].map((id) => opened(place, { id, client: `10.0.0.${id}` })),
    files: [file(1, 'a')],
    accesses: [access(1, 1), access(2, 1, { count: 50 }), access(3, 1, { count: 7 })],
  });
  const { sessions, open } = look(store, 2);
  assert.deepEqual([open, ...sessions.map(({ id }) => id)], [3, 2, 3]);
});

test('sessions from before are counted a few at a time', (t) => {
  const place = recorded(t);
  const { store, path } = place;
  store.ingest({
    atUs: T0,
    opened: Array.from({ length: 5 }, (_, index) => opened(place, { id: index + 1 })),
    files: [file(1, 'a')],
    accesses: Array.from({ length: 5 }, (_, index) => access(index + 1, 1)),
  });
  const db = new Sqlite(path);
  t.after(() => db.close());
  const tally = new Tally(db, () => 0);
  const seen: number[] = [];
  for (let looks = 0; looks < 6; looks += 1) {
    const { uncounted, open, total } = tally.snapshot(10, T0);
    assert.deepEqual([open, total.files], [5, 5 - uncounted]);
    seen.push(uncounted);
    tally.count(0, T0);
  }
  assert.deepEqual(seen, [5, 4, 3, 2, 1, 0]);
});

test('what cannot be counted stops the counting, not the commits', (t) => {
  const place = recorded(t);
  const { store, path } = place;
  look(store);
  const db = new Sqlite(path);
  t.after(() => db.close());
  store.ingest({ atUs: T0, opened: [opened(place, { id: 1 })], files: [file(1, 'a')] });
  // Enough for an access to be written, and not for its file to be looked up.
  db.exec('ALTER TABLE file RENAME COLUMN size TO length');
  store.ingest({ atUs: T0 + 1, accesses: [access(1, 1)] });
  assert.equal(db.prepare('SELECT count(*) FROM access').pluck().get(), 1);
});

test('the curve: seconds in order, old ones gone, a clock that jumps', () => {
  const curve = new Curve();
  const now = 1000;
  const at = (second: number): number => second * 1e6 + 5;
  for (const [second, count] of [
    [now, 3],
    [now - 1, 2],
    [now, 1],
    [now - CURVE_SECONDS, 99],
    [now - CURVE_SECONDS + 1, 7],
  ] as const)
    curve.add(at(second), count);
  const counts = curve.until(at(now));
  assert.equal(counts.length, CURVE_SECONDS);
  assert.deepEqual([counts[0], ...counts.slice(-3)], [7, 0, 2, 4]);
  assert.deepEqual(curve.until(at(now + 2)).slice(-5), [0, 2, 4, 0, 0]);
  curve.add(at(now + 5000), 8);
  curve.add(at(now + 1), 6);
  curve.until(at(now + 1));
  curve.add(at(now + 1), 1);
  assert.equal(curve.until(at(now + 1)).at(-1), 7);
});

test('the curve moves along when the clock is set', () => {
  for (const step of [-3600e6, 3600e6, -1e6, 7e6]) {
    const curve = new Curve();
    for (let second = 0; second < 400; second += 3) curve.add(T0 + second * 1e6, second + 1);
    const before = curve.until(T0 + 400e6);
    curve.shift(step);
    assert.deepEqual(curve.until(T0 + 400e6 + step), before);
  }
});
