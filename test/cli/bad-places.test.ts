/** Outputs, settings, places and rights that will not do: what a person is told of each, and how it ends. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { placeForTests, SESSIONS } from '../support/recorded-place.ts';
import type { Ran } from '../support/trace-sandbox.ts';

const place = placeForTests();
const { sandbox } = place;

describe('outputs', () => {
  const refused: readonly (readonly [string, string, RegExp])[] = [
    ['a folder that is not there', 'no/such/x.cpio', /its folder does not exist/],
    ['a folder itself', '.', /it is a directory/],
    ['a folder that may not be written', '/proc/x.cpio', /cannot write \/proc\/x\.cpio/],
  ];
  for (const [what, output, message] of refused)
    test(`not writable: ${what}`, async () => {
      for (const args of [
        ['export', SESSIONS.whole],
        ['list', SESSIONS.whole],
      ])
        await sandbox.fails([...args, '-o', output], { code: 73, message, hint: /-o/ });
    });

  test('not writable for this user', { skip: lacks('root', 'mount') }, async () => {
    const folder = sandbox.at('mine');
    mkdirSync(folder, { mode: 0o700 });
    await sandbox.fails(
      ['list', SESSIONS.whole, '-o', `${folder}/x`],
      { code: 73, message: /permission denied/ },
      { prefix: sandbox.asNobody() },
    );
  });

  test('a name that cannot be one line', async () => {
    await sandbox.fails(['list', SESSIONS.newline], {
      code: 65,
      message: /newline/,
      hint: /-0/,
    });
    const { stdout } = await sandbox.ok(['list', SESSIONS.newline, '-0']);
    assert.equal(stdout.toString(), 'etc/with\nnewline\0init\0');
  });
});

test('a root that is not where it was recorded: the options that say where it is', async () => {
  const args = ['export', SESSIONS.whole, '-o', 'x.cpio'];
  const moved = `${place.root}.moved`;
  renameSync(place.root, moved);
  try {
    const missing = {
      code: 66,
      message: /cannot open the root/,
      hint: /--tree DIR; --as-recorded /,
    };
    await sandbox.fails(args, missing);
    await sandbox.ok([...args, '--tree', moved]);
    await sandbox.fails([...args, '--tree', 'no/such'], { ...missing, hint: /: give --tree the / });
  } finally {
    renameSync(moved, place.root);
  }
});

describe('configuration', () => {
  const cases: readonly (readonly [string, string, RegExp, RegExp])[] = [
    ['a misspelt key', '{"flushms": 5}', /flushms/i, /flushMs/],
    ['a value out of range', '{"flushMs": 1}', /flushMs/, /known keys/],
    ['not an object', '[]', /not a JSON object/, /configuration\.md/],
    ['not JSON', '{', /cannot read the configuration/, /configuration\.md/],
  ];
  for (const [what, content, message, hint] of cases)
    test(what, async () => {
      writeFileSync(sandbox.at('bad.json'), content);
      await sandbox.fails(['daemon', '--config', sandbox.at('bad.json')], {
        code: 78,
        message,
        hint,
      });
    });

  test('not there', async () => {
    await sandbox.fails(['daemon', '--config', '/no/such/file'], {
      code: 78,
      message: /\/no\/such\/file/,
    });
  });

  test('places that are not absolute', async () => {
    const ran = await sandbox.run(['daemon'], { env: { NFSROOT_TRACE_STATE_DIR: 'here' } });
    assert.equal(ran.code, 78, ran.stderr);
    assert.match(ran.stderr, /^error: the environment: stateDir: /);
  });
});

describe('places of the daemon', () => {
  test('a socket path where something else is: refused, and left alone', async () => {
    const file = sandbox.at('precious');
    writeFileSync(file, 'precious');
    await sandbox.fails(['daemon', '--socket', file], {
      code: 73,
      message: /not a socket/,
      hint: /--socket/,
    });
    assert.equal(readFileSync(file, 'utf8'), 'precious');
  });

  test('a socket path that is too long', { skip: lacks('root', 'fanotify') }, async () => {
    await sandbox.fails(['daemon', '--socket', sandbox.at('x'.repeat(120))], {
      code: 73,
      message: /cannot listen on/,
      hint: /--socket/,
    });
  });

  test('a state folder that cannot be made', async () => {
    for (const folder of ['/dev/null/state', '/proc/none/of/it'])
      await sandbox.fails(['start', '--root', place.root, '--state-dir', folder], {
        code: 73,
        message: new RegExp(`cannot write in ${folder}`),
        hint: /--state-dir/,
      });
  });
});

describe('without the rights', () => {
  const told = (ran: Ran): void => {
    assert.match(ran.stderr, /^error: .*no permission/m);
    assert.match(ran.stderr, /^hint: .*CAP_SYS_ADMIN/m);
    assert.equal(ran.code, 77, ran.stderr);
  };

  test('root without CAP_SYS_ADMIN', { skip: lacks('root', 'fanotify') }, async () => {
    const prefix = ['setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'];
    told(await sandbox.run(['daemon'], { prefix }));
    told(await sandbox.run(['start', '--root', place.root], { prefix }));
    assert.equal(existsSync(sandbox.socket), false);
    const doctor = await sandbox.run(['doctor', '--json'], { prefix });
    assert.equal(doctor.code, 1);
    assert.equal((doctor.json as { tier: null }).tier, null);
    assert.match(doctor.text, /CAP_SYS_ADMIN/);
  });

  test('nobody', { skip: lacks('root', 'mount') }, async () => {
    const prefix = sandbox.asNobody();
    const folder = sandbox.at('of-nobody');
    mkdirSync(folder);
    chmodSync(folder, 0o777);
    const places = ['--state-dir', `${folder}/state`, '--socket', `${folder}/socket`];
    told(await sandbox.run(['daemon', ...places], { prefix }));
    told(await sandbox.run(['start', '--root', place.root, ...places], { prefix }));
    const doctor = await sandbox.run(['doctor', '--json'], { prefix });
    assert.equal(doctor.code, 1, doctor.stderr);
    chmodSync(sandbox.stateDir, 0o700);
    await sandbox.fails(
      ['sessions'],
      { code: 77, message: /may not be opened by this user/, hint: /as root/ },
      { prefix },
    );
    chmodSync(sandbox.stateDir, 0o755);
  });
});

test('an old Node: one line, a hint, 78', async (t) => {
  const old = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => existsSync(path));
  const ran = old === undefined ? null : await sandbox.execute([old, '--version']);
  if (ran === null || Number(/^v(\d+)/.exec(ran.text)?.[1]) >= 22) {
    // test/cli/launcher.test.ts has the same with a version that is only said to be old.
    t.diagnostic('this machine has no old Node');
    return;
  }
  const bin = sandbox.command(['status']).slice(1);
  const { code, stderr } = await sandbox.execute([old ?? '', ...bin]);
  assert.match(
    stderr,
    /^error: trace needs Node 22\.15 or newer \(of 23: 23\.8\), this is \d.*\nhint: .*\n$/,
  );
  assert.equal(code, 78);
});

test('a link at the output is followed, and nothing is left beside it', async () => {
  const folder = sandbox.at('links');
  mkdirSync(folder);
  symlinkSync('real.cpio', `${folder}/link.cpio`);
  writeFileSync(`${folder}/real.cpio`, 'old');
  await sandbox.ok(['export', SESSIONS.whole, '-o', `${folder}/link.cpio`]);
  assert.deepEqual(readdirSync(folder).sort(), ['link.cpio', 'real.cpio']);
  assert.match(readFileSync(`${folder}/real.cpio`, 'latin1'), /^070701/);
});
