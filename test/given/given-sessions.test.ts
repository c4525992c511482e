/** A session that is given row by row over the control socket. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { linkSync, lstatSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { operationBit } from '../../src/common/words.ts';
import type { GivenStream } from '../../src/daemon/given-stream-client.ts';
import { Store } from '../../src/store/store.ts';
import { lacks } from '../capabilities.ts';
import type { Daemon } from '../support/trace-sandbox.ts';
import { GivenRig } from './given-rig.ts';

interface Shown {
  readonly client: string;
  readonly tier: string;
  readonly evidence: { readonly kind: string };
  readonly open: boolean;
  readonly files: number;
  readonly loss: number;
  readonly losses: readonly { readonly where: string; readonly detail: string }[];
}

const READ = operationBit('read');

function inodesAt(root: string, names: readonly string[]): bigint[] {
  return names.map((name) => lstatSync(`${root}/${name}`, { bigint: true }).ino).sort();
}

function writeBelow(root: string, name: string): void {
  mkdirSync(dirname(`${root}/${name}`), { recursive: true });
  writeFileSync(`${root}/${name}`, name);
}

describe('given sessions', { skip: lacks('root', 'loop', 'fanotify', 'handles') }, () => {
  let rig: GivenRig;
  let daemon: Daemon;
  before(async () => {
    rig = new GivenRig();
    daemon = await rig.sandbox.daemon();
  });
  after(() => rig.remove());
  const show = (session: string): Promise<Shown> => rig.sandbox.json(['show', session]);
  const ended = async (session: string): Promise<Shown> => {
    for (const end = Date.now() + 10_000; ;) {
      const shown = await show(session);
      if (!shown.open) return shown;
      assert.ok(Date.now() < end, 'it does not end');
      await delay(20);
    }
  };
  const arrival = async ({ session }: GivenStream): Promise<void> => {
    for (const end = Date.now() + 10_000; (await show(session)).files === 0;)
      assert.ok(Date.now() < end, 'the row does not come');
  };
  const inodesOf = (session: string): bigint[] => {
    const store = Store.open({ path: rig.sandbox.database, readOnly: true });
    try {
      const files = store.files(Number(session.replace('session-', '')));
      return files.map(({ inode }) => inode).sort();
    } finally {
      store.close();
    }
  };
  const paths = (stream: GivenStream, names: readonly string[]): Promise<void> =>
    stream.rows(names.map((name) => ({ path: Buffer.from(name), follow: true, operations: READ })));

  test('rows become the objects they lead to, with the links on the way', async () => {
    const root = rig.makeRoot('first');
    const stream = await rig.give(root, 'a label');
    assert.equal((await show(stream.session)).open, true);
    await paths(stream, ['/lib/libc.so.6', 'bin/tool', 'usr/up', 'etc/absent', '/no/where']);
    await paths(stream, ['loop-a', 'etc/motd/below', 'a\0b', '.', 'var/data/one']);
    const counts = await stream.end();
    assert.deepEqual(counts, {
      found: 5,
      missing: 2,
      skipped: {
        'not-a-path': 1,
        'not-a-directory': 1,
        'too-many-links': 1,
        'other-file-system': 0,
        'no-room': 0,
      },
    });
    assert.deepEqual(await rig.list(stream.session), [
      '.',
      'bin',
      'etc',
      'etc/motd',
      'lib',
      'loop-a',
      'loop-b',
      'usr/bin/tool',
      'usr/lib/libc.so.6',
      'usr/up',
      'var/data/one',
      'var/data/other',
    ]);
    const shown = await show(stream.session);
    assert.deepEqual(
      [shown.client, shown.tier, shown.evidence.kind, shown.loss],
      ['import', 'import', 'import', 0],
    );
  });

  test('a file of more names than are kept leaves a loss', async () => {
    const root = rig.makeRoot('many-names');
    const names = Array.from({ length: 1030 }, (_, at) => `etc/name-${at}`);
    for (const name of names) linkSync(`${root}/etc/motd`, `${root}/${name}`);
    const stream = await rig.give(root);
    await paths(stream, ['etc/motd']);
    assert.equal((await stream.end()).found, 1);
    assert.ok((await rig.list(stream.session)).length < names.length);
    assert.deepEqual(
      (await ended(stream.session)).losses.map(({ where }) => where),
      ['index'],
    );
  });

  test('a giver that goes away leaves a loss, and so does what it says it missed', async () => {
    const root = rig.makeRoot('second');
    const gone = await rig.give(root);
    await paths(gone, ['etc/motd']);
    await arrival(gone);
    gone.abandon();
    const broken = await ended(gone.session);
    assert.deepEqual(
      broken.losses.map(({ where }) => where),
      ['giver'],
    );
    assert.deepEqual(await rig.list(gone.session), ['etc/motd']);

    const honest = await rig.give(root);
    await honest.end([{ where: 'fanotify-queue', count: 3, detail: 'the queue was full' }]);
    const told = await ended(honest.session);
    assert.equal(told.loss, 3);
  });

  test('what is renamed, made and removed meanwhile is what it is then', async () => {
    const root = rig.makeRoot('third');
    const stream = await rig.give(root);
    await paths(stream, ['etc/motd']);
    await arrival(stream);
    renameSync(`${root}/etc`, `${root}/conf`);
    writeFileSync(`${root}/var/data/late`, 'x');
    await paths(stream, ['conf/motd', 'var/data/late', 'etc/motd']);
    const { found, missing } = await stream.end();
    assert.deepEqual([found, missing], [3, 1]);
    assert.ok((await rig.list(stream.session)).includes('var/data/late'));
  });

  for (const recorded of [false, true])
    test(`what has another's place is that which is there; root recorded: ${recorded}`, async () => {
      const root = rig.makeRoot(recorded ? 'swapped-recorded' : 'swapped');
      for (const name of ['app/both', 'app/deep/both', 'app/old']) writeBelow(root, name);
      for (const name of ['both', 'deep/both', 'new']) writeBelow(root, `app.new/${name}`);
      if (recorded) await rig.sandbox.ok(['start', '--root', root]);
      const stream = await rig.give(root);
      renameSync(`${root}/app`, `${root}/app.old`);
      renameSync(`${root}/app.new`, `${root}/app`);
      // The object that had this name has another one.
      writeBelow(root, 'var/fresh');
      renameSync(`${root}/var/fresh`, `${root}/var/data/one`);
      const there = ['app/both', 'app/deep/both', 'app/new', 'var/data/one'];
      await paths(stream, ['app/old', ...there]);
      const { found, missing } = await stream.end();
      assert.deepEqual([found, missing], [4, 1]);
      assert.deepEqual(await rig.list(stream.session), ['app', ...there]);
      assert.deepEqual(inodesOf(stream.session), inodesAt(root, ['app', ...there]));
      if (recorded) await rig.sandbox.ok(['stop', '--root', root]);
    });

  test('a root that is recorded at the same time', async () => {
    const root = rig.makeRoot('fourth');
    await rig.sandbox.ok(['start', '--root', root]);
    const [one, two] = [await rig.give(root), await rig.give(root)];
    await paths(one, ['lib/libc.so.6']);
    renameSync(`${root}/usr/lib/libc.so.6`, `${root}/usr/lib/libc.so.7`);
    await rig.sandbox.ok(['stop', '--root', root]);
    await paths(two, ['lib/libc.so.7']);
    await Promise.all([one.end(), two.end()]);
    assert.deepEqual(await rig.list(two.session), ['lib', 'usr/lib/libc.so.7']);
    assert.equal((await ended(two.session)).loss, 0);
  });

  test('what is mounted below the root is not of it, unless it is recorded with it', async () => {
    const root = rig.makeRoot('mounted');
    execFileSync('mount', ['-t', 'tmpfs', 'none', `${root}/var`]);
    try {
      writeFileSync(`${root}/var/run`, 'x');
      const stream = await rig.give(root);
      await paths(stream, ['var/run', 'var/data/one', 'var', 'etc/../var/../etc/motd']);
      const { found, skipped } = await stream.end();
      assert.deepEqual([found, skipped['other-file-system']], [0, 4]);
    } finally {
      execFileSync('umount', [`${root}/var`]);
    }
  });

  test('there is a bound on how many are given at once', async () => {
    const root = rig.makeRoot('many');
    const streams = await Promise.all(Array.from({ length: 64 }, () => rig.give(root)));
    await assert.rejects(rig.give(root), { code: 'too-many-given', exit: 'busy' });
    await Promise.all(streams.map((stream) => stream.end()));
    await (await rig.give(root)).end();
  });

  test('what is no line of a giver is refused, and the session is not whole', async () => {
    const root = rig.makeRoot('fifth');
    const stream = await rig.give(root);
    await stream.rows([{ path: Buffer.from('etc/motd'), count: -1 }]);
    await assert.rejects(stream.end(), { code: 'bad-request', message: /count/ });
    assert.equal((await ended(stream.session)).loss, 1);
    const flood = await rig.give(root);
    await assert.rejects(
      async () => {
        for (let i = 0; i < 2000; i += 1)
          await flood.rows([{ path: Buffer.alloc(24_000, 'x'), follow: false }]);
        await flood.rows([{ path: Buffer.alloc(240_000, 'x'), follow: false }]);
        await flood.end();
      },
      { code: 'bad-request' },
    );
    await assert.rejects(rig.give(`${root}/nowhere`), { code: 'root-not-found' });
  });

  test('a daemon that ends, or is killed, leaves no session whole or open', async () => {
    const root = rig.makeRoot('sixth');
    const [first, second] = [await rig.give(root), await rig.give(root)];
    await paths(first, ['etc/motd']);
    await second.end();
    assert.equal(await daemon.stop(), 0);
    assert.ok(first.broken.aborted);
    await assert.rejects(paths(first, ['etc/motd']), { code: 'daemon-connection' });
    daemon = await rig.sandbox.daemon();
    assert.equal((await ended(first.session)).loss, 1);
    assert.equal((await ended(second.session)).loss, 0);
    const third = await rig.give(root);
    await paths(third, ['etc/motd']);
    await delay(200);
    await daemon.kill();
    daemon = await rig.sandbox.daemon();
    const { losses } = await ended(third.session);
    assert.deepEqual(
      losses.map(({ where }) => where),
      ['daemon-restart'],
    );
    assert.deepEqual(await rig.list(third.session), ['etc/motd']);
  });
});
