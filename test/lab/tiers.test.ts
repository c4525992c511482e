/**
 * What each tier gives on the kernel that has it and no better one, by the product as it is used:
 * the kprobe and reads on 5.10, the kprobe against the tracepoint on 6.1, names on 7.x.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { NfsdStatus } from '../../src/capture/nfsd-source.ts';
import type { NfsBatch, NfsRow } from '../../src/common/batches.ts';
import { lacks } from '../capabilities.ts';
import { LabClient, quoted } from './lab-client.ts';
import { namesOf, Product, type Session } from './product.ts';
import { GUEST_SHARE, LabServer, VICTIM_ROOT } from './server.ts';

const WORK = [
  'cat etc/fstab etc/nope',
  'readlink bin lib',
  'ls -l etc/lab',
  'stat etc/shadow',
  'setpriv --reuid 1000 --clear-groups cat etc/shadow',
  'true',
].join('; ');

/** Mounts in a client's network, does something in its root, unmounts. */
function visit(name: string, version: '3' | '4.2', shell: string): string {
  const where = version === '3' ? VICTIM_ROOT : VICTIM_ROOT.replace('/nfsroots', '');
  const options = `ro,vers=${version}${version === '3' ? ',nolock' : ''}`;
  const mount = `nsenter --net=/run/netns/${name}.1 mount -t nfs -o ${options} 10.77.0.1:${where} /visit`;
  return `mkdir -p /visit; ${mount}; (cd /visit; ${shell}) >/dev/null 2>&1; umount /visit`;
}

async function twoClients(server: LabServer): Promise<[LabClient, LabClient]> {
  const one = new LabClient({ server, name: 'c1', address: '10.77.0.21' });
  const two = new LabClient({ server, name: 'c2', address: '10.77.0.22' });
  await one.powerOn();
  await two.powerOn();
  return [one, two];
}

/** NFSEXP_SIGN_FH; the others are those of `ro,insecure,no_subtree_check,no_root_squash`. */
const SIGN_FH = 0x100;

/** A handle that a server does not know any more: opened, removed behind the client's back, read. */
const gone = `${VICTIM_ROOT}/gone`;
const STALE = `exec 3<gone; rm ${gone}; dd bs=4096 iflag=direct <&3; true`;

/** What a session knows of its files: each path with its operations. */
async function touched(product: Product, session: Session): Promise<Map<string, string[]>> {
  const files = await product.files(session);
  return new Map(files.map((file) => [namesOf(file)[0] ?? '?', [...file.operations]]));
}

describe(
  'tier exact by kprobe, against the tracepoint',
  {
    skip: lacks('root', 'qemu', 'debootstrap'),
  },
  () => {
    interface Result {
      readonly routes: Record<'tracepoint' | 'kprobe', NfsBatch>;
      readonly status: Record<'tracepoint' | 'kprobe', NfsdStatus>;
      readonly life: Record<
        | 'both'
        | 'withChild'
        | 'afterKill'
        | 'afterNext'
        | 'afterStop'
        | 'atEnd'
        | 'withPrepared'
        | 'afterPrepared'
        | 'undone',
        string[]
      > & { readonly goneOn: number; readonly busy: string };
    }
    const server = new LabServer({ kernel: 'bookworm' });
    let result: Result;
    before(async () => {
      await server.start();
      await twoClients(server);
      const traffic = [
        ...(['3', '4.2'] as const).flatMap((version) =>
          ['c1', 'c2'].map((name) => visit(name, version, WORK)),
        ),
        `echo here >${gone}`,
        visit('c1', '3', STALE),
      ].join('; ');
      await server.must(
        `node test/lab/guest/two-routes.ts ${quoted(traffic)} ${GUEST_SHARE}/result.json`,
        { timeoutMs: 240_000 },
      );
      const text = await readFile(path.join(server.share, 'result.json'), 'utf8');
      result = JSON.parse(text) as Result;
    });
    after(() => server.stop());

    test('the same traffic gives the same rows and markers by both routes', (t) => {
      // A check that fails may have been counted or not before it did: it has used nothing either way.
      const rows = ({ rows }: NfsBatch): string[] =>
        rows
          .filter(({ kind }) => kind !== 'verify-error')
          .map(({ epoch, client, hash, kind, type, access, count, bytes }: NfsRow) =>
            [epoch, client, hash, kind, type, access, count, bytes].join(' '),
          )
          .sort();
      const { tracepoint, kprobe } = result.routes;
      assert.deepEqual(rows(kprobe), rows(tracepoint));
      assert.ok(kprobe.rows.length > 60);
      const markers = ({ markers }: NfsBatch): unknown[] =>
        markers.map(({ kind, client, hash, epoch }) => [kind, client, hash, epoch]);
      assert.deepEqual(markers(kprobe), markers(tracepoint));
      assert.deepEqual([kprobe.losses, tracepoint.losses], [[], []]);
      const { status } = result;
      assert.deepEqual([status.kprobe.byProbe, status.tracepoint.byProbe], [true, false]);
      assert.deepEqual([status.kprobe.tier, status.tracepoint.tier], ['exact', 'exact']);
      t.diagnostic(`${status.kprobe.events} events, ${status.kprobe.threadCpuUs} us of CPU`);
    });

    test('a killed daemon’s probe goes at the next start; others’ and a second daemon’s stay', () => {
      const { life } = result;
      const own = (events: readonly string[]): string[] =>
        events.filter((event) => !event.startsWith('others/'));
      for (const [when, events] of Object.entries(life))
        if (Array.isArray(events)) assert.ok(events.includes('others/mine'), when);
      assert.equal(own(life.both).length, 2);
      assert.equal(own(life.withChild).length, 4);
      assert.deepEqual(life.afterKill, life.withChild);
      assert.equal(own(life.afterNext).length, 4);
      assert.deepEqual(
        own(life.afterNext).filter((event) => life.afterKill.includes(event)),
        own(life.both),
        'the killed one’s are gone, the running one’s are not',
      );
      assert.equal(own(life.afterStop).length, 2);
      assert.ok(life.goneOn > 60);
      assert.deepEqual(own(life.atEnd), []);
    });

    test('a prepared probe is used, not removed, and not removable meanwhile', () => {
      const { life } = result;
      const prepared = ['nfsroot_trace/fhv', 'nfsroot_trace/fhv_ret', 'others/mine'];
      assert.deepEqual(life.withPrepared, prepared);
      assert.equal(life.busy, '75');
      assert.deepEqual(life.afterPrepared, prepared);
      assert.deepEqual(life.undone, ['others/mine']);
    });
  },
);

