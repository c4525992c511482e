/** Every boot of a client is a session of its own, and leaves the earlier ones as they were. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { namesOf, Product, type Session } from './product.ts';
import { LabServer, VICTIM_ROOT } from './server.ts';
import { Victim } from './victim.ts';

describe('second boot', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  const product = new Product(server);

  before(async () => {
    await server.start();
    await product.start();
  });
  after(() => server.stop());

  // Each victim boots three times, so both versions go at once: the machine has two cores.
  test('after a power cut and after a clean reboot', { concurrency: true }, async (t) => {
    await Promise.all([
      t.test('NFSv3', () => bootThrice(new Victim({ server, version: '3', port: 0 }), 'etc/fstab')),
      t.test('NFSv4.2', () =>
        bootThrice(new Victim({ server, version: '4.2', port: 1 }), 'etc/nsswitch.conf'),
      ),
    ]);
  });

  /** @param edited what every boot reads: it is changed in place between the first and the second */
  async function bootThrice(victim: Victim, edited: string): Promise<void> {
    const lists = new Map<string, Buffer>();
    /** The client's sessions, after it was seen that the known ones are what they were. */
    const look = async (boots: number): Promise<void> => {
      await product.settle();
      const sessions = await product.sessionsOf(victim.address);
      assert.equal(sessions.length, boots, `sessions after ${boots} boots`);
      for (const [id, list] of lists) {
        const session = sessions.find((one) => one.session === id);
        assert.ok(session !== undefined);
        assert.ok(list.equals(await product.list(session)), `${id} is as it was`);
      }
      const latest = sessions.at(-1) as Session;
      assert.equal(latest.partial, false);
      assert.equal(latest.loss, 0);
      assert.ok(!lists.has(latest.session), 'the latest is a new one');
      const names = new Set((await product.files(latest)).flatMap(namesOf));
      for (const used of ['init', 'usr/lib/systemd/systemd', 'usr/sbin/sshd', 'usr/bin/perl']) {
        assert.ok(names.has(used), `boot ${boots} of ${victim.address} used ${used}`);
      }
    };
    const remember = async (): Promise<void> => {
      await product.settle();
      const latest = (await product.sessionsOf(victim.address)).at(-1) as Session;
      lists.set(latest.session, await product.list(latest));
    };
    try {
      await victim.start();
      await look(1);
      await victim.powerOff();
      await remember();

      await server.must(`echo '# edited' >> ${VICTIM_ROOT}/${edited}`);
      await victim.start();
      await look(2);

      await victim.reboot();
      await look(3);
      const boots = await product.sessionsOf(victim.address);
      const ofBoot = await Promise.all(boots.map((session) => product.files(session)));
      const read = ofBoot.map((files) => files.filter((one) => one.operations.includes('read')));
      const [first = 0, ...others] = read.map(({ length }) => length);
      // A second boot that were mixed with the first, or were cut short, would be far off.
      for (const count of others) {
        assert.ok(Math.abs(count - first) < first / 10, `files read: ${first}, ${others.join()}`);
      }
      // Each session knows the file as it was when its client read it.
      const drifted = await Promise.all(
        boots.map(async (session) => {
          const { drift } = await product.export(
            session,
            `${session.session}.list`,
            '--format list',
          );
          return drift.filter((one) => one.path === edited).map(({ what }) => what);
        }),
      );
      assert.deepEqual(drifted, [['changed'], [], []]);
    } finally {
      await victim.powerOff();
    }
  }
});
