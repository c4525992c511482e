/** The database's disk is full while a client reads: nothing is lost while memory lasts. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
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

async function said(log: () => string, what: RegExp): Promise<void> {
  for (const end = Date.now() + 10_000; !what.test(log());) {
    assert.ok(Date.now() < end, `not said: ${String(what)} in ${log()}`);
    await delay(20);
  }
}
