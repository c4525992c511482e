/** Opening: what is refused and how it is said, migrations, and readers of other users. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import Sqlite from 'better-sqlite3';
import { TraceError } from '../../src/common/errors.ts';
import { MIGRATIONS } from '../../src/store/migrations.ts';
import { Store } from '../../src/store/store.ts';
import { lacks } from '../capabilities.ts';
import { opened, openFor, recorded, T0, temporaryFolder } from './fixtures.ts';

const CHILD = new URL('child-reader.ts', import.meta.url).pathname;
/** Root, to become another user and to mount. */
const skip = lacks('root', 'mount');

function refused(path: string, readOnly: boolean, code: string, exit: string): void {
  assert.throws(
    () => Store.open({ path, readOnly }),
    (error: unknown) => {
      assert.ok(error instanceof TraceError, String(error));
      assert.equal(error.code, code);
      assert.equal(error.exit, exit);
      assert.ok(error.message.includes(path), error.message);
      assert.ok(error.hint);
      return true;
    },
  );
}

test('a reader finds nothing where nothing is', (t) => {
  const path = join(temporaryFolder(t), 'trace.db');
  refused(path, true, 'database-missing', 'notFound');
  assert.equal(existsSync(path), false);
});

test('the writer makes the file and the folders above it', (t) => {
  const path = join(temporaryFolder(t), 'var', 'lib', 'trace.db');
  openFor(t, path).close();
  assert.deepEqual(openFor(t, path, true).sessions(), []);
});

test('a closed database is one file', (t) => {
  const { store, path } = recorded(t);
  store.close();
  store.close();
  assert.deepEqual(readdirSync(join(path, '..')), ['trace.db']);
});

test('a name that looks like a URI is a name', (t) => {
  const folder = temporaryFolder(t);
  const before = process.cwd();
  process.chdir(folder);
  t.after(() => process.chdir(before));
  openFor(t, 'file:x.db?mode=memory').close();
  assert.deepEqual(readdirSync(folder), ['file:x.db?mode=memory']);
});

test('what is not a database', (t) => {
  const path = join(temporaryFolder(t), 'trace.db');
  writeFileSync(path, 'This is a shopping list.\n'.repeat(100));
  refused(path, true, 'database-damaged', 'data');
  refused(path, false, 'database-damaged', 'data');
  assert.ok(readFileSync(path, 'utf8').startsWith('This is'));
});

test('a damaged database', (t) => {
  const { store, path } = recorded(t);
  store.close();
  const bytes = readFileSync(path);
  bytes.fill(0xa5, 100, 4_000);
  writeFileSync(path, bytes);
  refused(path, true, 'database-damaged', 'data');
});

test("another program's database", (t) => {
  const path = join(temporaryFolder(t), 'trace.db');
  const other = new Sqlite(path);
  other.exec('CREATE TABLE recipe (name TEXT)');
  other.close();
  refused(path, true, 'database-foreign', 'data');
  refused(path, false, 'database-foreign', 'data');
});

test('a database that is newer than the program is left alone', (t) => {
  const { store, path } = recorded(t);
  store.close();
  const newer = new Sqlite(path);
  newer.pragma('user_version = 99');
  newer.close();
  const before = readFileSync(path);
  refused(path, true, 'database-newer', 'data');
  refused(path, false, 'database-newer', 'data');
  assert.deepEqual(readFileSync(path), before);
});

/** The project's migrations and one more. */
function futureMigrations(t: TestContext, sql: string): string {
  const folder = join(temporaryFolder(t), 'migrations');
  cpSync(MIGRATIONS, folder, { recursive: true });
  const number = String(readdirSync(folder).length + 1).padStart(4, '0');
  writeFileSync(join(folder, `${number}_future.sql`), sql);
  return folder;
}

test('a migration keeps a copy first, and only the writer makes it', (t) => {
  const recording = recorded(t);
  const { store, path } = recording;
  store.ingest({ atUs: T0, opened: [opened(recording, { id: 1 })] });
  store.close();
  const migrations = futureMigrations(t, 'ALTER TABLE root ADD COLUMN note TEXT;');
  assert.throws(() => Store.open({ path, migrations, readOnly: true }), { code: 'database-older' });
  const migrated = Store.open({ path, migrations });
  assert.deepEqual(
    migrated.sessions().map(({ id }) => id),
    [1],
  );
  migrated.close();
  const version = readdirSync(MIGRATIONS).length;
  assert.deepEqual(
    openFor(t, `${path}.v${version}`, true)
      .sessions()
      .map(({ id }) => id),
    [1],
  );
  refused(path, false, 'database-newer', 'data');
  Store.open({ path, migrations, readOnly: true }).close();
});

test('a migration that fails changes nothing', (t) => {
  const { store, path } = recorded(t);
  store.close();
  const migrations = futureMigrations(t, 'CREATE TABLE half (x INTEGER) STRICT; SELECT nonsense;');
  assert.throws(() => Store.open({ path, migrations }), /nonsense/);
  assert.equal(openFor(t, path).roots().length, 1);
});

