/** What a session's list is does not depend on when it is asked for, or on what the server itself did. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { Product, type Session } from './product.ts';
import { LabServer, VICTIM_ROOT } from './server.ts';
import { Victim } from './victim.ts';

describe('idempotent', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  const product = new Product(server);

  before(async () => {
    await server.start();
    await product.start();
  });
  after(() => server.stop());

  test('the list is the same bytes after reads on the server, touch, and a second boot', async () => {
    const victim = new Victim({ server, version: '4.2' });
    try {
      await victim.start();
    } finally {
      await victim.powerOff();
    }
    await product.settle();
    const [session] = await product.sessionsOf(victim.address);
    assert.ok(session !== undefined);
    const before = await product.list(session);
    const same = async (after: string): Promise<void> => {
      await product.settle();
      assert.ok(before.equals(await product.list(session)), `the list is as before after ${after}`);
    };
    assert.ok(before.equals(await product.list(session)), 'twice in a row');

    await server.must(`find ${VICTIM_ROOT} -xdev -type f -print0 | xargs -0 cat | wc -c`, {
      timeoutMs: 300_000,
    });
    await same('a read of the whole root');
    const [unchanged] = await product.sessionsOf(victim.address);
    assert.deepEqual(counts(unchanged), counts(session), 'local reads are in no session');
    assert.equal((await product.sessions()).length, 1, 'and make none');

    await server.must(`find ${VICTIM_ROOT} -xdev -type f -print0 | xargs -0 touch`, {
      timeoutMs: 300_000,
    });
    await same('touch');

    try {
      await victim.start();
    } finally {
      await victim.powerOff();
    }
    await same('a second boot');
    assert.equal((await product.sessionsOf(victim.address)).length, 2);
  });
});

function counts(session: Session | undefined): object {
  assert.ok(session !== undefined);
  const { files, accesses, bytes, loss } = session;
  return { files, accesses, bytes, loss };
}
