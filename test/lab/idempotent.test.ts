/** What a session's list is does not depend on when it is asked for, or on what the server itself did. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import type { BootReport } from './exercised-machine.ts';
import { withImageBoot } from './image-boot.ts';
import { namesOf, Product, type Session } from './product.ts';
import { GUEST_SHARE, LabServer, VICTIM_ROOT } from './server.ts';
import { Victim } from './victim.ts';
import { whatWasDone } from './what-was-done.ts';

describe('idempotent', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  const product = new Product(server);
  /** The list that the old command line makes of the first boot, which is all there is by then. */
  const traceFiles = async (name: string): Promise<Buffer> => {
    await server.must(
      `cd /nfsroots && trace-files -t TIMESTAMP -d sarge/ -o ${GUEST_SHARE}/${name}`,
    );
    return readFile(path.join(server.share, name));
  };
  let first: { readonly session: Session; readonly report: BootReport; readonly list: Buffer };

  before(async () => {
    await server.start();
    await product.start();
  });
  after(() => server.stop());

  test('the list is the same bytes after reads on the server, touch, and a second boot', async () => {
    const victim = new Victim({ server, version: '4.2' });
    await server.must('touch /nfsroots/TIMESTAMP');
    const report = await victim.start().finally(() => victim.powerOff());
    await product.settle();
    const [session] = await product.sessionsOf(victim.address);
    assert.ok(session !== undefined);
    const before = await product.list(session);
    const same = async (after: string): Promise<void> => {
      await product.settle();
      assert.ok(before.equals(await product.list(session)), `the list is as before after ${after}`);
    };
    assert.ok(before.equals(await product.list(session)), 'twice in a row');
    first = { session, report, list: await traceFiles('sarge.list') };

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
    assert.ok(first.list.equals(await traceFiles('again.list')), 'trace-files, after all that');

    try {
      await victim.start();
    } finally {
      await victim.powerOff();
    }
    await same('a second boot');
    assert.equal((await product.sessionsOf(victim.address)).length, 2);
  });

  test('TIMESTAMP, trace-files and nbic: what was used, and an image of it that boots', async () => {
    const { session, report, list } = first;
    const files = await product.files(session);
    const used = files.filter(({ created }) => !created).flatMap(namesOf);
    const lines = list.toString('latin1').trimEnd().split('\n');
    assert.deepEqual(
      lines,
      used.map((name) => (name === '' ? '.' : name)).sort((a, b) => (a < b ? -1 : 1)),
    );
    assert.ok(lines.length > 400);
    await server.must(
      `cd /nfsroots && nbic -d sarge/ --list ${GUEST_SHARE}/sarge.list -o ${GUEST_SHARE}/sarge.cpio`,
      { timeoutMs: 180_000 },
    );
    const image = path.join(server.share, 'sarge.cpio');
    await withImageBoot({ image }, (_, inMemory) => {
      assert.deepEqual(whatWasDone(inMemory), whatWasDone(report));
      return Promise.resolve();
    });
  });
});

function counts(session: Session | undefined): object {
  assert.ok(session !== undefined);
  const { files, accesses, bytes, loss } = session;
  return { files, accesses, bytes, loss };
}
