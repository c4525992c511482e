/** What can be salvaged of a damaged database, and that the damaged one is never touched. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  lchownSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import Sqlite from 'better-sqlite3';
import { operationBit } from '../../src/common/words.ts';
import { lockDatabase } from '../../src/store/lock.ts';
import { repairDatabase } from '../../src/store/repair.ts';
import { Store } from '../../src/store/store.ts';

const PAGE = 4096;
const T0 = 1_700_000_000_000_000;
const SESSIONS = 20;
const FILES = 400;
/** Longer than a page: its row goes on in others. */
const LONG = Buffer.from(`deep/${'x'.repeat(255)}/`.repeat(20) + 'end');

/** A database with enough in it that every table of accesses and files has several pages. */
function makeDatabase(path: string): void {
  const store = Store.open({ path });
  const rootId = store.ensureRoot(Buffer.from('/nfsroots/sarge'));
  const recordingId = store.startRecording({
    rootId,
    label: null,
    clients: [],
    tier: 'exact',
    atUs: T0,
  });
  const files = Array.from({ length: FILES }, (_, index) => ({
    id: index + 1,
    rootId,
    handle: { type: 1, bytes: Buffer.from(`handle${String(index).padStart(6, '0')}`) },
    dev: 1,
    inode: BigInt(index),
    mode: 0o100644,
    uid: 0,
    gid: 0,
    size: 10,
    mtimeNs: 0n,
    nlink: 1,
    names: [index === 7 ? LONG : Buffer.from(`usr/share/some/folder/file-${index}`)],
  }));
  store.ingest({ atUs: T0, files });
  for (let id = 1; id <= SESSIONS; id += 1) {
    const atUs = T0 + id * 1_000_000;
    store.ingest({
      atUs,
      opened: [
        {
          id,
          client: `10.0.0.${id}`,
          rootId,
          recordingId,
          evidence: { kind: 'nfs3-mount' },
          partial: false,
          openedUs: atUs,
          lastUs: atUs,
        },
      ],
      accesses: files.map((file, order) => ({
        sessionId: id,
        fileId: file.id,
        operations: operationBit('read'),
        count: 1,
        bytes: 10,
        firstUs: atUs,
        lastUs: atUs,
        order,
        evidence: 'nfsd' as const,
      })),
      closed: [{ id, reason: 'boot', atUs: atUs + 500_000 }],
    });
  }
  store.close();
}

interface Seen {
  readonly sessions: ReadonlyMap<number, { readonly files: number; readonly loss: number }>;
  readonly names: number;
}

function look(path: string): Seen {
  const store = Store.open({ path, readOnly: true });
  try {
    const sessions = store.sessions();
    const [first] = sessions;
    return {
      sessions: new Map(sessions.map(({ id, files, loss }) => [id, { files, loss }])),
      names: first === undefined ? 0 : store.list(first.id).length,
    };
  } finally {
    store.close();
  }
}

