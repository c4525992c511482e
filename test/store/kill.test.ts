/** `kill -9` at any moment: what was acknowledged is there, the database is sound. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import Sqlite from 'better-sqlite3';
import { openFor, temporaryFolder } from './fixtures.ts';

const CHILD = new URL('child-writer.ts', import.meta.url).pathname;
const ROUNDS = 6;

test('a killed recorder loses nothing that it had committed', async (t) => {
  const path = join(temporaryFolder(t), 'trace.db');
  let acknowledged = 0;
  for (let round = 1; round <= ROUNDS; round += 1) {
    const child = spawn(process.execPath, [CHILD, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.on('data', (data: Buffer) => (output += data.toString()));
    await once(child.stdout, 'data');
    await sleep(23 * round);
    child.kill('SIGKILL');
    await once(child, 'close');
    const lines = output.split('\n').slice(0, -1);
    acknowledged = Number(lines.at(-1));
    assert.ok(lines.length > 0);

    const reader = openFor(t, path, true);
    assert.ok(reader.sessions().length >= acknowledged, `round ${round}`);
    reader.close();
    const database = new Sqlite(path);
    assert.equal(database.pragma('integrity_check', { simple: true }), 'ok');
    assert.deepEqual(database.pragma('foreign_key_check'), []);
    database.close();
    const store = openFor(t, path);
    for (const { id, files } of store.sessions()) assert.equal(files, 200, `session ${id}`);
    assert.equal(store.nextIds().session, store.sessions().length + 1);
    store.close();
  }
  assert.ok(acknowledged > ROUNDS);
});
