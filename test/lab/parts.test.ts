/** Images of several parts in the kernel's own hands: what it finds early, and what it unpacks. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import type { CompressionMethod } from '../../src/image/choices.ts';
import { METHODS } from '../../src/image/compress/methods.ts';
import { exportImage } from '../image/export-image.ts';
import { OuterParts } from '../../src/image/parts/outer-parts.ts';
import { DEVICE_NODES, MOUNT_POINTS } from '../../src/image/tables.ts';
import { lacks } from '../capabilities.ts';
import { busyboxRoot } from '../image/init-run.ts';
import { planAll, put, run } from '../image/support.ts';
import { ensureArtifacts, type Artifacts } from './artifacts.ts';
import { SUITE } from './debian.ts';
import { Machine } from './machine.ts';
import { privateFolder } from './private-folder.ts';

/** Says what the kernel found early and which files there are below /kernel, and stays. */
const REPORT = `#!/bin/sh
/bin/busybox dmesg | /bin/busybox grep 'found in initrd'
cd / && /bin/busybox find kernel -type f -exec /bin/busybox md5sum {} +
echo "lab: told"
exec /bin/busybox sleep 1000
`;

const BOOT_MS = 60_000;

/** A table of ACPI without any code: a header and its checksum. */
function acpiTable(): Buffer {
  const table = Buffer.alloc(36);
  table.write('SSDT', 0, 'latin1');
  table.writeUInt32LE(table.length, 4);
  table[8] = 2;
  table.write('NFSLABLABTABLE', 10, 'latin1');
  table.writeUInt32LE(1, 24);
  table.write('TEST', 28, 'latin1');
  table.writeUInt32LE(1, 32);
  table[9] = -table.reduce((sum, byte) => sum + byte, 0) & 0xff;
  return table;
}

describe(
  'images of several parts',
  { skip: lacks('root', 'qemu', 'debootstrap', 'busybox', 'cpio') },
  () => {
    const microcode = `\x01\0\0\0${'microcode '.repeat(102)}`;
    let artifacts: Artifacts;
    let folder: string;
    let root: string;

    before(async () => {
      artifacts = await ensureArtifacts(SUITE, () => undefined);
      folder = await privateFolder();
      root = path.join(folder, 'root');
      await mkdir(root);
      busyboxRoot(root);
      writeFileSync(path.join(root, 'sbin/init'), REPORT);
      put(path.join(root, 'lib/firmware/intel-ucode/06-8c-01'), Buffer.from(microcode, 'latin1'));
    });
    after(() => rm(folder, { recursive: true, force: true }));

    /** An archive with this file, compressed by a program if one is given. */
    function archive(file: string, content: Buffer | string, ...program: string[]): string {
      const cwd = path.join(folder, path.basename(file));
      put(path.join(cwd, file), content);
      const folders = file.split('/').map((_, index, all) => all.slice(0, index + 1).join('/'));
      const words = ['-o', '-H', 'newc', '--quiet'];
      let made = run('cpio', words, { cwd, input: `${folders.join('\n')}\n` });
      const [name, ...rest] = program;
      if (name !== undefined) made = run(name, [...rest, '-c'], { input: made });
      writeFileSync(`${cwd}.part`, made);
      return `${cwd}.part`;
    }

    /** What a machine with such an image tells; a plain one has its large files at blocks. */
    async function boot(
      method: CompressionMethod | null,
      parts: { readonly early?: readonly string[]; readonly append?: readonly string[] },
      earlyMicrocode = false,
    ): Promise<string> {
      const initrd = path.join(folder, `image.${method ?? 'plain'}`);
      const tree = NativeTree.open(root);
      const compression = method ?? undefined;
      const outer = await OuterParts.open({ early: [], append: [], compression, ...parts });
      try {
        const plan = await planAll(root, tree, {
          mountPoints: MOUNT_POINTS,
          devices: DEVICE_NODES,
          init: 'exec',
          earlyMicrocode,
          align: method === null,
        });
        const compress = method === null ? undefined : { method, level: METHODS[method].usual };
        await exportImage({ plan, tree, output: initrd, compress, outer });
      } finally {
        await outer.close();
        tree.close();
      }
      const machine = new Machine({
        name: 'parts',
        kernel: artifacts.kernel,
        initrd,
        append: 'quiet ro',
        memoryMb: 384,
        cpus: 1,
        devices: [],
      });
      machine.start();
      try {
        await machine.waitFor(/lab: told/, BOOT_MS);
        assert.doesNotMatch(machine.log, /^init: |nitramfs unpacking failed/m);
        return machine.log;
      } finally {
        await machine.kill();
      }
    }

    const has = (log: string, file: string, content: Buffer | string): void => {
      const sum = createHash('md5').update(content).digest('hex');
      assert.ok(log.includes(`${sum}  ${file}`), `${file}: ${log}`);
    };

    test('a table of ACPI and microcode before one by zstd', async () => {
      const table = 'kernel/firmware/acpi/lab.aml';
      const log = await boot('zstd', { early: [archive(table, acpiTable())] }, true);
      assert.match(log, /SSDT ACPI table found in initrd \[kernel\/firmware\/acpi\/lab\.aml\]/);
      has(log, table, acpiTable());
      has(log, 'kernel/x86/microcode/GenuineIntel.bin', Buffer.from(microcode, 'latin1'));
    });

    test('a plain archive between two by zstd', async () => {
      const log = await boot('zstd', {
        append: [archive('kernel/plain', 'plain'), archive('kernel/packed', 'packed', 'zstd')],
      });
      has(log, 'kernel/plain', 'plain');
      has(log, 'kernel/packed', 'packed');
    });

    test('by xz, plain and by lz4 behind one by gzip', async () => {
      const log = await boot('gzip', {
        append: [
          archive('kernel/by-xz', 'by xz', 'xz', '--check=crc32'),
          archive('kernel/plain-too', 'plain, too'),
          archive('kernel/by-lz4', 'by lz4', 'lz4', '-l'),
          archive('kernel/last', 'last', 'lz4', '-l'),
        ],
      });
      has(log, 'kernel/by-xz', 'by xz');
      has(log, 'kernel/plain-too', 'plain, too');
      has(log, 'kernel/by-lz4', 'by lz4');
      has(log, 'kernel/last', 'last');
    });

    test('a plain one whose large files begin at blocks', async () => {
      const large = Buffer.from('many bytes '.repeat(30_000));
      put(path.join(root, 'kernel/large'), large);
      const log = await boot(null, { append: [archive('kernel/behind', 'behind')] });
      has(log, 'kernel/large', large);
      has(log, 'kernel/behind', 'behind');
      const image = readFileSync(path.join(folder, 'image.plain'));
      assert.equal(image.indexOf(large) % 4096, 0);
    });
  },
);
