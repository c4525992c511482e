/** Names that sessions looked for in vain: kept, bounded, and never a way out of the root. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Database from 'better-sqlite3';
import { MOST_MISSING } from '../../src/store/missing-lookups.ts';
import type { MissingLookup } from '../../src/store/store.ts';
import { access, file, opened, openFor, recorded, T0 } from './fixtures.ts';

function missing(name: string | Buffer, more: Partial<MissingLookup> = {}): MissingLookup {
  return {
    sessionId: 1,
    directoryId: 1,
    name: Buffer.from(name),
    count: 1,
    firstUs: T0,
    lastUs: T0,
    ...more,
  };
}

test('counts are summed by directory and name; paths are those of the session', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  store.ingest({
    atUs: T0,
    opened: [opened(recording, { id: 1 }), opened(recording, { id: 2 })],
    files: [file(1, 'etc'), file(2, ''), file(3)],
    accesses: [1, 2, 3].map((id) => access(1, id)),
    missing: [missing('nope', { count: 2, lastUs: T0 + 9 }), missing('\xff\n', { directoryId: 2 })],
  });
  store.ingest({
    atUs: T0 + 1,
    missing: [missing('nope', { firstUs: T0 - 5 }), missing('lost', { directoryId: 3 })],
    missingDropped: [{ sessionId: 1, count: 4 }],
  });
  // What happens to the directory later is no business of a session that has ended.
  store.ingest({ atUs: T0 + 2, closed: [{ id: 1, reason: 'stop', atUs: T0 }] });
  store.ingest({
    atUs: T0 + 3,
    names: [
      { fileId: 1, path: Buffer.from('etc'), change: 'removed' },
      { fileId: 1, path: Buffer.from('old'), change: 'added' },
    ],
  });
  assert.deepEqual(
    store
      .missing(1)
      .map(({ path, name, count }) => [path?.toString() ?? null, name.toString(), count]),
    [
      ['etc/nope', 'nope', 3],
      ['\xff\n', '\xff\n', 1],
      [null, 'lost', 1],
    ],
  );
  const [first] = store.missing(1);
  assert.deepEqual([first?.firstUs, first?.lastUs], [T0 - 5, T0 + 9]);
  assert.deepEqual(store.missingTotal(1), { names: 3, dropped: 4 });
  assert.deepEqual(store.missing(2), []);
  assert.deepEqual(store.missingTotal(2), { names: 0, dropped: 0 });
  assert.equal(store.session(1)?.loss, 0, 'no loss');
});

test('a session has so many names and no more; known ones still count', (t) => {
  const recording = recorded(t);
  const { store, path } = recording;
  const names = Array.from({ length: MOST_MISSING + 10 }, (_, i) =>
    missing(`name ${i}`, { count: 2 }),
  );
  store.ingest({
    atUs: T0,
    opened: [opened(recording, { id: 1 }), opened(recording, { id: 2 })],
    files: [file(1, 'etc')],
    accesses: [access(1, 1)],
    missing: names,
  });
  assert.deepEqual(store.missingTotal(1), { names: MOST_MISSING, dropped: 20 });
  store.close();
  const again = openFor(t, path);
  again.ingest({
    atUs: T0 + 1,
    missing: [missing('name 7'), missing('one more'), missing('other', { sessionId: 2 })],
  });
  assert.deepEqual(again.missingTotal(1), { names: MOST_MISSING, dropped: 21 });
  assert.equal(again.missing(1).find(({ name }) => name.toString() === 'name 7')?.count, 3);
  assert.deepEqual(again.missingTotal(2), { names: 1, dropped: 0 });
});

test('a database that somebody else wrote: a name that is no name is damage', (t) => {
  const recording = recorded(t);
  const { store, path } = recording;
  store.ingest({ atUs: T0, opened: [opened(recording, { id: 1 })], files: [file(1, 'etc')] });
  store.close();
  for (const name of ['..', 'a/b', '']) {
    const db = new Database(path);
    db.exec('DELETE FROM missing_lookup');
    db.prepare('INSERT INTO missing_lookup VALUES (1, 1, ?, 1, 0, 0)').run(Buffer.from(name));
    db.close();
    const damaged = openFor(t, path, true);
    assert.throws(() => damaged.missing(1), { code: 'database-damaged' });
    damaged.close();
  }
});
