/** The daemon's life as its users see it: started, started twice, stopped, killed. No NFS here. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { gone, TraceSandbox } from '../support/trace-sandbox.ts';

interface Status {
  readonly pid: number;
  readonly recordings: readonly { readonly root: { readonly path: string } }[];
}

describe('the daemon', { skip: lacks('root', 'loop', 'fanotify', 'handles') }, () => {
  let disk: MountedFileSystem;
  let roots: readonly [string, string];
  let sandbox: TraceSandbox;
  before(() => {
    disk = makeFileSystem('ext4');
    roots = [`${disk.path}/one`, `${disk.path}/two`];
    for (const root of roots) mkdirSync(root);
  });
  after(() => disk.remove());
  beforeEach(() => {
    sandbox = new TraceSandbox();
  });
  afterEach(() => sandbox.remove());

  const recorded = async (): Promise<string[]> =>
    (await sandbox.json<Status>(['status'])).recordings.map(({ root }) => root.path);

  test('start: spawns one, says so, and warns of what is missing', async () => {
    const { text, stderr } = await sandbox.ok(['start', '--root', roots[0], '--label', 'a\tb']);
    assert.match(text, /^recording \/.*\/one: (1 objects|being listed), tier sole-client\n$/);
    assert.match(stderr, /^started a daemon \(pid \d+\); its log is .*daemon\.log$/m);
    assert.match(stderr, /^warning: .*one is not exported.*\nhint: .*exportfs -ra.*/m);
    const warned = stderr.match(/^warning: .*\nhint: ./gm) ?? [];
    assert.equal(warned.length, stderr.match(/^warning: /gm)?.length, 'each has its hint');
    const status = await sandbox.ok(['status']);
    assert.match(status.text, /^daemon \d+, version /);
    assert.match(status.text, /one {2}(1 objects|being listed) {2}since .* {2}a\tb\n$/);

    const again = await sandbox.ok(['start', '--root', roots[1]]);
    assert.doesNotMatch(again.stderr, /started a daemon/);
    assert.deepEqual(await recorded(), roots);
  });

  test('start warns of a mount below the root', async () => {
    const below = `${roots[0]}/below`;
    mkdirSync(below);
    execFileSync('mount', ['-t', 'tmpfs', 'none', below]);
    try {
      const { stderr } = await sandbox.ok(['start', '--root', roots[0]]);
      assert.match(stderr, /^warning: 1 other file systems are mounted below .*\nhint: ./m);
    } finally {
      execFileSync('umount', [below]);
      rmSync(below, { recursive: true });
    }
  });

  test('a root that is recorded already, also by another of its paths', async () => {
    await sandbox.ok(['start', '--root', roots[0]]);
    for (const path of [roots[0], `${roots[0]}/`, `${roots[1]}/../one`])
      await sandbox.fails(['start', '--root', path], {
        code: 75,
        message: /one is already being recorded/,
        hint: /trace stop/,
      });
  });

  test('a root without file handles, or that nobody can watch', async () => {
    await sandbox.daemon();
    const { code, stderr } = await sandbox.run(['start', '--root', '/proc/self/net']);
    assert.ok(code === 69 || code === 78, stderr);
    assert.match(stderr, /^error: .*\nhint: /m);
    await sandbox.ok(['start', '--root', roots[0]]);
    assert.deepEqual(await recorded(), [roots[0]], 'the refused one left nothing');
  });

  test('stop: one root, all, none', async () => {
    for (const root of roots) await sandbox.ok(['start', '--root', root]);
    await sandbox.fails(['stop', '--root', '/etc'], {
      code: 66,
      message: /\/etc is not being recorded/,
      hint: /trace status/,
    });
    assert.match(
      (await sandbox.ok(['stop', '--root', roots[0]])).text,
      /^stopped recording \/.*\/one; ended: no session\n$/,
    );
    assert.deepEqual(await recorded(), [roots[1]]);
    assert.match((await sandbox.ok(['stop'])).text, /two; ended/);
    assert.equal((await sandbox.ok(['stop'])).text, 'nothing was being recorded\n');
    assert.match((await sandbox.ok(['status'])).text, /^nothing is being recorded$/m);
    assert.match((await sandbox.ok(['mark', 'x'])).text, /nothing was marked/);
  });

  test('a client by hand: its address, or an error', async () => {
    await sandbox.daemon();
    for (const client of ['sarge', '10.0.0.0/24'])
      await sandbox.fails(['session', 'new', '--client', client], {
        code: 64,
        message: new RegExp(client),
        hint: /10\.0\.0\.7/,
      });
    const { text } = await sandbox.ok(['session', 'new', '--client', '10.0.0.7']);
    assert.equal(text, 'ended: no session was open\n');
  });

  test('stop --daemon: gone when it answers; its recordings resume', async () => {
    await sandbox.ok(['start', '--root', roots[0]]);
    const pid = await sandbox.daemonPid();
    await sandbox.ok(['stop', '--daemon']);
    await sandbox.fails(['status'], { code: 69, message: /no daemon listens/ });
    await gone(pid ?? 0);
    await sandbox.ok(['start', '--root', roots[1]]);
    assert.deepEqual((await recorded()).sort(), [...roots].sort());
    assert.notEqual(await sandbox.daemonPid(), pid);
  });

  test('SIGTERM: commits, exits with 0, leaves one database file and no socket', async () => {
    const daemon = await sandbox.daemon();
    await sandbox.ok(['start', '--root', roots[0]]);
    assert.equal(await daemon.stop(), 0);
    assert.match(daemon.log(), /"msg":"stopped"\}\n$/);
    assert.deepEqual(readdirSync(sandbox.stateDir).sort(), ['trace.db', 'trace.db.lock']);
    assert.equal(existsSync(sandbox.socket), false);
  });

  test('SIGINT, twice: the same', async () => {
    const daemon = await sandbox.daemon();
    daemon.child.kill('SIGINT');
    assert.equal(await daemon.stop(), 0, daemon.log());
  });

  test('a log that takes nothing, as on a full disk: it lives', async () => {
    const prefix = ['sh', '-c', 'exec "$@" 2>/dev/full', 'sh'];
    const running = sandbox.run(['daemon'], { prefix });
    while ((await sandbox.daemonPid()) === null) await delay(50);
    await sandbox.ok(['start', '--root', roots[0]]);
    await sandbox.ok(['stop', '--daemon']);
    assert.equal((await running).code, 0);
  });

  test('a second daemon: refused, by socket and by database', async () => {
    await sandbox.daemon();
    const elsewhere = ['--state-dir', sandbox.at('elsewhere')];
    await sandbox.fails(['daemon'], { code: 75, message: /another daemon already listens/ });
    await sandbox.fails(['daemon', ...elsewhere], { code: 75, message: /already listens/ });
    await sandbox.fails(['daemon', '--socket', sandbox.at('other.sock')], {
      code: 75,
      message: /another daemon already writes to .*trace\.db/,
      hint: /--state-dir/,
    });
    mkdirSync(sandbox.at('linked'));
    symlinkSync(sandbox.database, sandbox.at('linked/trace.db'));
    await sandbox.fails(
      ['daemon', '--state-dir', sandbox.at('linked'), '--socket', sandbox.at('other.sock')],
      { code: 75, message: /another daemon already writes to .*trace\.db/ },
    );
    assert.notEqual(await sandbox.daemonPid(), null, 'the first goes on');
  });

  test('two starts at once: one daemon, told by who started it, and both roots', async () => {
    const both = await Promise.all(roots.map((root) => sandbox.ok(['start', '--root', root])));
    const told = both.flatMap(({ stderr }) => [
      ...stderr.matchAll(/^started a daemon \(pid (\d+)\)/gm),
    ]);
    assert.deepEqual(
      told.map(([, pid]) => Number(pid)),
      [await sandbox.daemonPid()],
    );
    assert.deepEqual((await recorded()).sort(), [...roots].sort());
  });

  test('its database is taken away: said, not written into a file that nobody finds', async () => {
    const daemon = await sandbox.daemon();
    await sandbox.ok(['start', '--root', roots[0]]);
    renameSync(sandbox.stateDir, sandbox.at('away'));
    const gone = { code: 74, message: /was moved or deleted/, hint: /put it back/ };
    await sandbox.fails(['stop'], gone);
    await sandbox.fails(['start', '--root', roots[1]], gone);
    renameSync(sandbox.at('away'), sandbox.stateDir);
    await sandbox.ok(['stop']);
    renameSync(sandbox.stateDir, sandbox.at('away'));
    assert.equal(await daemon.stop(), 74);
    assert.match(daemon.log(), /^error: .*was moved or deleted.*\nhint: .*put it back/m);
    rmSync(sandbox.at('away'), { recursive: true });
  });

  test('killed: its socket is stale, and in nobody’s way', async () => {
    const daemon = await sandbox.daemon();
    await daemon.kill();
    assert.ok(statSync(sandbox.socket).isSocket());
    await sandbox.fails(['status'], { code: 69, message: /no daemon listens/, hint: /start/ });
    await sandbox.ok(['start', '--root', roots[0]]);
    assert.deepEqual(await recorded(), [roots[0]]);
  });

  test('a root that has gone while no daemon ran waits; the others go on', async () => {
    const passing = `${disk.path}/passing`;
    mkdirSync(passing);
    const first = await sandbox.daemon();
    for (const root of [passing, roots[0]]) await sandbox.ok(['start', '--root', root]);
    await first.stop();
    await sandbox.execute(['rmdir', passing]);
    const second = await sandbox.daemon();
    assert.deepEqual(await recorded(), [roots[0], passing]);
    assert.match(second.log(), /recording of .*passing waits: /);
    const { text, stderr } = await sandbox.ok(['status']);
    assert.match(text, /passing +waits +since/);
    assert.match(stderr, /^warning: .*passing is not recorded now: .*\nhint: .*trace stop/m);
    await sandbox.ok(['stop', '--root', passing]);
    assert.deepEqual(await recorded(), [roots[0]]);
  });

  test('its log is where start says, and no line is lost', async () => {
    await sandbox.ok(['start', '--root', roots[0]]);
    await sandbox.ok(['stop', '--daemon']);
    const log = readFileSync(`${sandbox.stateDir}/daemon.log`, 'utf8');
    assert.match(log, /"msg":"recording"\}\n/);
    assert.match(log, /"msg":"stopped"\}\n$/);
  });
});
