/**
 * Whose access it was, where only file events tell: the one client that is connected, the one that
 * the operator named, or nobody's. And several roots at a time.
 */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { CLIENTS, GANESHA_NEEDS } from '../support/ganesha.ts';
import { Loopback } from '../support/loopback.ts';

interface Row {
  readonly session: string;
  readonly client: string;
  readonly root: { readonly path: string };
}

const [HERE, THERE] = CLIENTS;

describe('clients', { skip: lacks(...GANESHA_NEEDS) }, () => {
  let loop: Loopback;
  let other: string;
  before(async () => {
    loop = await Loopback.start({ inside: true, others: ['other'] });
    other = loop.roots[1] ?? '';
    writeFileSync(`${other}/file`, 'of the other root');
  });
  after(() => loop.stop());
  let known = 0;
  beforeEach(async () => {
    known = (await sessions(0)).length;
  });
  afterEach(async () => {
    await loop.sandbox.run(['stop']);
    await loop.ganesha.disconnect();
  });

  async function sessions(from = known): Promise<Row[]> {
    const { code, json } = await loop.sandbox.run(['sessions', '--json']);
    return code === 0 ? (json as { sessions: Row[] }).sessions.slice(from) : [];
  }
  const start = (...args: string[]) => loop.sandbox.ok(['start', '--root', loop.root, ...args]);
  const connect = (address: typeof HERE | typeof THERE, directory = loop.root) =>
    loop.ganesha.client({ directory, version: 3, address });

  for (const address of CLIENTS)
    test(`one is connected: ${address} is named`, async () => {
      await start();
      await (await connect(address)).read('/etc/ab');
      await loop.flush();
      assert.deepEqual(
        (await sessions()).map(({ client }) => client),
        [address],
      );
    });

  test('two are connected: nobody is named', async () => {
    await start();
    const [one] = [await connect(HERE), await connect(THERE)];
    await one.read('/etc/ab');
    await loop.flush();
    const [session] = await sessions();
    assert.equal(session?.client, 'unattributed');
    await loop.sandbox.ok(['sessions', '--client', 'unattributed']);
  });

  test('two are connected, the operator names one', async () => {
    await start('--client', THERE);
    const [one] = [await connect(THERE), await connect(HERE)];
    await one.read('/etc/ab');
    await loop.flush();
    assert.deepEqual(
      (await sessions()).map(({ client }) => client),
      [THERE],
    );
  });

  test('another than the operator wants is left out', async () => {
    await start('--client', '10.0.0.0/24', '--client', '2001:db8::/32');
    const unwanted = await connect(HERE);
    await unwanted.read('/etc/ab');
    await loop.flush();
    assert.deepEqual(await sessions(), []);
    await unwanted.close();
    await (await connect(THERE)).read('/etc/abc');
    await loop.flush();
    const [session, ...more] = await sessions();
    assert.deepEqual([session?.client, more], [THERE, []]);
    const files = await loop.files(session?.session ?? '');
    assert.ok(files.has('etc/abc') && !files.has('etc/ab'));
  });

  test('one client on two roots: a session on each, with its own files', async () => {
    await start();
    await loop.sandbox.ok(['start', '--root', other]);
    await (await connect(HERE)).read('/etc/ab');
    await (await connect(HERE, other)).read('/file');
    await loop.flush();
    const rows = await sessions();
    assert.deepEqual(rows.map(({ root }) => root.path).sort(), [loop.root, other].sort());
    for (const { session, root } of rows) {
      const files = await loop.files(session);
      assert.equal(files.has('etc/ab'), root.path === loop.root);
      assert.equal(files.has('file'), root.path === other);
    }
    const ofOther = await loop.sandbox.json<{ sessions: Row[] }>(['sessions', '--root', other]);
    assert.equal(ofOther.sessions.length, 1);
    const union = rows.map(({ session }) => session).join('+');
    await loop.sandbox.fails(['list', union], { code: 64, message: /session-\d+ of/ });
  });

  test('one root ends, the other goes on, though both lie on one file system', async () => {
    await start();
    await loop.sandbox.ok(['start', '--root', other]);
    await loop.sandbox.ok(['stop', '--root', loop.root]);
    const client = await connect(HERE, other);
    await client.read('/file');
    await (await connect(HERE)).read('/etc/abcd');
    await loop.flush();
    const rows = await sessions();
    assert.deepEqual(
      rows.map(({ root }) => root.path),
      [other],
    );
  });
});
