/** What recorded sessions read is kept when they end, by itself, and images of it stay as they are. */
import assert from 'node:assert/strict';
import { linkSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import type { StatusBody } from '../../src/daemon/api.ts';
import { lacks } from '../capabilities.ts';
import { GANESHA_NEEDS } from '../support/ganesha.ts';
import { Loopback } from '../support/loopback.ts';

interface Shown {
  readonly notes: readonly { readonly kind: string; readonly count: number }[];
}

describe('trace start --keep-content', { skip: lacks(...GANESHA_NEEDS) }, () => {
  let loop: Loopback;
  before(async () => {
    loop = await Loopback.start({ config: { contentMaxMb: 2 } });
    await loop.record('--keep-content');
  });
  after(() => loop.stop());

  const counts = async () => (await loop.sandbox.json<StatusBody>(['status'])).content;
  const ended = async (number: number) => {
    for (let turn = 0; turn < 200; turn++) {
      const { kept, failed } = await counts();
      if (kept + failed >= number) return;
      await delay(50);
    }
    assert.fail('nothing is kept');
  };
  const noted = async (session: string, kind: string) => {
    for (let turn = 0; turn < 200; turn++) {
      const { notes } = await loop.sandbox.json<Shown>(['show', session]);
      if (notes.some((note) => note.kind === kind)) return;
      await delay(50);
    }
    assert.fail(`${session} has no ${kind}`);
  };
  const image = async (session: string, ...more: string[]): Promise<Buffer> =>
    (await loop.sandbox.ok(['export', session, '--accept-loss', '-o', '-', ...more])).stdout;
  const use = async (...paths: string[]): Promise<void> => {
    const client = await loop.client(4);
    for (const path of paths) await client.read(path);
    await client.close();
    await loop.flush();
  };

  test('while a session is open nothing is kept but on request, which says so', async () => {
    await use('/etc/chain1', '/etc/abc', '/etc/abcd');
    const { stderr } = await loop.sandbox.ok(['snapshot', 'session-1']);
    assert.match(stderr, /session-1 still open: what comes later is not kept/);
    await loop.sandbox.ok(['content', 'remove', 'session-1']);
    assert.deepEqual(await counts(), { waiting: 0, kept: 0, failed: 0, last_failure: null });
  });

  test('when it ends it is kept, and its image is the same for ever', async () => {
    const before = await image('session-1');
    await loop.nextSession();
    await ended(1);
    const { notes } = await loop.sandbox.json<Shown>(['show', 'session-1']);
    assert.deepEqual(
      notes.map(({ kind }) => kind),
      ['content-kept'],
    );
    renameOver(join(loop.root, 'usr/bin/tool'), 'a new version of the tool');
    writeFileSync(join(loop.root, 'etc/abc'), 'ABC!');
    linkSync(join(loop.root, 'etc/abcd'), join(loop.root, 'etc/abcd.backup'));
    assert.ok((await image('session-1', '--as-recorded')).equals(before));
    const drift = (
      await loop.sandbox.json<{ drift: { path: string; what: string }[] }>([
        ...['export', 'session-1', '--accept-loss', '-o', loop.sandbox.at('now')],
      ])
    ).drift.map(({ path, what }) => `${path} ${what}`);
    assert.deepEqual(
      drift.filter((one) => !one.endsWith('changed-mode')),
      ['etc/abc changed', 'etc/abcd touched', 'usr/bin/tool replaced'],
    );
  });

  test('what cannot be kept is counted and shown, and recording goes on', async () => {
    writeFileSync(join(loop.root, 'usr/big'), Buffer.alloc(3 << 20, 'big'));
    await use('/usr/big');
    await loop.nextSession();
    await ended(2);
    const { kept, failed, last_failure: why } = await counts();
    assert.deepEqual([kept, failed], [1, 1]);
    assert.match(why ?? '', /^session-2: kept content would be over its bound of 2 MiB$/);
    const { text, stderr } = await loop.sandbox.ok(['status']);
    assert.match(text, /content kept by itself: 1 sessions, 1 failed, 0 wait/);
    assert.match(stderr, /content not kept for session-2: /);
    assert.match((await loop.sandbox.ok(['sessions'])).text, /session-2 .* complete,not-kept\n/);
    assert.match(
      (await loop.sandbox.ok(['show', 'session-2'])).text,
      /note +content-failed, .*bound/,
    );
    await use('/etc/ab');
    assert.ok((await loop.files('session-3')).has('etc/ab'));
  });

  test('a daemon that is killed takes up what it had not done', async () => {
    await use('/etc/a');
    await loop.nextSession();
    await loop.daemon.kill();
    await loop.restart();
    await noted('session-3', 'content-kept');
    // What failed is not tried again by itself.
    assert.equal((await counts()).failed, 0);
  });

  test('the end of a recording is an end too', async () => {
    await use('/etc/a');
    await loop.sandbox.ok(['stop']);
    await noted('session-4', 'content-kept');
    await image('session-4', '--as-recorded');
  });
});

function renameOver(path: string, content: string): void {
  writeFileSync(`${path}.new`, content, { mode: 0o755 });
  renameSync(`${path}.new`, path);
}
