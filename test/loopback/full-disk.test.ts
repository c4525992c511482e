/** The database's disk is full, or read-only, while a client reads: nothing is lost while memory lasts. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { fillUp } from '../support/fill-up.ts';
import { GANESHA_NEEDS } from '../support/ganesha.ts';
import { Loopback } from '../support/loopback.ts';

describe('a full disk while recording', { skip: lacks(...GANESHA_NEEDS) }, () => {
  let loop: Loopback;
  before(async () => {
    loop = await Loopback.start({
      prepare: ({ stateDir }) => {
        mkdirSync(stateDir);
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'none', stateDir]);
      },
    });
    await loop.record();
  });
  after(async () => {
    execFileSync('umount', ['-l', loop.sandbox.stateDir]);
    await loop.stop();
  });

  test('it is said, recording goes on, and all is there when there is room', async () => {
    const { sandbox, daemon } = loop;
    const client = await loop.client(3);
    await client.read('/init');
    await loop.flush();
    const filler = `${sandbox.stateDir}/filler`;
    fillUp(filler);
    await client.read('/etc/a');
    await sandbox.fails(['mark', 'now'], { code: 74, message: /no room left/, hint: /free/ });
    await client.read('/etc/ab');
    await said(daemon.log, /a flush failed/);
    await sandbox.fails(['stop'], { code: 74, message: /no room left/ });
    const status = await sandbox.json<{ recordings: unknown[]; uncommitted: number }>(['status']);
    assert.equal(status.recordings.length, 1);
    assert.ok(status.uncommitted > 0);
    const { stderr } = await sandbox.ok(['status']);
    assert.match(stderr, /^warning: nothing reaches the database since .*no room left.*\nhint: ./);
    await sandbox.fails(['start', '--root', `${loop.root}/etc`], {
      code: 74,
      message: /no room left/,
    });

    rmSync(filler);
    await said(daemon.log, /flushes work again/);
    assert.doesNotMatch((await sandbox.ok(['status'])).stderr, /warning/);
    await client.read('/etc/abc');
    await sandbox.ok(['stop']);
    const files = await loop.files('1');
    for (const path of ['init', 'etc/a', 'etc/ab', 'etc/abc'])
      assert.ok(files.get(path)?.includes('read'), path);
    const shown = await sandbox.json<{ loss: number; open: boolean }>(['show', '1']);
    assert.deepEqual([shown.loss, shown.open], [0, false]);
    await sandbox.ok(['export', '1', '-o', 'x.cpio']);
    assert.equal(daemon.log().match(/a flush failed/g)?.length, 1, 'it is not said each time');
  });
});

describe(
  'a disk that stays full for longer than memory lasts',
  { skip: lacks(...GANESHA_NEEDS) },
  () => {
    const FILES = 6000;
    let loop: Loopback;
    before(async () => {
      loop = await Loopback.start({
        config: { pendingMb: 1 },
        prepare: ({ stateDir }) => mountSmall(stateDir),
      });
      mkdirSync(`${loop.root}/many`);
      for (let file = 0; file < FILES; file += 1) writeFileSync(`${loop.root}/many/${file}`, 'x');
      await loop.record();
    });
    after(async () => {
      execFileSync('umount', ['-l', loop.sandbox.stateDir]);
      await loop.stop();
    });

    test('what there is no room for is counted, to whom it was; then recording goes on', async () => {
      const { sandbox, daemon } = loop;
      const client = await loop.client(3);
      await client.read('/init');
      await loop.flush();
      const filler = `${sandbox.stateDir}/filler`;
      fillUp(filler);
      for (let file = 0; file < FILES; file += 1) await client.read(`/many/${file}`);
      await said(daemon.log, /a flush failed/);
      const { uncommitted } = await sandbox.json<{ uncommitted: number }>(['status']);
      assert.ok(uncommitted > 0);
      const residentMb = Number(/VmRSS:\s*(\d+)/.exec(statusOf(daemon.child.pid))?.[1]) / 1024;
      assert.ok(residentMb < 200, `${residentMb} MB`);

      rmSync(filler);
      await said(daemon.log, /flushes work again/);
      await client.read('/etc/abc');
      await sandbox.ok(['stop']);
      const files = await loop.files('1');
      assert.ok(files.has('init') && files.has('etc/abc'));
      // What access times alone say is no memory of the recorder's.
      const { files: known } = await sandbox.json<{
        files: { path: string; evidence: string[] }[];
      }>(['files', '1']);
      const kept = known.filter(
        ({ path, evidence }) => path.startsWith('many/') && evidence.some((one) => one !== 'atime'),
      ).length;
      const { losses, open } = await sandbox.json<{
        losses: { where: string; count: number }[];
        open: boolean;
      }>(['show', '1']);
      assert.equal(open, false);
      assert.deepEqual([...new Set(losses.map(({ where }) => where))], ['writer']);
      const lost = losses.reduce((sum, { count }) => sum + count, 0);
      assert.ok(kept < FILES, 'memory lasted: the test proves nothing');
      assert.ok(lost >= FILES - kept, `${FILES - kept} are missing, ${lost} were counted`);
      await sandbox.fails(['export', '1', '-o', 'x.cpio'], { code: 65, message: /may be missing/ });
    });
  },
);

describe('a disk that turns read-only while recording', { skip: lacks(...GANESHA_NEEDS) }, () => {
  let loop: Loopback;
  before(async () => {
    loop = await Loopback.start({ prepare: ({ stateDir }) => mountSmall(stateDir) });
    await loop.record();
  });
  after(async () => {
    execFileSync('umount', ['-l', loop.sandbox.stateDir]);
    await loop.stop();
  });

  test('nobody can make it so by hand; when the kernel does, it is said, and a repair and a restart go on', async () => {
    const { sandbox } = loop;
    const { stateDir } = sandbox;
    const client = await loop.client(3);
    await client.read('/init');
    await loop.flush();
    assert.throws(() => mount('-o', 'remount,ro', stateDir), /busy/);
    await client.read('/etc/a');
    await loop.flush();

    // Commits outlive a crash of the daemon by themselves, one of the file system only with this.
    execFileSync('sync', ['-f', stateDir]);
    // What ext4 does by itself after an error of its disk. There is no way back but to unmount it.
    mount('-o', 'remount,abort', stateDir);
    await client.read('/etc/ab');
    await said(loop.daemon.log, /a flush failed/);
    const { stderr } = await sandbox.ok(['status']);
    assert.match(stderr, /^warning: nothing reaches the database since .*\nhint: ./);
    await sandbox.fails(['mark', 'now'], { code: 74, message: /could not be read or written/ });
    assert.equal(loop.daemon.child.exitCode, null);

    await loop.daemon.kill();
    const image = `${stateDir}.img`;
    execFileSync('umount', [stateDir]);
    // 1: errors were corrected.
    const { status } = spawnSync('e2fsck', ['-fp', image]);
    assert.ok(status === 0 || status === 1, String(status));
    // Writable or not at all: mount falls back to read-only while the loop device is still given up.
    for (let tries = 25; ; tries -= 1)
      try {
        mount('--rw', '-o', 'loop', image, stateDir);
        break;
      } catch (error) {
        if (tries === 0) throw error;
        await delay(200);
      }
    await loop.restart();
    await client.read('/etc/abc');
    await sandbox.ok(['stop']);
    const files = await loop.files('1');
    for (const path of ['init', 'etc/a', 'etc/abc']) assert.ok(files.has(path), path);
    const { losses } = await sandbox.json<{ losses: { where: string }[] }>(['show', '1']);
    assert.deepEqual(
      losses.map(({ where }) => where),
      ['daemon-restart'],
    );
  });
});

/** A file system of its own, of a few megabytes; it goes when the sandbox does. */
function mountSmall(folder: string): void {
  mkdirSync(folder);
  const image = `${folder}.img`;
  writeFileSync(image, '');
  truncateSync(image, 8 * 1024 ** 2);
  execFileSync('mkfs.ext4', ['-q', '-F', image]);
  mount('-o', 'loop', image, folder);
}

function mount(...args: string[]): void {
  execFileSync('mount', args, { stdio: 'pipe' });
}

function statusOf(pid: number | undefined): string {
  return readFileSync(`/proc/${pid}/status`, 'latin1');
}

async function said(log: () => string, what: RegExp): Promise<void> {
  for (const end = Date.now() + 10_000; !what.test(log());) {
    assert.ok(Date.now() < end, `not said: ${String(what)} in ${log()}`);
    await delay(20);
  }
}
