/**
 * Every kernel of the lab with every version of NFS: what clients of each do at the same time ends
 * in a session each, as the kernel's own trace tells it. The tier is what that kernel can give. On
 * the oldest and the newest, boots and the kinds of handles as well.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { lacks } from '../capabilities.ts';
import { noteCompatibility } from '../compatibility.ts';
import { compare } from './compare.ts';
import {
  checkKind,
  CLIENTS,
  FEW_KINDS,
  record,
  setUpExports,
  useKinds,
  type Kind,
} from './export-kinds.ts';
import { KERNELS, type LabKernel } from './kernels.ts';
import { LabClient, NFS_VERSIONS, type NfsVersion } from './lab-client.ts';
import { namesOf, Product, type Session, type SessionFile } from './product.ts';
import { namesByHash, ReferenceRecorder, type ReferenceTrace } from './reference-trace.ts';
import { LabServer, VICTIM_ROOT } from './server.ts';
import { Victim } from './victim.ts';

const TIERS: Readonly<Record<LabKernel, string>> = {
  bullseye: 'exact',
  bookworm: 'exact',
  trixie: 'exact',
  sid: 'exact+names',
};

/** Also boots a whole machine, on one kernel besides the one of the other tests. */
const BOOTS: LabKernel = 'trixie';

/** Whose boots and exports have tests of their own is not among them. */
const FURTHER: readonly LabKernel[] = ['bullseye', 'sid'];
/** Longer than the silence that tells a reboot. */
const PAUSE_MS = 6_000;

const READ = ['etc/passwd', 'usr/bin/env', 'usr/bin/bash'];
const LINKS = ['bin', 'etc/mtab'];

/** What each client does; `work` is a folder of its own. */
async function use(client: LabClient, work: string): Promise<void> {
  await client.read(...READ);
  await client.readlink(...LINKS);
  await client.stat('etc/fstab', 'var/log');
  assert.ok((await client.list('etc/default')).length > 0);
  await client.must(`: <srv/matrix/empty`);
  await client.must(`echo new >${work}/made && mv ${work}/made ${work}/renamed`);
  await client.must(`echo more >>${work}/old && test ! -e ${work}/nowhere`);
}

