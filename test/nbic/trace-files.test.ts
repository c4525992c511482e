/** `trace-files -t TIMESTAMP -d DIR -o LIST`, which access times made right once and wrong ever after. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { operationBit } from '../../src/common/words.ts';
import { Store } from '../../src/store/store.ts';
import { placeForTests, T0 } from '../support/recorded-place.ts';

/** After all of the sessions that the place has anyway. */
const LATER_US = T0 + 100_000_000;

describe('trace-files', () => {
  const place = placeForTests();
  const { sandbox } = place;
  const read = (name: string): string => readFileSync(sandbox.at(name), 'latin1');
  const files = (words: string) => sandbox.script(sandbox.folder, `trace-files ${words}`);
  const stamp = (name: string, us: number): void => {
    writeFileSync(sandbox.at(name), '');
    utimesSync(sandbox.at(name), 0, us / 1_000_000);
  };
  before(() => {
    recordLater(sandbox.database);
    stamp('TIMESTAMP', LATER_US - 1_000_000);
    stamp('MIDDLE', LATER_US + 5_000_000);
    stamp('LATEST', LATER_US + 50_000_000);
    stamp('FIRST', T0);
  });

  test('what was used since, of every client; not what the sessions made', async () => {
    const { text, stderr } = await files('-t TIMESTAMP -d root/ -o sarge.list');
    assert.equal(read('sarge.list'), 'bin/tool\ninit\n');
    assert.match(
      text,
      /^sarge\.list: 2 paths since 2023-\S+Z, of session-6 \(10\.0\.0\.7\), session-7 \(10\.0\.0\.8\)\n$/,
    );
    assert.equal(stderr, '1 files that the sessions themselves made are left out\n');
    const told = await files('-t TIMESTAMP -d root -o sarge.json --json');
    assert.deepEqual((told.json as { sessions: string[] }).sessions, ['session-6', 'session-7']);
  });

  test('the same bytes again, whatever was read on the server meanwhile', async () => {
    const before = read('sarge.list');
    execFileSync('find', [place.root, '-type', 'f', '-exec', 'cat', '{}', '+'], {
      stdio: 'ignore',
    });
    execFileSync('find', [place.root, '-type', 'f', '-exec', 'touch', '{}', '+']);
    await files('-t TIMESTAMP -d root -o sarge.list');
    assert.equal(read('sarge.list'), before);
  });

  test('only the files, too: those of a session that began before', async () => {
    const { stdout, stderr } = await files('-t MIDDLE -d root');
    assert.equal(stdout.toString(), 'init\n');
    assert.match(
      stderr,
      /^warning: session-6 began before that: .*\nhint: .*\n1 paths since .*, of session-6/,
    );
  });

  test('a time instead of a file', async () => {
    const at = new Date((LATER_US - 1_000_000) / 1000).toISOString();
    const { stdout } = await files(`-t ${at} -d root`);
    assert.equal(stdout.toString(), read('sarge.list'));
  });

  test('names with newlines need -0, which nbic takes', async () => {
    const line = `trace-files -t FIRST -d root --accept-loss`;
    const without = await sandbox.tryScript(sandbox.folder, `${line} -o never.list`);
    assert.match(without.stderr, /^error: a name holds a newline: .*\nhint: use -0/m);
    assert.equal(without.code, 65);
    assert.ok(!existsSync(sandbox.at('never.list')));
    const { text } = await sandbox.script(
      sandbox.folder,
      `${line} -0 -o all.list 2>talk; nbic -d root --list all.list -o all.cpio; cpio-list -0 all.cpio`,
    );
    assert.ok(text.split('\0').includes('etc/with\nnewline'));
    assert.match(read('talk'), /^warning: session-3 still open: /m);
    assert.match(read('talk'), /^warning: listed from doubtful sessions: loss 3, partial 1$/m);
  });

  const refused: readonly [what: string, words: string, code: number, said: RegExp][] = [
    [
      'doubtful sessions',
      '-t FIRST -d root',
      65,
      /3 events may be missing in session-2; session-3 began/,
    ],
    ['no moment', '-d root', 64, /the option -t <file> is missing/],
    ['no root', '-t FIRST', 64, /the option -d <dir> is missing/],
    ['a file that is not there', '-t NEVER -d root', 66, /cannot look at NEVER: ENOENT/],
    ['a time that is none', '-t 2023-99-99T -d root', 64, /'2023-99-99T' is not a time/],
    [
      'a root that was never recorded',
      '-t FIRST -d elsewhere',
      66,
      /elsewhere has never been recorded/,
    ],
    ['nothing since', '-t LATEST -d root', 66, /no client has used \S+root since 2023-\S+Z/],
  ];
  for (const [what, words, code, said] of refused)
    test(`refused: ${what}`, async () => {
      const ran = await sandbox.tryScript(sandbox.folder, `trace-files ${words} -o never.list`);
      assert.match(ran.stderr, said);
      assert.match(ran.stderr, /^error: .*\nhint: .*\n$/);
      assert.equal(ran.code, code);
      assert.ok(!existsSync(sandbox.at('never.list')));
    });
});

/** Two sessions more, whole ones, of the root that is there; the first made a file. */
function recordLater(database: string): void {
  const store = Store.open({ path: database });
  try {
    const [first] = store.sessions();
    assert.ok(first !== undefined);
    const { rootId, recordingId } = first;
    const session = (id: number, client: string) => ({
      ...{ id, rootId, recordingId, client, partial: false },
      evidence: { kind: 'nfs3-mount' as const },
      openedUs: LATER_US,
      lastUs: LATER_US,
    });
    const access = (sessionId: number, fileId: number, lastUs: number, created = false) => ({
      ...{ sessionId, fileId, created, order: fileId, lastUs, firstUs: LATER_US },
      operations: operationBit(created ? 'create' : 'read'),
      count: 1,
      bytes: 1,
      evidence: 'nfsd' as const,
    });
    const made = store.nextIds().file;
    store.ingest({
      atUs: LATER_US + 9_000_000,
      opened: [session(6, '10.0.0.7'), session(7, '10.0.0.8')],
      files: [
        {
          ...{ id: made, rootId, handle: null, dev: 1, inode: 99n, mode: 0o100644, uid: 0, gid: 0 },
          ...{ size: 0, mtimeNs: 0n, nlink: 1, names: [Buffer.from(join('etc', 'made'))] },
        },
      ],
      accesses: [
        access(6, 1, LATER_US + 9_000_000),
        access(6, made, LATER_US + 1_000_000, true),
        access(7, 2, LATER_US + 1_000_000),
      ],
      closed: [6, 7].map((id) => ({ id, reason: 'stop', atUs: LATER_US + 9_000_000 })),
    });
  } finally {
    store.close();
  }
}