test('migrations are numbered without a gap', (t) => {
  const folder = temporaryFolder(t);
  writeFileSync(join(folder, '0002_second.sql'), '');
  const path = join(folder, 'trace.db');
  assert.throws(() => Store.open({ path, migrations: folder }), /should have the number 1/);
});

test('a reader does not write', (t) => {
  const { store, path } = recorded(t);
  const reader = openFor(t, path, true);
  assert.throws(() => reader.ensureRoot(Buffer.from('/x')), { code: 'database-read-only' });
  store.ensureRoot(Buffer.from('/y'));
  assert.equal(reader.roots().length, 2);
});

test('a reader that stays open does not hold up the writer', (t) => {
  const { store, path } = recorded(t);
  const reader = openFor(t, path, true);
  assert.equal(reader.roots().length, 1);
  store.close();
  const again = openFor(t, path);
  again.ensureRoot(Buffer.from('/y'));
  assert.equal(reader.roots().length, 2);
});

test('a full disk is an error with a hint, and nothing is half there', { skip }, (t) => {
  const folder = temporaryFolder(t);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=512k', 'tmpfs', folder]);
  try {
    const store = Store.open({ path: join(folder, 'trace.db') });
    const rootId = store.ensureRoot(Buffer.from('/nfsroots/sarge'));
    const start = { rootId, label: null, clients: [], tier: 'exact', atUs: T0 } as const;
    const recording = { store, path: store.path, rootId, recordingId: store.startRecording(start) };
    const names = [Buffer.alloc(4_000, 0x61)];
    const files = Array.from({ length: 400 }, (_, index) => ({
      ...fileRow(index + 1),
      names,
    }));
    store.ingest({ atUs: T0, opened: [opened(recording, { id: 1 })] });
    assert.throws(() => store.ingest({ atUs: T0 + 1, files }), {
      code: 'database-full',
      exit: 'io',
    });
    assert.equal(store.lastIngestUs(), T0);
    assert.equal(store.nextIds().file, 1);
    store.close();
  } finally {
    execFileSync('umount', [folder]);
  }
});

function fileRow(id: number) {
  return {
    id,
    rootId: 1,
    handle: null,
    dev: 1,
    inode: 1n,
    mode: 0,
    uid: 0,
    gid: 0,
    size: 0,
    mtimeNs: 0n,
    nlink: 1,
  };
}

/** What a program of user `nobody` sees. */
function asNobody(t: TestContext, path: string): unknown {
  const migrations = join(temporaryFolder(t), 'migrations');
  cpSync(MIGRATIONS, migrations, { recursive: true });
  chmodSync(join(migrations, '..'), 0o755);
  const args = [CHILD, path, migrations];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: 'utf8' }));
}

/** A database with session 1, in a folder that others may read and not write. */
function shared(t: TestContext): { store: Store; path: string } {
  const recording = recorded(t);
  const { store, path } = recording;
  chmodSync(join(path, '..'), 0o755);
  store.ingest({ atUs: T0, opened: [opened(recording, { id: 1 })] });
  return recording;
}

test('another user reads while the daemon writes', { skip }, (t) => {
  const { store, path } = shared(t);
  assert.deepEqual(asNobody(t, path), { sessions: [1], copied: false });
  store.ingest({ atUs: T0 + 1 });
});

test('another user reads when no daemon runs', { skip }, (t) => {
  const { store, path } = shared(t);
  store.close();
  assert.deepEqual(asNobody(t, path), { sessions: [1], copied: false });
  assert.deepEqual(readdirSync(join(path, '..')), ['trace.db']);
});

/** The three files as a killed daemon leaves them. */
function leftovers(t: TestContext): string {
  const { path } = shared(t);
  const folder = join(temporaryFolder(t), 'left');
  mkdirSync(folder, { mode: 0o755 });
  chmodSync(join(folder, '..'), 0o755);
  for (const suffix of ['', '-wal', '-shm'])
    copyFileSync(path + suffix, join(folder, `trace.db${suffix}`));
  assert.ok(statSync(join(folder, 'trace.db-wal')).size > 0);
  return join(folder, 'trace.db');
}

test('another user reads what a killed daemon left', { skip }, (t) => {
  assert.deepEqual(asNobody(t, leftovers(t)), { sessions: [1], copied: false });
});

test('... and when only the log is left of it', { skip }, (t) => {
  const path = leftovers(t);
  rmSync(`${path}-shm`);
  assert.deepEqual(asNobody(t, path), { sessions: [1], copied: true });
});

test('... and root reads both', (t) => {
  const path = leftovers(t);
  assert.equal(openFor(t, path, true).sessions().length, 1);
  const other = leftovers(t);
  rmSync(`${other}-shm`);
  assert.equal(openFor(t, other, true).sessions().length, 1);
});

test('a database that this user may not read says so', { skip }, (t) => {
  const { store, path } = shared(t);
  store.close();
  chmodSync(path, 0o600);
  assert.deepEqual(asNobody(t, path), { code: 'database-unreadable', exit: 'permission' });
});