describe(
  'tiers of a kernel without nfsd_fh_verify',
  {
    skip: lacks('root', 'qemu', 'debootstrap', 'bullseye'),
  },
  () => {
    const server = new LabServer({ kernel: 'bullseye' });
    const product = new Product(server);
    before(async () => {
      await server.start();
      await twoClients(server);
    });
    after(() => server.stop());

    /** A daemon with two capabilities and no root, in a state folder of its own. */
    async function startUnprivileged(): Promise<void> {
      const caps = '+sys_admin,+dac_read_search';
      await server.must(
        [
          // Whoever has capabilities alone may read the checkout below a folder of root's alone, but
          // is told by access(2), which Node asks, that it is not there.
          '. /lab/lab.env; at=$LAB_REPOSITORY; while at=$(dirname "$at"); [ "$at" != / ]; do chmod o+x "$at"; done',
          'mkdir -p /var/lib/nfsroot-trace /run/nfsroot-trace',
          'chown -R 65534:65534 /var/lib/nfsroot-trace /run/nfsroot-trace',
          `setsid setpriv --reuid 65534 --regid 65534 --clear-groups --inh-caps ${caps} ` +
            `--ambient-caps ${caps} trace daemon >/run/daemon.log 2>&1 & `,
          // The socket is cheaper to look at than to ask, on one processor that the daemon needs.
          'for i in $(seq 1000); do test -S /run/nfsroot-trace/control.sock && trace status && exit; sleep 0.2; done; cat /run/daemon.log; exit 1',
        ].join('\n'),
        { timeoutMs: 240_000 },
      );
      await product.start();
    }

    async function record(): Promise<Session[]> {
      const known = new Set((await product.sessions()).map(({ id }) => id));
      await server.must(visit('c1', '3', WORK));
      await server.must(visit('c2', '4.2', WORK));
      await product.settle();
      await product.trace('stop');
      await product.trace('stop --daemon');
      const sessions = (await product.sessions()).filter(({ id }) => !known.has(id));
      assert.deepEqual(
        sessions.map(({ client, loss }) => [client, loss]),
        [
          ['10.77.0.21', 0],
          ['10.77.0.22', 0],
        ],
      );
      return sessions;
    }

    test('without root and without preparation: reads, each with its client', async () => {
      await startUnprivileged();
      for (const session of await record()) {
        assert.equal(session.tier, 'reads');
        assert.deepEqual([...(await touched(product, session))], [['etc/fstab', ['read']]]);
      }
      assert.equal(await server.must('cat /sys/kernel/tracing/kprobe_events'), '');
    });

    test('prepared by root, without root: exact; links, folders and what was only looked at too', async () => {
      await server.must('trace prepare');
      await startUnprivileged();
      const [v3, v4] = await record();
      for (const session of [v3, v4]) {
        assert.ok(session);
        assert.equal(session.tier, 'exact');
        const files = await touched(product, session);
        assert.ok(files.get('etc/fstab')?.includes('read'));
        for (const link of ['bin', 'lib']) assert.ok(files.get(link)?.includes('readlink'), link);
        assert.ok(files.get('etc/lab')?.includes('readdir'));
        assert.ok(files.has('etc/shadow'));
        assert.ok(!files.get('etc/shadow')?.includes('read'), 'it was refused');
      }
      await server.must('trace prepare --undo');
    });

    test('as root, of a module that is loaded later', async () => {
      await server.must(
        'rpc.nfsd 0; exportfs -ua; kill $(pidof rpc.mountd); umount /proc/fs/nfsd; ' +
          'for i in $(seq 50); do rmmod nfsd && exit; sleep 0.1; done; exit 1',
      );
      // The service of the test before had its own user.
      await server.must('chown -R 0:0 /var/lib/nfsroot-trace /run/nfsroot-trace');
      await product.start();
      await server.must(
        'modprobe nfsd; sleep 1; mount -t nfsd nfsd /proc/fs/nfsd; exportfs -ra; rpc.nfsd -G 10 -L 10 8; rpc.mountd',
      );
      for (const session of await record()) assert.equal(session.tier, 'exact');
      assert.equal(await server.must('cat /sys/kernel/tracing/kprobe_events'), '');
    });
  },
);