describe('repair', () => {
  let made: string;
  let original: Buffer;
  before(() => {
    made = mkdtempSync(join(tmpdir(), 'repair-made-'));
    makeDatabase(join(made, 'trace.db'));
    original = readFileSync(join(made, 'trace.db'));
  });
  after(() => rmSync(made, { recursive: true }));

  const placed = (t: TestContext, content: Buffer): string => {
    const folder = mkdtempSync(join(tmpdir(), 'repair-'));
    t.after(() => rmSync(folder, { recursive: true }));
    writeFileSync(join(folder, 'trace.db'), content, { mode: 0o640 });
    return join(folder, 'trace.db');
  };
  const damaged = (change: (content: Buffer) => Buffer | undefined): Buffer => {
    const content = Buffer.from(original);
    return change(content) ?? content;
  };
  const repair = (path: string) => repairDatabase({ path, atUs: T0 + 1e9 });

  test('a sound one is left alone', (t) => {
    const path = placed(t, original);
    const report = repair(path);
    assert.deepEqual([report.sound, report.sessions, report.kept], [true, SESSIONS, null]);
    assert.deepEqual(readFileSync(path), original);
  });

  test('refused by the daemon and by readers, with the hint that leads here', (t) => {
    const path = placed(
      t,
      damaged((all) => void all.fill(0, 4 * PAGE, 12 * PAGE)),
    );
    const expected = { code: 'database-damaged', exit: 'data', hint: /--repair/ };
    assert.throws(() => Store.open({ path }), expected);
    const cut = placed(
      t,
      damaged((all) => all.subarray(0, all.length / 2)),
    );
    assert.throws(() => Store.open({ path: cut }), expected);
    const garbage = placed(
      t,
      damaged((all) => void all.fill(0x5a, 0, 100)),
    );
    assert.throws(() => Store.open({ path: garbage }), expected);
    assert.throws(() => Store.open({ path: garbage, readOnly: true }), expected);
  });

  test('a garbage header: everything is there', (t) => {
    const content = damaged((all) => void all.fill(0x5a, 0, 100));
    const path = placed(t, content);
    const report = repair(path);
    assert.equal(report.sound, false);
    assert.equal(report.rows['access'], SESSIONS * FILES);
    assert.equal(report.rows['name'], FILES);
    assert.deepEqual([report.lostRows, report.mended], [0, []]);
    const { sessions, names } = look(path);
    assert.equal(sessions.size, SESSIONS);
    for (const { files, loss } of sessions.values())
      assert.deepEqual([files, loss], [FILES, 1], 'whole, and in doubt');
    assert.equal(names, FILES, 'the long one too');
    assert.deepEqual(readFileSync(report.kept ?? ''), content, 'the damaged one is as it was');
    assert.equal(statSync(path).mode & 0o777, 0o640, 'its owner may go on writing');
  });

  test('cut in half: what is there is kept, and what it refers to is made up', (t) => {
    const content = damaged((all) => all.subarray(0, Math.floor(all.length / 2) + 77));
    const path = placed(t, content);
    const report = repair(path);
    assert.ok(report.file.missing > 0);
    assert.ok((report.rows['access'] ?? 0) > 0);
    const { sessions } = look(path);
    assert.ok(sessions.size > 0);
    for (const { loss } of sessions.values()) assert.ok(loss >= report.file.missing);
    assert.deepEqual(readFileSync(report.kept ?? ''), content);
  });

  test('again and again, over any pages: it never fails, and the result is sound', (t) => {
    const pages = original.length / PAGE;
    let state = 42;
    const random = (below: number): number => {
      state = (state * 1_103_515_245 + 12_345) & 0x7fffffff;
      return state % below;
    };
    for (let round = 0; round < 10; round += 1) {
      const hit = new Set(Array.from({ length: 1 + random(8) }, () => random(pages)));
      const fill = round % 3 === 0 ? 0 : random(256);
      const path = placed(
        t,
        damaged((all) => {
          for (const page of hit)
            if (round % 2 === 0) all.fill(fill, page * PAGE, (page + 1) * PAGE);
            else for (let at = 0; at < PAGE; at += 1) all[page * PAGE + at] = random(256);
        }),
      );
      const report = repair(path);
      if (report.sound) continue;
      const db = new Sqlite(path, { readonly: true });
      assert.equal(db.pragma('integrity_check', { simple: true }), 'ok');
      assert.deepEqual(db.pragma('foreign_key_check'), []);
      db.close();
      const { sessions } = look(path);
      for (const [id, { loss }] of sessions) assert.ok(loss > 0, `session-${id} says so`);
      assert.ok((report.rows['access'] ?? 0) >= SESSIONS * FILES - hit.size * 200);
      // It goes on as a database: numbers that were given out are not given out again.
      const store = Store.open({ path });
      assert.ok(store.nextIds().session > Math.max(0, ...sessions.keys()));
      store.close();
    }
  });

  test('a log that is gone: what was checkpointed is there', (t) => {
    const path = placed(t, original);
    const store = Store.open({ path });
    store.addMark({ text: 'in the log', atUs: T0, sessionIds: [1] });
    const copy = placed(t, readFileSync(path));
    store.close();
    const report = repair(copy);
    assert.equal(report.sessions, SESSIONS);
  });

  test('twice at the same moment: what was kept first is not overwritten', (t) => {
    const path = placed(
      t,
      damaged((all) => void all.fill(0x5a, 0, 100)),
    );
    const first = repair(path);
    writeFileSync(
      path,
      damaged((all) => void all.fill(0x5a, 0, 100)),
    );
    const second = repair(path);
    assert.notEqual(first.kept, second.kept);
    const folder = readdirSync(join(path, '..'));
    assert.equal(folder.filter((name) => name.includes('.damaged-')).length, 2);
  });

  test("another program's is never replaced, with an application's number or without", (t) => {
    const foreign = placed(t, Buffer.alloc(0));
    const db = new Sqlite(foreign);
    db.exec('CREATE TABLE notes (id INTEGER PRIMARY KEY, path BLOB NOT NULL) STRICT');
    const add = db.prepare('INSERT INTO notes (path) VALUES (?)');
    db.transaction(() => {
      for (let row = 0; row < 1000; row += 1) add.run(Buffer.from(`a note ${row}`));
    })();
    db.close();
    const intact = readFileSync(foreign);
    const headless = Buffer.from(intact);
    headless.fill(0x5a, 0, 100);
    const schemaless = Buffer.from(intact);
    schemaless.fill(0, 0, PAGE);
    const text = Buffer.from('no database at all '.repeat(1000));
    for (const content of [intact, headless, schemaless, text]) {
      const path = placed(t, content);
      assert.throws(() => repair(path), { code: 'database-foreign', exit: 'data' });
      assert.deepEqual(readFileSync(path), content);
      assert.deepEqual(readdirSync(join(path, '..')).sort(), ['trace.db', 'trace.db.lock']);
    }
  });

  /** With a label that is only in the log, and a header that is none. */
  const withLog = (t: TestContext): string => {
    const path = placed(t, original);
    const db = new Sqlite(path);
    db.pragma('journal_mode = WAL');
    db.pragma('wal_autocheckpoint = 0');
    db.prepare("UPDATE client SET label = 'of the log' WHERE id = 1").run();
    const copy = placed(
      t,
      damaged((all) => void all.fill(0x5a, 0, PAGE)),
    );
    copyFileSync(`${path}-wal`, `${copy}-wal`);
    db.close();
    return copy;
  };
  const labelIn = (path: string): unknown => {
    const db = new Sqlite(path, { readonly: true });
    try {
      return db.prepare('SELECT label FROM client WHERE id = 1').pluck().get();
    } finally {
      db.close();
    }
  };

  test('what is only in the write-ahead log is salvaged too', (t) => {
    const path = withLog(t);
    const report = repair(path);
    assert.equal(report.sound, false);
    assert.equal(labelIn(path), 'of the log');
    assert.ok(existsSync(`${report.kept ?? ''}-wal`), 'the log is kept beside it');
    assert.equal(existsSync(`${path}-wal`), false, 'and nowhere else');
  });

  test('by a link: the log lies beside the file, and the link stays', (t) => {
    const real = withLog(t);
    const link = join(placed(t, Buffer.alloc(0)), '../link.db');
    symlinkSync(real, link);
    const report = repair(link);
    assert.equal(labelIn(real), 'of the log');
    assert.equal(readlinkSync(link), real);
    assert.ok(report.kept?.startsWith(`${real}.damaged-`));
  });

  test('only a file is replaced, and root follows no link of another user', (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'repair-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const repair = (name: string) => () => repairDatabase({ path: join(folder, name), atUs: T0 });
    execFileSync('mkfifo', [join(folder, 'fifo')]);
    symlinkSync('fifo', join(folder, 'to-fifo'));
    mkdirSync(join(folder, 'folder'));
    for (const name of ['fifo', 'to-fifo', 'folder'])
      assert.throws(repair(name), { code: 'database-foreign', exit: 'data' });
    assert.throws(() => Store.open({ path: join(folder, 'fifo'), readOnly: true }), {
      code: 'database-foreign',
    });

    writeFileSync(join(folder, 'small'), 'of nobody');
    symlinkSync('elsewhere', join(folder, 'small.lock'));
    assert.throws(repair('small'), { code: 'lock-not-writable' });
    assert.equal(existsSync(join(folder, 'elsewhere')), false);
    rmSync(join(folder, 'small.lock'));
    if (process.geteuid?.() !== 0) return;
    symlinkSync('small', join(folder, 'link'));
    lchownSync(join(folder, 'link'), 65534, 65534);
    assert.throws(repair('link'), { code: 'database-link', exit: 'permission' });
    assert.equal(readFileSync(join(folder, 'small'), 'utf8'), 'of nobody');
  });

  test('ended between its steps, it goes on with the log that it has put aside', (t) => {
    const path = withLog(t);
    const kept = `${path}.damaged-20260101T000000Z`;
    for (const suffix of ['', '-wal']) linkSync(path + suffix, kept + suffix);
    rmSync(`${path}-wal`);
    mkdirSync(`${path}.repairing-abcdef`);
    assert.equal(repair(path).kept, kept);
    assert.equal(labelIn(path), 'of the log');
    const folder = readdirSync(join(path, '..')).filter((name) => name !== 'trace.db.lock');
    assert.deepEqual(
      folder.sort(),
      ['', '.damaged-20260101T000000Z', '.damaged-20260101T000000Z-wal'].map(
        (end) => `trace.db${end}`,
      ),
    );
  });

  test('not while a daemon has it, not one that is newer, foreign or not there', (t) => {
    const path = placed(
      t,
      damaged((all) => void all.fill(0, 4 * PAGE, 12 * PAGE)),
    );
    const lock = lockDatabase(path);
    assert.throws(() => repair(path), { code: 'daemon-running' });
    lock.release();
    const change = (pragma: string): string => {
      const other = placed(t, original);
      const db = new Sqlite(other);
      db.pragma(pragma);
      db.close();
      return other;
    };
    assert.throws(() => repair(change('user_version = 999')), { code: 'database-newer' });
    assert.throws(() => repair(change('application_id = 7')), { code: 'database-foreign' });
    assert.throws(() => repair(join(path, '../nothing.db')), { code: 'database-missing' });
  });
});
