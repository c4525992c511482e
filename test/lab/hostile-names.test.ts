/** Names and kinds of files that break careless programs, all the way from the client into the image. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { withImageBoot } from './image-boot.ts';
import { Product, type Session } from './product.ts';
import { LabServer, VICTIM_ROOT } from './server.ts';
import { Victim } from './victim.ts';

describe('hostile names', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  const product = new Product(server);

  before(async () => {
    await server.start();
    await product.start();
  });
  after(() => server.stop());

  test('are recorded, listed, and in the image as in the root, NFSv3 and NFSv4.2', async () => {
    const victims = [
      new Victim({ server, version: '3', port: 0 }),
      new Victim({ server, version: '4.2', port: 1 }),
    ];
    let looks: string[] = [];
    try {
      await Promise.all(victims.map((victim) => victim.start()));
      looks = await Promise.all(
        victims.map((victim) => victim.must('touch-odd', { timeoutMs: 120_000 })),
      );
    } finally {
      await Promise.all(victims.map((victim) => victim.powerOff()));
    }
    assert.equal(looks[0], looks[1]);
    await product.settle();

    const found = await server.run(`cd ${VICTIM_ROOT} && find srv/odd -print0`);
    const expected = split(found.output);
    assert.ok(expected.length > 45);
    for (const victim of victims) {
      const [session] = await product.sessionsOf(victim.address);
      const listed = split(await product.list(session as Session));
      assert.deepEqual(
        listed.filter((name) => name.startsWith('srv/odd')),
        expected.toSorted(),
        `the list of ${victim.address}`,
      );
    }

    const [session] = await product.sessionsOf(victims[0]?.address ?? '');
    const { file } = await product.export(session as Session, 'odd.cpio');
    await withImageBoot({ image: file }, async (machine) => {
      assert.equal(await machine.must('touch-odd', { timeoutMs: 120_000 }), looks[0]);
    });
  });
});

/** NUL-ended names, as bytes in Latin-1 so that they can be compared and sorted. */
function split(list: Buffer): string[] {
  return list.toString('latin1').split('\0').slice(0, -1);
}
