/**
 * Roots of several kinds, the whole way: booted over NFS, recorded, exported with each init, booted
 * from the image. What their services answer must be the same everywhere, byte for byte.
 */
import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { InitKind } from '../../src/image/choices.ts';
import { lacks } from '../capabilities.ts';
import type { BootReport } from './exercised-machine.ts';
import { withImageBoot } from './image-boot.ts';
import { qemuValue } from './machine.ts';
import { Product, type Session } from './product.ts';
import type { LabRoot } from './roots/lab-root.ts';
import { MULTICALL } from './roots/multicall.ts';
import { SARGE } from './roots/sarge.ts';
import { UNMERGED } from './roots/unmerged.ts';
import { WEB } from './roots/web.ts';
import { GUEST_SHARE, LabServer, rootPath, SERVER_ADDRESS } from './server.ts';
import { Victim } from './victim.ts';
import { whatWasDone } from './what-was-done.ts';

interface Tested {
  readonly root: LabRoot;
  readonly version: '3' | '4.2';
  /** What the exercise says over NFS, unpacked if it is base64. */
  readonly says: Readonly<Record<string, RegExp>>;
  readonly exports: readonly Export[];
}

interface Export {
  readonly init: InitKind;
  /** In the image are drivers that a kernel for diskless machines would have built in. */
  readonly drivers?: true;
  /** Codes of the problems that the export has to tell. */
  readonly problems?: readonly string[];
  readonly boots: readonly Boot[];
}

interface Boot {
  readonly words?: string;
  readonly with?: 'cable' | 'disk';
  /** Type of the root's file system, once the services run. */
  readonly on: 'rootfs' | 'nfs' | 'ext4';
}

const EXEC: Export = { init: 'exec', boots: [{ on: 'rootfs' }] };
const OVER_NFS: Boot = { words: 'rdinit=/drivers/init root=/dev/nfs', with: 'cable', on: 'nfs' };
const RAMBOX: Export = {
  init: 'rambox',
  drivers: true,
  boots: [{ words: 'rambox', on: 'rootfs' }, OVER_NFS],
};
/** Their /config names the drivers of the disk. */
const PREBOOT: Export = {
  init: 'preboot',
  boots: [{ words: 'root=/dev/vda', with: 'disk', on: 'ext4' }],
};

const ROOTS: readonly Tested[] = [
  {
    root: SARGE,
    version: '4.2',
    says: { target: /^active$/, sshd: /^SSH-2\.0-OpenSSH_/, shell: /^hello sarge/ },
    // `own` is in main.test.ts. That rambox mounts a root is seen with preboot, whose part that is, too.
    exports: [
      EXEC,
      { ...RAMBOX, boots: RAMBOX.boots.slice(0, 1) },
      {
        init: 'preboot',
        drivers: true,
        boots: [{ words: 'rdinit=/drivers/init root=/dev/vda', with: 'disk', on: 'ext4' }],
      },
    ],
  },
  {
    root: WEB,
    version: '3',
    says: {
      page: /^HTTP\/1\.1 200 OK\r\nServer: nginx[^]*\r\n\r\n<!doctype html>[^]*Served from a file/,
      app: /^HTTP\/1\.1 200 OK\r\n[^]*sarge & sons: 2 kinds, worth 78\.41[^]*"saw", "Äpfel"/,
      'as-www-data': /^2$/,
    },
    exports: [
      {
        init: 'own',
        problems: ['no-init'],
        boots: [{ words: 'rdinit=/sbin/init', on: 'rootfs' }],
      },
      ...[EXEC, RAMBOX, PREBOOT],
    ],
  },
  {
    root: MULTICALL,
    version: '4.2',
    says: {
      page: /^<!doctype html>[^]*Served from a file/,
      script:
        /^1: another one\n2: one line that the answer has\n[0-9a-f]{64} {2}-\nasked for words\n$/,
    },
    exports: [
      { init: 'own', boots: [{ on: 'rootfs' }] },
      ...[EXEC, RAMBOX],
      // By ATA over Ethernet, as its /config says.
      { init: 'preboot', boots: [{ words: 'root=/dev/etherd/e0.1', with: 'cable', on: 'ext4' }] },
    ],
  },
  {
    root: UNMERGED,
    version: '3',
    says: {
      sshd: /^SSH-2\.0-dropbear/,
      told: /^root \(0\) in \/root by \/bin\/bash on Linux\nnorth: mean 13\.000, highest 13\nsouth: mean 9\.250, highest 9\n$/,
      programs: /^\/bin\/ls awk$/,
    },
    exports: [{ init: 'own', boots: [{ on: 'rootfs' }] }, EXEC, RAMBOX, PREBOOT],
  },
];

const BOOT_MS = 300_000;

