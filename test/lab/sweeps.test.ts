/**
 * Real sweeps of a Debian root by the kernel's NFS client: an image of a session with one is that of
 * a session without, over NFSv3 and v4.2.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { SweepReport } from '../../src/daemon/image-report.ts';
import { lacks } from '../capabilities.ts';
import { LabClient } from './lab-client.ts';
import { Product } from './product.ts';
import { LabServer } from './server.ts';

const SILENCE_MS = 4_000;
const BEFORE = [
  'cat init sbin/init etc/passwd etc/nsswitch.conf usr/lib/udev/rules.d/* >/dev/null',
  'ls -l etc/lab usr/lib/systemd/system >/dev/null',
  'find etc/systemd -type f -exec cat {} + >/dev/null',
  'cat usr/lib/x86_64-linux-gnu/lib[a-d]*.so.* usr/bin/[a-b]* >/dev/null',
  'readlink bin sbin etc/mtab >/dev/null; stat etc/fstab usr/sbin/sshd >/dev/null',
];
/** Some of it was swept before, and not used. */
const AFTER = [
  'cat usr/bin/perl usr/share/doc/bash/copyright usr/share/man/man1/ls.1.gz >/dev/null',
  'cat usr/lib/x86_64-linux-gnu/lib[m-p]*.so.* etc/ssh/sshd_config >/dev/null',
  'ls -l etc/ssh var/log >/dev/null; readlink etc/alternatives/awk >/dev/null',
];
const SWEEPS = {
  none: 'true',
  find: 'find . -xdev >/dev/null',
  read: 'tar cf - usr/share/man | cat >/dev/null; ldconfig -r . -N -X >/dev/null 2>&1; true',
} as const;
type Sweeping = keyof typeof SWEEPS;

interface Plan {
  readonly paths: readonly string[];
  readonly sweeps: readonly SweepReport[];
}

const without = (list: readonly string[], others: readonly string[]): string[] => {
  const known = new Set(others);
  return list.filter((path) => !known.has(path));
};

describe('sweeps', { skip: lacks('root', 'qemu', 'debootstrap') }, () => {
  const server = new LabServer();
  const product = new Product(server);
  const plans = new Map<string, Plan>();
  const planOf = (version: string, what: Sweeping | 'kept'): Plan => {
    const plan = plans.get(`${version} ${what}`);
    assert.ok(plan !== undefined, `${version} ${what}`);
    return plan;
  };

  before(async () => {
    await server.start();
    await product.start();
    const versions = [
      ['3', '10.77.0.31'],
      ['4.2', '10.77.0.32'],
    ] as const;
    for (const [version, address] of versions) {
      const client = new LabClient({ server, name: `c${version[0] ?? ''}`, address });
      for (const what of Object.keys(SWEEPS) as Sweeping[]) {
        await client.reset();
        await client.mount({ version });
        const words = [...BEFORE, 'sleep 1', SWEEPS[what], 'sleep 1', ...AFTER];
        await client.must(words.join('\n'), { timeoutMs: 300_000 });
        // A mount over NFSv3 is a boot after 2 s of silence.
        await sleep(SILENCE_MS);
      }
    }
    await product.trace('stop');
    const sessions = await product.sessions();
    const told = versions.flatMap(([version, address]) =>
      sessions
        .filter((session) => session.client === address)
        .map(({ session }, index) => [version, Object.keys(SWEEPS)[index], session] as const),
    );
    const named = [
      ...told.map(([version, what, session]) => [`${version} ${what ?? ''}`, session] as const),
      ...told
        .filter(([version, what]) => version === '3' && what === 'read')
        .map(([, , session]) => ['3 kept', `=${session}`] as const),
    ];
    const output = await server.must(
      `node test/lab/guest/plans.ts ${named.map(([, word]) => word).join(' ')}`,
      { timeoutMs: 300_000 },
    );
    for (const [index, line] of output.trim().split('\n').entries())
      plans.set(named[index]?.[0] ?? '', JSON.parse(line) as Plan);
  });
  after(() => server.stop());

  for (const version of ['3', '4.2'] as const) {
    test(`NFSv${version}: find / takes nothing from an image, and adds next to nothing`, () => {
      const plain = planOf(version, 'none');
      const found = planOf(version, 'find');
      assert.deepEqual(plain.sweeps, []);
      assert.deepEqual(without(plain.paths, found.paths), []);
      const more = without(found.paths, plain.paths);
      assert.ok(more.length < 40, `${more.length}: ${more.slice(0, 40).join()}`);
      const [sweep] = found.sweeps;
      assert.ok(sweep !== undefined && sweep.left_out > 700, JSON.stringify(found.sweeps));
      assert.deepEqual([sweep.path, sweep.kept, sweep.doubt], ['.', 0, null]);
    });

    test(`NFSv${version}: nor do a tar of the manual and ldconfig`, () => {
      const plain = planOf(version, 'none');
      const read = planOf(version, 'read');
      assert.deepEqual(without(plain.paths, read.paths), []);
      const told = read.sweeps.map(({ path, doubt }) => `${path} ${doubt ?? ''}`.trim()).sort();
      const tops = ['usr/lib/x86_64-linux-gnu', 'usr/share/man'];
      if (version === '3') {
        const more = without(read.paths, plain.paths);
        assert.ok(more.length < 40, `${more.length}: ${more.slice(0, 40).join()}`);
        assert.deepEqual(told, tops);
      } else {
        // The client may have used it again, and nobody would know.
        assert.deepEqual(
          told,
          tops.map((top) => `${top} unseen`),
        );
        assert.ok(without(read.paths, plain.paths).length > 1400);
      }
    });
  }

  test('kept, everything is there', () => {
    assert.ok(planOf('3', 'kept').paths.length > 1900);
    assert.ok(planOf('3', 'kept').sweeps.every((sweep) => sweep.left_out === 0));
  });
});
