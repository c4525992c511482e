/** Each session knows files as they were when it used them, whatever others saw before and after. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  readFileSync,
  renameSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { GANESHA_NEEDS } from '../support/ganesha.ts';
import { Loopback } from '../support/loopback.ts';

/** A look at a file does for the sessions of some seconds (src/recording/file-numbers.ts). */
const LOOK_HOLDS_MS = 5_200;

interface Exported {
  readonly drift: readonly { readonly path: string; readonly what: string }[];
}
interface Listed {
  readonly files: readonly { readonly path: string; readonly size: number }[];
}

describe('a root that changes between sessions', { skip: lacks(...GANESHA_NEEDS) }, () => {
  let loop: Loopback;
  let at: (path: string) => string;
  before(async () => {
    loop = await Loopback.start();
    at = (path) => join(loop.root, path);
    for (const path of ['own', 'mode', 'down', 'same']) writeFileSync(at(`etc/${path}`), 'first');
    await loop.record();
  });
  after(() => loop.stop());

  const use = async (...paths: string[]): Promise<void> => {
    const client = await loop.client(4);
    for (const path of paths) await client.read(path);
    await client.close();
    await loop.flush();
  };
  const all = () => use('/etc/own', '/etc/mode', '/etc/down', '/etc/same');
  const driftOf = async (sessions: string): Promise<string[]> =>
    (
      await loop.sandbox.json<Exported>([
        ...['export', sessions, '--accept-loss', '-o', loop.sandbox.at('image')],
      ])
    ).drift.map(({ path, what }) => `${path} ${what}`);
  const sizeOf = async (session: string, path: string): Promise<number | undefined> =>
    (await loop.sandbox.json<Listed>(['files', session])).files.find((one) => one.path === path)
      ?.size;

  test('a change just before a boot is what that boot used: drift for the one before only', async () => {
    await all();
    await use('/etc/ab');
    await loop.nextSession();
    await delay(LOOK_HOLDS_MS);
    appendFileSync(at('etc/own'), ' and second');
    chmodSync(at('etc/mode'), 0o600);
    await all();
    await loop.nextSession();
    assert.deepEqual(await driftOf('1'), ['etc/mode changed-mode', 'etc/own changed']);
    assert.deepEqual(await driftOf('2'), []);
    assert.deepEqual(await driftOf('1+2'), []);
    assert.deepEqual(await driftOf('2+1'), []);
    assert.deepEqual([await sizeOf('1', 'etc/own'), await sizeOf('2', 'etc/own')], [5, 16]);
    await loop.sandbox.ok([
      ...['export', '2', '--accept-loss', '--on-drift', 'fail', '-o', loop.sandbox.at('image')],
    ]);
  });

  test('a root that is put back is drift for the session that saw the change', async () => {
    const { atime, mtime } = statSync(at('etc/same'));
    writeFileSync(at('etc/own'), 'first');
    utimesSync(at('etc/own'), atime, mtime);
    chmodSync(at('etc/mode'), 0o644);
    const first = await driftOf('1');
    assert.ok(!first.includes('etc/mode changed-mode'), first.join());
    assert.deepEqual(await driftOf('2'), ['etc/mode changed-mode', 'etc/own changed']);
  });

  test('a change while no daemon ran', async () => {
    await loop.daemon.kill();
    appendFileSync(at('etc/down'), ', down');
    renameSync(at('etc/ab'), at('etc/renamed'));
    await loop.restart();
    await loop.nextSession();
    await all();
    await use('/etc/renamed');
    await loop.nextSession();
    assert.deepEqual(await driftOf('3'), []);
    assert.ok(!(await loop.files('3')).has('etc/ab'), 'it went before the session began');
    const before = await driftOf('2');
    assert.ok(before.includes('etc/down changed'), before.join());
    assert.equal(readFileSync(at('etc/down'), 'utf8'), 'first, down');
  });
});
