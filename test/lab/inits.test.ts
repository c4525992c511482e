/** Images with generated inits in the kernel's own hands: unpacked by it, and their /init its first. */
import assert from 'node:assert/strict';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { InitKind } from '../../src/image/choices.ts';
import { recordsOf } from '../image/records-of.ts';
import { lacks } from '../capabilities.ts';
import { busyboxRoot, copyProgram, imageOf } from '../image/init-run.ts';
import { put, run } from '../image/support.ts';
import { ensureArtifacts, type Artifacts } from './artifacts.ts';
import { SUITE } from './debian.ts';
import { Machine, qemuValue } from './machine.ts';
import { privateFolder } from './private-folder.ts';
import { LabServer, SERVER_ADDRESS, VICTIM_ROOT } from './server.ts';

/** Says what it is and has, and stays: the kernel panics when its first process ends. */
const REPORT = `#!/bin/sh
while read -r from at type _; do echo "lab: $type on $at of $from"; done </proc/mounts
[ ! -x /usr/bin/getfattr ] || (cd / && getfattr -h -d -m - -e hex bin/tool | while read -r line; do echo "lab: $line"; done)
echo "lab: started $0 as $$ with $# words: $*"
exec sleep 1000
`;

const BOOT_MS = 100_000;

function withReport(root: string): void {
  busyboxRoot(root);
  writeFileSync(path.join(root, 'sbin/init'), REPORT);
}

describe(
  'generated inits',
  { skip: lacks('root', 'qemu', 'debootstrap', 'busybox', 'cpio') },
  () => {
    const server = new LabServer({ ports: 1 });
    let artifacts: Artifacts;
    let folder: string;

    before(async () => {
      artifacts = await ensureArtifacts(SUITE, () => undefined);
      folder = await privateFolder();
    });
    after(async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    });

    async function image(init: InitKind, prepare = withReport): Promise<string> {
      const root = path.join(folder, `root-${init}-${prepare.name}`);
      await rm(root, { recursive: true, force: true });
      await mkdir(root);
      prepare(root);
      return (await imageOf(root, init)).image;
    }

    /** An image with drivers, which the kernel starts first. */
    function withDrivers(of: string): string {
      const all = `${of}.drivers`;
      writeFileSync(all, Buffer.concat([readFileSync(of), readFileSync(artifacts.drivers)]));
      return all;
    }

    async function boots(
      initrd: string,
      words: string,
      expected: RegExp,
      devices: readonly string[] = [],
    ): Promise<string> {
      const machine = new Machine({
        name: 'inits',
        kernel: artifacts.kernel,
        initrd,
        append: `quiet ${words}`,
        memoryMb: 384,
        cpus: 1,
        devices,
      });
      machine.start();
      try {
        await machine.waitFor(expected, BOOT_MS);
        return machine.log;
      } finally {
        await machine.kill();
      }
    }

    test('exec: whole, with its attributes, the first process is the root’s init', async () => {
      const made = await image('exec', function capable(root) {
        withReport(root);
        for (const name of ['setfattr', 'getfattr']) copyProgram(root, `/usr/bin/${name}`);
        put(path.join(root, 'bin/tool'), 'x');
        run('setcap', ['cap_net_raw+ep', path.join(root, 'bin/tool')]);
        run('setfacl', ['-m', 'u:1234:rx', path.join(root, 'bin/tool')]);
      });
      const log = await boots(made, 'ro init=/init single', /lab: started .*\n/);
      assert.match(log, /lab: started \/sbin\/init as 1 with 1 words: single/);
      for (const what of [
        'proc on /proc',
        'sysfs on /sys',
        'devtmpfs on /dev',
        'devpts on /dev/pts',
      ])
        assert.ok(log.includes(`lab: ${what} `), what);
      assert.doesNotMatch(log, /^init: /m);
      const root = made.replace(/\.cpio$/, '');
      const dump = run('getfattr', ['-h', '-d', '-m', '-', '-e', 'hex', 'bin/tool'], { cwd: root });
      for (const line of dump.toString().trim().split('\n'))
        assert.ok(log.includes(`lab: ${line}\n`), line);
    });

    test('exec: an image cut off before its last record is named', async () => {
      const made = await image('exec');
      const bytes = readFileSync(made);
      const last = recordsOf(bytes).at(-1);
      writeFileSync(made, bytes.subarray(0, last?.offset));
      const log = await boots(made, 'ro', /lab: started .*\n/);
      assert.match(log, /^init: THIS IMAGE IS NOT WHOLE/m);
    });

    test('rambox: a shell, RAM, and a root that is not there', async () => {
      const made = await image('rambox');
      const shell = await boots(made, 'shell', /\/ # /);
      assert.match(shell, /^init: shell, as the kernel's command line says/m);
      await boots(made, 'rambox', /lab: started \/sbin\/init as 1 with 0 words: \n/);
      const lost = await boots(made, 'root=/dev/nope rootdelay=1', /\/ # /);
      assert.match(lost, /^init: \/dev\/nope \(root=\) is not there as a block device/m);
    });

    test('rambox: the root of a disk', async () => {
      const all = withDrivers(await image('rambox'));
      const other = path.join(folder, 'other');
      withReport(other);
      run('mv', [path.join(other, 'sbin/init'), path.join(other, 'bin/real')]);
      symlinkSync('/bin/real', path.join(other, 'sbin/init'));
      run('mkdir', ['-p', ...['proc', 'sys', 'dev'].map((name) => path.join(other, name))]);
      const disk = path.join(folder, 'disk');
      run('mkfs.ext4', ['-q', '-d', other, disk, '16M']);
      const onDisk = await boots(
        all,
        'rdinit=/drivers/init root=/dev/vda rootfstype=ext4 ro',
        /lab: started .*\n/,
        [
          ...['-drive', `if=none,id=root,format=raw,file=${qemuValue(disk)}`],
          ...['-device', 'virtio-blk-pci,drive=root'],
        ],
      );
      assert.match(onDisk, /lab: ext4 on \/ of \/dev\/vda/);
      assert.match(onDisk, /lab: devtmpfs on \/dev /);
      assert.match(onDisk, /lab: started \/sbin\/init as 1/);
    });

    test('rambox: a root on NFS', async () => {
      const all = withDrivers(await image('rambox'));
      await server.start();
      await server.writeFile(`${VICTIM_ROOT}/lab-init`, REPORT);
      await server.must(`chmod 755 ${VICTIM_ROOT}/lab-init`);
      const cable = `stream,id=net,server=off,addr.type=unix,addr.path=${qemuValue(server.portSocket(0))}`;
      const onNfs = await boots(
        all,
        `rdinit=/drivers/init lab.address=10.77.0.10 root=/dev/nfs nfsroot=${SERVER_ADDRESS}:${VICTIM_ROOT},vers=3 init=/lab-init`,
        /lab: started .*\n/,
        ['-netdev', cable, '-device', 'virtio-net-pci,netdev=net,mac=52:54:00:77:02:00,romfile='],
      );
      assert.ok(onNfs.includes(`lab: nfs on / of ${SERVER_ADDRESS}:${VICTIM_ROOT}\n`));
      assert.match(onNfs, /lab: started \/lab-init as 1/);
    });
  },
);
