/** The customer's three lines on a real NFS server: record a boot, export it, boot the image. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { recordsOf } from '../image/records-of.ts';
import { lacks } from '../capabilities.ts';
import { compare } from './compare.ts';
import type { BootReport } from './exercised-machine.ts';
import { withImageBoot } from './image-boot.ts';
import { namesOf, Product, type Session } from './product.ts';
import { namesByHash, ReferenceRecorder } from './reference-trace.ts';
import { LabServer } from './server.ts';
import { Victim } from './victim.ts';
import { whatWasDone } from './what-was-done.ts';

describe('main job', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  const product = new Product(server);
  const reference = new ReferenceRecorder(server);

  before(async () => {
    await server.start();
    await product.start();
    await reference.start();
  });
  after(() => server.stop());

  for (const [port, version] of (['3', '4.2'] as const).entries()) {
    let report: BootReport;
    let session: Session;

    test(`NFSv${version}: the session of a boot holds all that the server's trace shows`, async (t) => {
      const victim = new Victim({ server, version, port });
      report = await victim.start();
      t.diagnostic(`booted over NFSv${version} in ${report.bootMs} ms`);
      await victim.powerOff();
      assert.equal(report.target, 'active');
      assert.match(report.sshd, /^SSH-2\.0-/);

      await product.settle();
      const trace = await reference.take();
      const sessions = await product.sessionsOf(victim.address);
      assert.equal(sessions.length, 1);
      session = sessions[0] as Session;
      assert.equal(session.tier, 'exact');
      assert.equal(session.evidence.kind, version === '3' ? 'nfs3-mount' : 'nfs4-new-client');
      assert.equal(session.partial, false);
      assert.equal(session.loss, 0);

      const seen = trace.get(victim.address);
      assert.ok(seen !== undefined, 'the reference saw the client');
      const files = await product.files(session);
      const { objects, ...differences } = compare(files, seen, await namesByHash(server));
      assert.deepEqual(differences, { missing: [], unresolved: [], extra: [], different: [] });
      assert.ok(objects > 400, `a boot touches more than ${objects} objects`);
    });

    test(`NFSv${version}: the image boots without a network and does the same`, async (t) => {
      const exported = await product.export(session, `v${version}.cpio`);
      const again = await product.export(session, `v${version}-again.cpio`);
      assert.deepEqual(await readFile(again.file), await readFile(exported.file));
      assert.deepEqual(exported.sweeps, [], 'nothing in a boot is a sweep');
      const used = new Set((await product.files(session)).flatMap(namesOf));
      const unused = (await regularFiles(exported.file)).filter((name) => !used.has(name));
      const { reasons } = exported;
      const allowed = MAY_BE_UNUSED.reduce((sum, kind) => sum + (reasons[kind] ?? 0), 0);
      assert.ok(unused.length <= allowed, `${unused.join()} of ${JSON.stringify(reasons)}`);
      await withImageBoot({ image: exported.file }, (_, inMemory) => {
        t.diagnostic(`booted the image of ${exported.bytes} bytes in ${inMemory.bootMs} ms`);
        assert.deepEqual(whatWasDone(inMemory), whatWasDone(report));
        return Promise.resolve();
      });
    });
  }

  test('nobody but the victims has a session', async () => {
    const clients = (await product.sessions()).map(({ client }) => client);
    assert.deepEqual(clients.toSorted(), ['10.77.0.10', '10.77.0.11']);
  });
});

/**
 * What a link that the client read leads to, /init, and what the rules add: of what the client used,
 * some part needs these, but in this boot nothing came that far (a PAM module of a service that
 * nobody logged in to, an interpreter of a script that was only looked at). Nothing else comes in
 * unused.
 */
const MAY_BE_UNUSED = [
  'target-of',
  'init',
  'interpreter-of',
  'needed-by',
  'dlopened-by',
  'hwcaps-of',
  'named-by',
  'index-of',
  'firmware-of',
];

/** Names of an image's regular files, as Latin-1. */
async function regularFiles(image: string): Promise<string[]> {
  const names: string[] = [];
  for (const { mode, name } of recordsOf(await readFile(image)))
    if ((mode & 0o170000) === 0o100000) names.push(name);
  return names;
}
