/** What an access costs: bytes on disk and processor time, in the worst order there is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { access, file, opened, recorded, T0 } from './fixtures.ts';

const FILES = 40_000;
const BATCH = 5_000;
const MAX_BYTES = 120;
const MIN_A_SECOND = 100_000;

test('an access row, indexes included, is small, and writing it is fast', (t) => {
  const recording = recorded(t);
  const { store, path } = recording;
  const ids = Array.from({ length: FILES }, (_, index) => index + 1);
  store.ingest({
    atUs: T0,
    opened: [opened(recording, { id: 1 }), opened(recording, { id: 2 })],
    files: ids.map((id) => file(id, `usr/lib/x86_64-linux-gnu/package/library-${id}.so`)),
  });
  // 7,919 is prime to the number of files: every file once, far from the one before.
  const shuffled = ids.map((_, index) => 1 + ((index * 7_919) % FILES));
  const rows = [1, 2, 1, 2].flatMap((session) =>
    shuffled.map((id, order) =>
      access(session, id, {
        count: 1 + (id % 300),
        bytes: id * 97,
        lastUs: T0 + id * 1_001,
        order: 1_000_000 + order,
      }),
    ),
  );
  const before = process.cpuUsage();
  for (let from = 0; from < rows.length; from += BATCH)
    store.ingest({ atUs: T0 + from, accesses: rows.slice(from, from + BATCH) });
  const { user, system } = process.cpuUsage(before);
  const rate = rows.length / ((user + system) / 1e6);
  store.close();

  const database = new Sqlite(path, { readonly: true });
  const bytesOf = (tables: string): number =>
    database
      .prepare(`SELECT sum(pgsize) FROM dbstat WHERE name IN (${tables})`)
      .pluck()
      .get() as number;
  const perAccess = bytesOf("'access'") / (2 * FILES);
  const perFile = bytesOf("'file', 'name', 'sqlite_autoindex_file_1'") / FILES;
  database.close();
  t.diagnostic(`${perAccess.toFixed(1)} bytes an access row, ${perFile.toFixed(1)} a file`);
  t.diagnostic(`${Math.round(rate)} access updates a second of processor time`);
  assert.ok(perAccess <= MAX_BYTES);
  assert.ok(rate >= MIN_A_SECOND);
});
