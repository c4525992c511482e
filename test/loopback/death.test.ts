/** The daemon ends, by itself or by force, while a client reads: what was committed stays. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { lacks } from '../capabilities.ts';
import { CLIENTS, GANESHA_NEEDS } from '../support/ganesha.ts';
import { Loopback } from '../support/loopback.ts';
import type { NfsClient } from '../support/nfs-client.ts';

interface Shown {
  readonly open: boolean;
  readonly loss: number;
  readonly losses: readonly { readonly where: string; readonly from: string }[];
}

describe('the end of a daemon', { skip: lacks(...GANESHA_NEEDS) }, () => {
  let loop: Loopback;
  let client: NfsClient;
  let other: string;
  before(async () => {
    loop = await Loopback.start({ config: { flushMs: 60_000 }, others: ['other'] });
    other = loop.roots[1] ?? '';
    writeFileSync(`${other}/file`, 'of the other root');
    await loop.record();
    await loop.sandbox.ok(['start', '--root', other, '--client', CLIENTS[0]]);
    client = await loop.client(3);
  });
  after(() => loop.stop());
  const show = (session = '1'): Promise<Shown> => loop.sandbox.json<Shown>(['show', session]);

  test('kill -9: what was committed is there, and can be read while no daemon runs', async () => {
    await client.read('/init');
    await client.read('/etc/a');
    await loop.flush();
    await (await loop.client(3, other)).read('/file');
    await loop.flush();
    await client.read('/etc/ab');
    await loop.daemon.kill();
    const files = await loop.files('1');
    assert.ok(files.has('init') && files.has('etc/a') && !files.has('etc/ab'));
    assert.equal((await show()).open, true);
  });

  test('a restart: recording goes on in the same session, and the gap is a loss', async () => {
    await client.read('/etc/abc');
    await loop.restart();
    await client.read('/etc/abcd');
    await loop.flush();
    const files = await loop.files('1');
    assert.ok(files.has('init') && files.has('etc/abcd'));
    const { loss, losses } = await show();
    assert.equal(loss, 1);
    assert.deepEqual(
      losses.map(({ where }) => where),
      ['daemon-restart'],
    );
    const ofOther = await show('2');
    assert.deepEqual(
      ofOther.losses.map(({ where, from }) => [where, from]),
      losses.map(({ where, from }) => [where, from]),
      'the same gap for each root',
    );
    assert.match((await loop.sandbox.ok(['sessions'])).text, / 1 +open,lossy$/m);
    assert.match((await loop.sandbox.ok(['show', '1'])).text, /loss +daemon-restart: 1, /);
  });

  test('export refuses it with a hint, and takes it when told to', async () => {
    await loop.sandbox.fails(['export', '1', '-o', 'x'], {
      code: 65,
      message: /1 events may be missing in session-1/,
      hint: /--accept-loss/,
    });
    const { stderr } = await loop.sandbox.ok(['export', '1', '-o', 'x', '--accept-loss']);
    assert.match(stderr, /^warning: built from doubtful sessions: loss 1/m);
  });

  test('SIGTERM: what was read just before is committed', async () => {
    await client.read('/usr/bin/sudo');
    assert.equal(await loop.daemon.stop(), 0);
    assert.ok((await loop.files('1')).get('usr/bin/sudo')?.includes('read'));
    await loop.restart();
    assert.equal((await show()).losses.length, 2, 'this gap is told too');
  });

  test('killed again and again in the midst of it: a sound database each time', async () => {
    const { daemon } = loop;
    await daemon.stop();
    for (let round = 0; round < 3; round += 1) {
      loop.daemon = await loop.sandbox.daemon({ flushMs: 50 });
      const end = Date.now() + 100 + 70 * round;
      while (Date.now() < end)
        for (const name of ['a', 'ab', 'abc']) await client.read(`/etc/${name}`);
      await loop.daemon.kill();
      const db = new Sqlite(loop.sandbox.database);
      try {
        assert.equal(db.pragma('integrity_check', { simple: true }), 'ok');
        assert.deepEqual(db.pragma('foreign_key_check'), []);
      } finally {
        db.close();
      }
    }
    await loop.restart();
    const { text } = await loop.sandbox.ok(['stop']);
    assert.match(text, /ended: session-1$/m);
  });
});
