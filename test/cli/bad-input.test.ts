/** Whatever can be asked wrongly: the message, the hint, the exit code, and nothing left behind. */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { placeForTests, SESSIONS } from '../support/recorded-place.ts';

const place = placeForTests();
const { sandbox } = place;

const EXPORT = ['export', '1', '-o', 'x'];

describe('usage', () => {
  const cases: readonly (readonly [string, readonly string[], RegExp, RegExp])[] = [
    ['an unknown command', ['exprot'], /unknown command 'exprot'/, /Did you mean export\?/],
    [
      'an unknown option',
      ['start', '--rot', '/x'],
      /unknown option '--rot'/,
      /Did you mean --root\?/,
    ],
    ['a root that is empty', ['start', '--root', ''], /--root is empty/, /nfsroots/],
    ['an option that is missing', ['start'], /the option --root <dir> is missing/, /--help/],
    ['an output that is missing', ['export', '1'], /the option -o <file> is missing/, /--help/],
    [
      'a client that is missing',
      ['session', 'new'],
      /the option --client <ip> is missing/,
      /--help/,
    ],
    ['an argument that is missing', ['show'], /missing required argument 'session'/, /--help/],
    ['an argument too many', ['status', 'now'], /too many arguments/, /--help/],
    ['a value that is missing', ['export', '1', '-o'], /argument missing/, /--help/],
    ['not a session', ['show', 'sarge'], /sarge/, /session-42/],
    [
      'several sessions where one is meant',
      ['files', '1+2'],
      /more than one session/,
      /session-42/,
    ],
    ['an unknown format', [...EXPORT, '--format', 'odc'], /no format 'odc'/, /newc-crc/],
    ['an unknown compression', [...EXPORT, '--compress', 'bzip2'], /'bzip2'/, /zstd:19/],
    ['no level', [...EXPORT, '--compress', 'zstd:'], /'zstd:'/, /zstd:19/],
    ['a level too high', [...EXPORT, '--compress', 'zstd:22'], /zstd has no level 22/, /1 to 19/],
    ['a compressed list', ['export', '1', '-o', 'x.gz', '--format', 'list'], /list is not/, /\.gz/],
    ['an owner by name', [...EXPORT, '--owner', 'root:0'], /'root:0'/, /--owner 1000:0/],
    ['an owner too large', [...EXPORT, '--group', '1:4294967295'], /'1:4294967295'/, /--group/],
    ['an owner twice', [...EXPORT, '--owner', '1:0', '--owner', '1:2'], /names 1 twice/, /leave/],
    ['two owners', [...EXPORT, '--all-root', '--owner', '1:0'], /--all-root leaves/, /either/],
    ['frames of nothing', [...EXPORT, '--frame-cache', 'c'], /compressed images/, /--compress/],
    ['blocks of a stream', [...EXPORT, '--align', '--compress', 'gzip'], /plain arch/, /none/],
    ['blocks of a list', [...EXPORT, '--align', '--format', 'list'], /plain archives/, /none/],
    ['what is no file', ['export', '1', '-o', '-', '--if-changed'], /in a file/, /-o/],
    ['a list if changed', [...EXPORT, '--if-changed', '--format', 'list'], /archives/, /leave/],
    ['a size of no cache', [...EXPORT, '--frame-cache-size', '1G'], /without/, /--frame-cache DIR/],
    ['kept content for nothing', [...EXPORT, '--content-dir', 'c'], /without/, /--as-recorded/],
    [
      'not a size',
      ['export', '1', '-o', 'x.gz', '--frame-cache', 'c', '--frame-cache-size', '1X'],
      /'1X' is no size/,
      /K, M, G or T/,
    ],
    ['an unknown operation', ['files', '1', '--op', 'raed'], /'raed' is not an/, /readlink/],
    ['not a time', ['sessions', '--since', 'noon'], /'noon' is not a time/, /2026-/],
    [
      'not a client',
      ['start', '--root', '/', '--client', '10.0.0.300'],
      /10\.0\.0\.300/,
      /CIDR|\/24/,
    ],
    ['not a range', ['start', '--root', '/', '--client', '10.0.0.0/33'], /10\.0\.0\.0\/33/, /\/24/],
    ['sessions of two roots', ['list', '1+5'], /session-5 of/, /one root/],
    [
      'an operation for an image',
      ['export', '1', '-o', 'x', '--ops', 'eat'],
      /'eat' is not/,
      /read/,
    ],
    [
      'a rule for an image',
      ['export', '1', '-o', 'x', '--without', 'pam,lbraries'],
      /'lbraries' is not/,
      /libraries/,
    ],
    ['two things for stdout', ['export', '1', '-o', '-', '--json'], /--json and -o -/, /-o/],
  ];
  for (const [what, args, message, hint] of cases)
    test(what, async () => {
      const ran = await sandbox.fails(args, { code: 64, message, hint });
      assert.equal(ran.stdout.length > 0, args.includes('--json'));
      assert.equal(existsSync(sandbox.socket), false, 'no daemon was started for it');
    });

  test('nothing at all: help, and no success', async () => {
    const { code, text } = await sandbox.run([]);
    assert.equal(code, 64);
    assert.match(text, /Usage: trace/);
  });
});