for (const [suite, number] of Object.entries(KERNELS) as [LabKernel, string][]) {
  const skip = lacks(
    ...(['root', 'qemu', 'debootstrap'] as const),
    ...(suite === 'bookworm' ? [] : [suite]),
  );
  describe(`Linux ${number} of ${suite}`, { skip }, () => {
    const server = new LabServer({ kernel: suite });
    const product = new Product(server);
    const reference = new ReferenceRecorder(server);
    const clients = NFS_VERSIONS.map((version, index) => ({
      version,
      client: new LabClient({
        ...{ server, name: `v${version}`, address: `10.77.0.${30 + index}` },
      }),
      work: `srv/matrix/${version}`,
    }));
    let sessions: readonly Session[];
    let trace: ReferenceTrace;
    let names: ReadonlyMap<number, readonly Buffer[]>;

    before(async () => {
      await server.start();
      await server.must(
        [
          'set -e',
          `cd ${VICTIM_ROOT}`,
          `mkdir -p ${clients.map(({ work }) => work).join(' ')}`,
          `for work in srv/matrix/*; do echo old >$work/old; done`,
          ': >srv/matrix/empty',
          `exportfs -o rw,no_root_squash,no_subtree_check,insecure '*:${VICTIM_ROOT}'`,
        ].join('\n'),
      );
      // Programs come in page by page over 5.10's 9p; a daemon that starts meanwhile is late.
      await server.run('trace doctor', { timeoutMs: 300_000 });
      await product.start();
      await reference.start();
    });
    after(() => server.stop());

    test(`Linux ${number}: clients of all versions work at the same time`, async () => {
      await Promise.all(
        clients.map(async ({ client, version, work }) => {
          await client.powerOn();
          await client.mount({ version, options: 'rw' });
          await use(client, work);
          await client.unmount();
        }),
      );
      await product.settle();
      trace = await reference.take();
      names = await namesByHash(server);
      sessions = await product.sessions();
      assert.equal(sessions.length, clients.length);
    });

    for (const { version, client, work } of clients) {
      test(`Linux ${number}, NFSv${version}: the session is what the kernel's trace says`, async () => {
        const files = await checkSession(version, client.address);
        const byName = new Map(files.flatMap((file) => namesOf(file).map((name) => [name, file])));
        const operations = (name: string): readonly string[] => byName.get(name)?.operations ?? [];
        for (const name of READ) assert.ok(operations(name).includes('read'), name);
        for (const name of LINKS) assert.ok(operations(name).includes('readlink'), name);
        assert.ok(operations('etc/default').includes('readdir'));
        assert.ok(operations(work).includes('create'));
        for (const name of ['renamed', 'old']) {
          assert.ok(operations(`${work}/${name}`).includes('write'), name);
        }
        assert.ok(byName.has('srv/matrix/empty'));
        // Over NFSv3 a LOOKUP brings the attributes along, and tells the server's trace no more
        // than the folder.
        const looked = version === '3' ? [] : ['etc/fstab', 'var/log'];
        for (const name of looked) assert.ok(byName.has(name), name);
        if (TIERS[suite] === 'exact+names') {
          const [session] = sessions.filter(({ client: address }) => address === client.address);
          const missed = await product.missing(session as Session);
          assert.ok(missed.includes(`${work}/nowhere`), missed.join());
        }
        note(version, 'reads, links, listings, stats, an empty file, writes, renames');
      });
    }

    if (suite === BOOTS) {
      test(`Linux ${number}: a whole boot over NFSv4.2`, async (t) => {
        const victim = new Victim({ server, version: '4.2' });
        const report = await victim.start();
        t.diagnostic(`booted in ${report.bootMs} ms`);
        await victim.powerOff();
        assert.equal(report.target, 'active');
        await product.settle();
        trace = await reference.take();
        sessions = await product.sessions();
        const files = await checkSession('4.2', victim.address);
        assert.ok(files.length > 400, `a boot touches more than ${files.length} objects`);
        note('4.2', 'a boot of Debian');
      });
    }

    if (FURTHER.includes(suite)) {
      test(`Linux ${number}: an unmount and a mount, a power cut and a boot`, async () => {
        await delay(PAUSE_MS);
        await Promise.all(
          clients.map(async ({ client, version }) => {
            await client.mount({ version });
            await client.read('etc/group');
            await delay(PAUSE_MS);
            await client.reset();
            await client.mount({ version });
            await client.read('etc/group');
          }),
        );
        await product.settle();
        sessions = await product.sessions();
        for (const { version, client } of clients) {
          const own = sessions.filter(({ client: address }) => address === client.address);
          const story = own.map(({ evidence, partial, loss }) => [evidence.kind, partial, loss]);
          const rest = [false, 0];
          const mount = ['nfs3-mount', ...rest];
          const first = ['nfs4-new-client', ...rest];
          assert.deepEqual(
            story,
            version === '3' ? [mount, mount, mount] : [first, ['nfs4-verifier', ...rest]],
          );
          note(version, 'a power cut and a boot', 'a session for each boot');
          const again = version === '3' ? 'a new session' : 'the same session';
          note(version, 'an unmount, a silence and a mount', again);
        }
      });
    }

    test(`Linux ${number}: the recording ends`, async () => {
      await product.trace('stop');
      await reference.stop();
    });

    if (FURTHER.includes(suite)) {
      test(`Linux ${number}: kinds of exports`, async () => {
        await Promise.all(clients.map(({ client }) => client.powerOff()));
        // Two of the addresses are now in other hands.
        await server.must('ip neigh flush dev br0');
        await setUpExports(server, FEW_KINDS);
        const kinds = FEW_KINDS.filter((kind) => !refused(kind));
        await record(server, kinds);
        const sets = await useKinds(server, kinds);
        for (const kind of kinds)
          for (const client of CLIENTS) checkKind(sets, { kind, client, kernel: suite });
        assert.deepEqual(sets.losses(), []);
        assert.equal(sets.status.unresolved, 0);
        for (const { name, fileSystem, root } of FEW_KINDS.filter(refused)) {
          const { code, stderr } = await server.run(`trace start --root /nfsroots/${root}`);
          assert.equal(code, 69, stderr);
          assert.match(stderr, /its id \(fsid\) is zero/);
          noteCompatibility({
            ...{ kernel: suite, nfs: 'any', exportKind: name, fileSystem, tier: 'none' },
            ...{ what: 'recording it', result: 'refused: its files cannot be told from others' },
          });
        }
      });
    }

    /** fanotify tells file systems apart by an id that tmpfs has only in newer kernels. */
    function refused({ fileSystem }: Kind): boolean {
      return suite === 'bullseye' && fileSystem === 'tmpfs';
    }

    /** The one session of a client, held against the reference; gives its files. */
    async function checkSession(version: NfsVersion, address: string): Promise<SessionFile[]> {
      const [session, ...others] = sessions.filter(({ client }) => client === address);
      assert.ok(session !== undefined && others.length === 0, `one session of ${address}`);
      assert.equal(session.tier, TIERS[suite]);
      assert.equal(session.evidence.kind, version === '3' ? 'nfs3-mount' : 'nfs4-new-client');
      assert.equal(session.partial, false);
      assert.equal(session.loss, 0);
      const files = await product.files(session);
      const seen = trace.get(address);
      assert.ok(seen !== undefined, 'the reference saw the client');
      const { objects, ...differences } = compare(files, seen, names);
      assert.deepEqual(differences, { missing: [], unresolved: [], extra: [], different: [] });
      assert.ok(objects > 0);
      return files;
    }

    function note(nfs: NfsVersion, what: string, result = "as the kernel's trace"): void {
      noteCompatibility({ ...{ kernel: suite, nfs, what, tier: TIERS[suite], result } });
    }
  });
}