describe(
  'roots',
  { skip: lacks('root', 'qemu', 'debootstrap', 'busybox', 'cpio'), concurrency: 2 },
  () => {
    const server = new LabServer({ roots: ROOTS.map(({ root }) => root), ports: ROOTS.length });
    const product = new Product(server);
    let victims: readonly Victim[];
    let reports: readonly BootReport[];

    before(async () => {
      await server.start();
      const { drivers, rootDisks } = server.artifacts;
      await copyFile(drivers, path.join(server.share, 'drivers.cpio'));
      const shared = rootDisks[ROOTS.findIndex(({ root }) => root === MULTICALL)] ?? '';
      await server.must(`vblade -r 0 1 br0 '${shared}' >/run/vblade 2>&1 &`);
      for (const { root } of ROOTS) await product.start(rootPath(root));
      victims = ROOTS.map(({ root, version }, port) => new Victim({ server, version, port, root }));
      try {
        reports = await Promise.all(victims.map((victim) => victim.start(BOOT_MS)));
      } finally {
        await Promise.all(victims.map((victim) => victim.powerOff()));
      }
      await product.settle();
    });
    after(() => server.stop());

    for (const [port, tested] of ROOTS.entries()) {
      describe(tested.root.name, { concurrency: 1 }, () => wholeWay(port, tested));
    }

    function wholeWay(port: number, { root, version, says, exports }: Tested): void {
      let report: BootReport;
      let session: Session;

      test(`over NFSv${version} its services answer, and it has a session`, async (t) => {
        report = reports[port] as BootReport;
        t.diagnostic(`booted over NFSv${version} in ${report.bootMs} ms`);
        assert.match(report.said.get('root') ?? '', version === '3' ? /^nfs$/ : /^nfs4$/);
        for (const [word, expected] of Object.entries(says)) {
          assert.match(unpacked(report.said.get(word)), expected, word);
        }
        const sessions = await product.sessionsOf(victims[port]?.address ?? '');
        assert.equal(sessions.length, 1);
        session = sessions[0] as Session;
        assert.deepEqual([session.loss, session.partial], [0, false]);
      });

      for (const one of exports) {
        test(`--init ${one.init}: they answer the same`, async (t) => {
          const file = `${root.name}-${one.init}.cpio`;
          const parts = one.drivers === true ? `--append ${GUEST_SHARE}/drivers.cpio` : '';
          const exported = await product.export(session, file, `--init ${one.init} ${parts}`);
          t.diagnostic(`${exported.bytes} bytes, by reason ${JSON.stringify(exported.reasons)}`);
          const codes = exported.problems.map(({ code }) => code);
          assert.deepEqual(
            codes.filter((code) => /init|config|record|missing/.test(code)),
            one.problems ?? [],
            JSON.stringify(exported.problems),
          );
          for (const boot of one.boots) {
            const { bootMs, said } = await bootImage(exported.file, boot);
            t.diagnostic(`its root on ${said.get('root') ?? ''} after ${bootMs} ms`);
          }
        });
      }

      function bootImage(image: string, boot: Boot): Promise<BootReport> {
        const words = [
          boot.words ?? '',
          `nfsroot=${SERVER_ADDRESS}:${rootPath(root)}`,
          boot.with === 'cable' ? `lab.address=${victims[port]?.address ?? ''}` : '',
        ];
        const devices = boot.with === undefined ? [] : attach(port, boot.with);
        return withImageBoot(
          { image, root, name: `image-${root.name}`, append: words.join(' '), devices },
          (machine, inMemory) => {
            assert.doesNotMatch(machine.machine.log, /^init: /m);
            assert.equal(inMemory.said.get('root'), boot.on);
            assert.deepEqual(whatWasDone(inMemory), whatWasDone(report));
            return Promise.resolve(inMemory);
          },
        );
      }
    }

    /** QEMU's words for a machine with its root on a disk, or in the server's port. */
    function attach(port: number, what: 'cable' | 'disk'): string[] {
      const disk = qemuValue(server.artifacts.rootDisks[port] ?? '');
      const cable = qemuValue(server.portSocket(port));
      return what === 'disk'
        ? [
            ...['-drive', `if=none,id=disk,format=raw,snapshot=on,file=${disk}`],
            ...['-device', 'virtio-blk-pci,drive=disk'],
          ]
        : [
            ...['-netdev', `stream,id=net,server=off,addr.type=unix,addr.path=${cable}`],
            ...['-device', `virtio-net-pci,netdev=net,mac=52:54:00:77:02:0${port},romfile=`],
          ];
    }
  },
);

/** An answer that the exercise gave in one line. */
function unpacked(said = ''): string {
  return /^(?:[A-Za-z0-9+/]{4}){4,}(?:[A-Za-z0-9+/]{2}[A-Za-z0-9+/=]=)?$/.test(said)
    ? Buffer.from(said, 'base64').toString('utf8')
    : said;
}