describe('what is not there', () => {
  test('an unknown session', async () => {
    for (const command of ['show', 'files', 'list'])
      await sandbox.fails([command, 'session-77'], {
        code: 66,
        message: /^error: there is no session-77$/,
        hint: /trace sessions/,
      });
    await sandbox.fails(['export', '77', '-o', 'x'], { code: 66, message: /no session-77/ });
    assert.equal(existsSync(sandbox.at('x')), false);
  });

  test('a root that was never recorded', async () => {
    await sandbox.fails(['sessions', '--root', '/nowhere'], {
      code: 66,
      message: /never been recorded/,
      hint: new RegExp(place.root),
    });
  });

  test('a root that does not exist, or is a file', async () => {
    await sandbox.fails(['start', '--root', '/no/such/root'], {
      code: 66,
      message: /\/no\/such\/root: there is no such directory/,
      hint: /check the path/,
    });
    await sandbox.fails(['start', '--root', '/etc/passwd'], {
      code: 66,
      message: /\/etc\/passwd: it is not a directory/,
    });
    assert.equal(existsSync(sandbox.socket), false, 'no daemon was started for it');
  });

  test("a session's root that has gone", async () => {
    await sandbox.fails(['export', SESSIONS.elsewhere, '-o', 'x'], { code: 66, message: /gone/ });
    const shown = await sandbox.ok(['show', SESSIONS.elsewhere]);
    assert.match(shown.text, /image .*gone/);
  });

  test('the database', async () => {
    await sandbox.fails(['sessions', '--db', 'none.db'], {
      code: 66,
      message: /no database .*none\.db/,
      hint: /trace start/,
    });
  });

  test('the daemon', async () => {
    for (const args of [
      ['status'],
      ['stop'],
      ['stop', '--daemon'],
      ['mark', 'x'],
      ['session', 'new', '--client', '10.0.0.7'],
    ])
      await sandbox.fails(args, { code: 69, message: /no daemon listens on/, hint: /trace start/ });
  });
});

describe('databases', () => {
  const copied = (name: string, change: (db: Sqlite.Database) => void): string => {
    const path = sandbox.at(name);
    copyFileSync(sandbox.database, path);
    const db = new Sqlite(path);
    change(db);
    db.close();
    return path;
  };

  test('newer than the program: for commands and for the daemon', async () => {
    const folder = sandbox.at('newer');
    mkdirSync(folder);
    const path = copied('newer/trace.db', (db) => db.pragma('user_version = 99'));
    const before = readFileSync(path);
    const expected = { code: 65, message: /has schema 99/, hint: /newer version/ };
    await sandbox.fails(['sessions', '--db', path], expected);
    await sandbox.fails(['daemon', '--state-dir', folder], expected);
    await sandbox.fails(['start', '--root', place.root, '--state-dir', folder], expected);
    assert.deepEqual(readFileSync(path), before);
  });

  test("another program's", async () => {
    const path = sandbox.at('foreign.db');
    const db = new Sqlite(path);
    db.exec('CREATE TABLE recipe (name TEXT)');
    db.close();
    await sandbox.fails(['sessions', '--db', path], { code: 65, message: /another program's/ });
  });

  test('damaged', async () => {
    const path = copied('damaged.db', () => undefined);
    const bytes = readFileSync(path);
    bytes.fill(0xa5, 4096);
    writeFileSync(path, bytes);
    await sandbox.fails(['sessions', '--db', path], {
      code: 65,
      message: /damaged/,
      hint: /--repair/,
    });
    writeFileSync(path, 'this is no database at all, not by any means');
    await sandbox.fails(['sessions', '--db', path], { code: 65, message: /not a SQLite/ });
  });

  for (const [what, sql, args] of [
    ['a table that is missing', 'DROP TABLE loss', ['sessions']],
    ['a word that is none', "UPDATE session SET tier = 'great'", ['sessions']],
    ['evidence that is none', 'UPDATE session SET evidence = char(27)', ['show', '1']],
    ['a detail that is no JSON', "UPDATE session SET detail = 'x'", ['sessions']],
    ['a time that is none', 'UPDATE session SET last_us = 9223372036854775807', ['sessions']],
    ['a path out of the root', "UPDATE name SET path = CAST('../x' AS BLOB)", ['list', '1']],
    ['an absolute path', "UPDATE name SET path = CAST('/etc/shadow' AS BLOB)", ['list', '1']],
    ['a path with a NUL', "UPDATE name SET path = x'610062'", ['export', '1', '-o', '-']],
    ['no path', "UPDATE name SET path = CAST('a//b' AS BLOB)", ['files', '1']],
  ] as const)
    test(`written by somebody else: ${what}`, async () => {
      const path = copied('nonsense.db', (db) => {
        db.pragma('foreign_keys = OFF');
        db.exec(sql);
      });
      const { text } = await sandbox.fails([...args, '--db', path], {
        code: 65,
        message: /damaged/,
        hint: /copy|--repair/,
      });
      assert.equal(text, '');
    });
});

test('doubtful sessions: refused, with a hint, unless accepted', async () => {
  for (const [session, why] of [
    [SESSIONS.lossy, /3 events may be missing in session-2/],
    [SESSIONS.partial, /session-3 began when the client was already up/],
  ] as const) {
    const output = sandbox.at(`${session}.cpio`);
    await sandbox.fails(['export', session, '-o', output], {
      code: 65,
      message: why,
      hint: /--accept-loss/,
    });
    assert.equal(existsSync(output), false);
    const { stderr } = await sandbox.ok(['export', session, '-o', output, '--accept-loss']);
    assert.match(stderr, /^warning: built from doubtful sessions: /m);
  }
  const { stderr } = await sandbox.ok(['export', SESSIONS.partial, '-o', 'x', '--accept-loss']);
  assert.match(stderr, /^warning: session-3 still open/m);
});

test('errors as JSON, too', async () => {
  const ran = await sandbox.run(['show', 'session-77', '--json']);
  assert.equal(ran.code, 66);
  assert.deepEqual(ran.json, {
    error: {
      code: 'unknown-session',
      message: 'there is no session-77',
      hint: 'the newest is session-5; `trace sessions` lists them',
      exit: 66,
    },
  });
  assert.match(ran.stderr, /^error: there is no session-77\n/);
});