describe(
  'tier exact+names',
  {
    skip: lacks('root', 'qemu', 'debootstrap', 'sid'),
  },
  () => {
    const server = new LabServer({ kernel: 'sid' });
    const product = new Product(server);
    let sessions: Session[];
    before(async () => {
      await server.start();
      await twoClients(server);
      await product.start();
      const odd = String.raw`cat etc/nope bin/nope "$(printf 'etc/two\nlines')" "$(printf 'etc/\377')" missing; cat etc/nope etc/fstab; true`;
      await server.must(visit('c1', '3', odd));
      await server.must(visit('c2', '4.2', 'cat etc/nope etc/lab/../none etc/fstab; true'));
      await product.settle();
      sessions = await product.sessions();
    });
    after(() => server.stop());

    async function missing({ session }: Session): Promise<string[]> {
      const { output } = await server.run(`trace files ${session} --missing -0`);
      return output.toString('latin1').split('\0').slice(0, -1);
    }

    test('names that are not there are kept by session, as bytes; names that are there are not', async () => {
      assert.deepEqual(
        sessions.map(({ client, tier, loss }) => [client, tier, loss]),
        [
          ['10.77.0.21', 'exact+names', 0],
          ['10.77.0.22', 'exact+names', 0],
        ],
      );
      const [v3, v4] = sessions as [Session, Session];
      assert.deepEqual(await missing(v3), [
        'etc/nope',
        'etc/two\nlines',
        'etc/\xff',
        'missing',
        'usr/bin/nope',
      ]);
      assert.deepEqual(await missing(v4), ['etc/none', 'etc/nope']);
      assert.match(await product.trace(`show ${v3.session}`), /missing names +5\n/);
    });

    test('an export that begins to sign its handles: the kprobe takes over, and all resolves', async () => {
      await server.must(
        'rpc.nfsd 0 && python3 test/lab/guest/sign-handles.py && rpc.nfsd -G 10 -L 10 8',
        { timeoutMs: 120_000 },
      );
      // The kernel asks for the export, and is then told again what mountd said, and to sign.
      await server.must(visit('c1', '3', 'true'));
      const exports = await server.must('cat /proc/net/rpc/nfsd.export/content');
      const uuid = /\/nfsroots\/sarge\t.*uuid=([0-9a-f:]+)/.exec(exports)?.[1]?.replaceAll(':', '');
      const flags = 0x1 | 0x2 | 0x20 | 0x400 | SIGN_FH;
      const line = `* ${VICTIM_ROOT} 2147483647 ${flags} 65534 65534 0 uuid \\x${uuid ?? ''}`;
      await server.must(
        `printf '%s\\n' ${quoted(line)} >/proc/net/rpc/nfsd.export/channel; sleep 7`,
      );
      assert.match(await server.must('cat /proc/net/rpc/nfsd.export/content'), /[(,]sign_fh,/);
      assert.match(await server.must('cat /sys/kernel/tracing/kprobe_events'), /nfsd:fh_verify/);
      for (const [name, version] of [
        ['c1', '3'],
        ['c2', '4.2'],
      ] as const)
        await server.must(visit(name, version, `${WORK}; cat etc/not-there`));
      await product.settle();
      for (const client of ['10.77.0.21', '10.77.0.22']) {
        const session = (await product.sessionsOf(client)).at(-1) as Session;
        assert.deepEqual([session.tier, session.loss], ['exact+names', 0]);
        const files = await touched(product, session);
        assert.ok(files.get('etc/fstab')?.includes('read'));
        assert.ok(files.get('bin')?.includes('readlink'));
        assert.ok(files.get('etc/lab')?.includes('readdir'));
        assert.ok((await missing(session)).includes('etc/not-there'));
      }
      // With no key the server says so, and gives handles that are not signed.
      assert.doesNotMatch(await server.must('dmesg'), /unable to sign/);
    });
  },
);
