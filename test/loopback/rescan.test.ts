/** After a loss: what access times still tell, whose it is said to be, and what it is worth. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { CLIENTS, GANESHA_NEEDS } from '../support/ganesha.ts';
import { Loopback } from '../support/loopback.ts';
import type { NfsClient } from '../support/nfs-client.ts';

interface Loss {
  readonly where: string;
  readonly count: number;
  readonly from: string;
  readonly to: string;
  readonly detail: string | null;
}
interface File {
  readonly path: string;
  readonly operations: readonly string[];
  readonly evidence: readonly string[];
}

async function lossesOf(loop: Loopback, session: string): Promise<readonly Loss[]> {
  return (await loop.sandbox.json<{ losses: Loss[] }>(['show', session])).losses;
}

async function fileOf(loop: Loopback, session: string, path: string): Promise<File | undefined> {
  const { files } = await loop.sandbox.json<{ files: File[] }>(['files', session]);
  return files.find((file) => file.path === path);
}

describe('a gap with one client', { skip: lacks(...GANESHA_NEEDS) }, () => {
  let loop: Loopback;
  let client: NfsClient;
  before(async () => {
    loop = await Loopback.start({ inside: true });
    await loop.record('--on-loss', 'fail');
    client = await loop.client(3);
    await client.read('/init');
    await loop.flush();
  });
  after(() => loop.stop());

  test('what was read while no daemon ran is there, as what it is: weak evidence', async () => {
    await loop.daemon.kill();
    await client.read('/etc/a');
    await loop.restart();
    const read = await fileOf(loop, '1', 'etc/a');
    assert.deepEqual([read?.operations, read?.evidence], [['read'], ['atime']]);
    assert.deepEqual((await fileOf(loop, '1', 'init'))?.evidence, ['sole-client']);
    assert.equal(await fileOf(loop, '1', 'etc/ab'), undefined, 'nobody read it');
    const [loss] = await lossesOf(loop, '1');
    assert.equal(loss?.where, 'daemon-restart');
    assert.match(
      loss.detail ?? '',
      /(1 file has an access time|2 files have access times) in that time, 1 of them new to session-1, which has them with evidence atime/,
    );
    assert.match((await loop.sandbox.ok(['show', '1'])).text, /evidence atime/);
  });

  test('an image has it when the loss is accepted, and is the same each time', async () => {
    const { sandbox } = loop;
    await sandbox.fails(['export', '1', '-o', 'no'], { code: 65, message: /may be missing/ });
    for (const name of ['one', 'two'])
      await sandbox.ok(['export', '1', '-o', sandbox.at(name), '--accept-loss']);
    const [one, two] = ['one', 'two'].map((name) => readFileSync(sandbox.at(name)));
    assert.ok(one?.includes('etc/a\0') === true && two !== undefined && one.equals(two));
    assert.match((await sandbox.ok(['list', '1', '-o', '-'])).text, /^etc\/a$/m);
  });

  test('the recording has failed, as was asked for, and still has everything', async () => {
    await client.read('/etc/abcd');
    const ran = await loop.sandbox.run(['stop', '--json']);
    assert.equal(ran.code, 1);
    const { stopped } = ran.json as { stopped: { failed: boolean; losses: object[] }[] };
    assert.deepEqual([stopped[0]?.failed, stopped[0]?.losses.length], [true, 1]);
    assert.match(ran.stderr, /^warning: the recording of .* failed: it lost 1 daemon-restart/m);
    assert.ok(await fileOf(loop, '1', 'etc/abcd'));
  });
});

describe('a gap with two clients', { skip: lacks(...GANESHA_NEEDS) }, () => {
  let loop: Loopback;
  before(async () => {
    loop = await Loopback.start({ inside: true });
    await loop.sandbox.ok(['start', '--root', loop.root]);
  });
  after(() => loop.stop());

  test('nobody is said to have read what either may have', async () => {
    const first = await loop.client(3);
    await first.read('/init');
    await loop.flush();
    const second = await loop.ganesha.client({
      directory: loop.root,
      version: 3,
      address: CLIENTS[1],
    });
    await loop.daemon.kill();
    await second.read('/etc/a');
    await loop.restart();
    assert.equal(await fileOf(loop, '1', 'etc/a'), undefined);
    const [loss] = await lossesOf(loop, '1');
    assert.match(
      loss?.detail ?? '',
      /(1 file has an access time|2 files have access times) in that time; besides session-1, 1 other client may have made them/,
    );
    assert.ok((await loop.sandbox.ok(['stop'])).text);
  });
});

describe('what a loaded machine loses', { skip: lacks(...GANESHA_NEEDS, 'smallQueue') }, () => {
  let loop: Loopback;
  let client: NfsClient;
  const other = (): string => `${loop.disk.path}/elsewhere`;
  before(async () => {
    loop = await Loopback.start({
      inside: true,
      others: ['second'],
      config: { fileQueue: 'limited' },
    });
    await loop.record();
    client = await loop.client(3);
    await client.read('/init');
    await loop.flush();
    mkdirSync(other());
    // More events than the queue takes, each of a file of its own, by a program of the server.
    const limit = Number(readFileSync('/proc/sys/fs/fanotify/max_queued_events', 'latin1'));
    writeFileSync(
      `${other()}/script.py`,
      `import os\nfor i in range(${limit}):\n  os.close(os.open(f"${other()}/{i % 2000}-{i // 2000}", os.O_CREAT | os.O_WRONLY))\n`,
    );
  });
  after(() => loop.stop());

  test('the queue overflows while the daemon stands still: a loss of who was there', async () => {
    const { child } = loop.daemon;
    await delay(50);
    const fromMs = Date.now();
    child.kill('SIGSTOP');
    execFileSync('/usr/bin/python3', [`${other()}/script.py`]);
    await client.read('/etc/ab');
    child.kill('SIGCONT');
    await loop.flush();
    const toMs = Date.now();
    const loss = (await lossesOf(loop, '1')).find(({ where }) => where === 'fanotify-queue');
    assert.ok(loss !== undefined, JSON.stringify(await lossesOf(loop, '1')));
    assert.ok(Date.parse(loss.from) >= fromMs - 2000 && Date.parse(loss.from) <= toMs);
    assert.ok(Date.parse(loss.to) <= toMs && loss.to >= loss.from);
    assert.match(loss.detail ?? '', /names were read anew; .*new to session-1/);
    assert.deepEqual((await fileOf(loop, '1', 'etc/ab'))?.evidence, ['atime']);
  });

  test('and not of a session that came later', async () => {
    await loop.nextSession();
    await client.read('/etc/abc');
    await loop.flush();
    assert.deepEqual(await lossesOf(loop, '2'), []);
    assert.deepEqual((await fileOf(loop, '2', 'etc/abc'))?.evidence, ['sole-client']);
  });
});
