/** CONFIG_INITRAMFS_SOURCE: the kernel's own build takes our image, and our list of one, into the kernel. */
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { recordsOf } from '../image/records-of.ts';
import { makeSarge } from '../nbic/sarge.ts';
import { TraceSandbox } from '../support/trace-sandbox.ts';
import { buildWithInitramfs, ensureKernelTree } from './kernel-tree.ts';
import { Machine } from './machine.ts';

/** Says what is in the machine, and stays: the kernel panics when its first process ends. */
const INIT = `#!/bin/bash
echo "lab: $(cat /etc/motd), process $$"
for name in console null full random urandom ptmx tty; do [ -c /dev/$name ] || echo "lab: no $name"; done
for name in proc sys dev/pts dev/shm run tmp; do [ -d /$name ] || echo "lab: no $name"; done
for name in $(ls /usr/share/doc 2>/dev/null); do echo "lab: $name, which nobody used"; done
echo 'lab: done'
exec cat
`;
const BOOT_MS = 60_000;

describe(
  'CONFIG_INITRAMFS_SOURCE',
  { skip: lacks('root', 'qemu', 'mount', 'overlay', 'kbuild') },
  () => {
    const sandbox = new TraceSandbox();
    const nfsroots = sandbox.at('nfsroots');
    let tree: string;
    before(async () => {
      tree = await ensureKernelTree(() => undefined);
      mkdirSync(nfsroots);
      writeFileSync(`${makeSarge(nfsroots)}/init`, INIT);
      writeFileSync(`${nfsroots}/sarge.list`, 'bin/bash\nbin/cat\nbin/ls\netc/motd\n');
      // Whoever builds the kernel reads the files that a list names.
      chmodSync(nfsroots, 0o755);
    });
    after(() => sandbox.remove());

    async function boots(kernel: string): Promise<void> {
      const machine = new Machine({
        name: 'built-in',
        ...{ kernel, append: '', memoryMb: 128, cpus: 1, devices: [] },
      });
      machine.start();
      try {
        await machine.waitFor(/lab: done\n/, BOOT_MS);
        assert.deepEqual(machine.log.match(/^lab: .*$/gm), [
          'lab: welcome to sarge, process 1',
          'lab: done',
        ]);
      } finally {
        await machine.kill();
      }
    }

    test('"sarge.cpio": the kernel has its very bytes, and boots them', async () => {
      await sandbox.script(nfsroots, 'nbic -d sarge/ --list sarge.list -o sarge.cpio');
      const image = `${nfsroots}/sarge.cpio`;
      const { kernel, initramfs } = await buildWithInitramfs(tree, image, sandbox.at('cpio'));
      assert.ok(readFileSync(initramfs).equals(readFileSync(image)));
      await boots(kernel);
    });

    test('a list for gen_init_cpio: a user without rights builds the same', async () => {
      await sandbox.script(
        nfsroots,
        'nbic -d sarge/ --list sarge.list --format gen-init-cpio -o sarge.files',
      );
      const list = `${nfsroots}/sarge.files`;
      const { kernel, initramfs } = await buildWithInitramfs(tree, list, sandbox.at('list'));
      const shapes = (file: string) =>
        recordsOf(readFileSync(file))
          .filter(({ name }) => name !== '.')
          // gen_init_cpio counts the NUL behind a link's target, too.
          .map(({ name, mode, uid, gid, size, target, rdevMajor, rdevMinor }) => [
            ...[name, mode.toString(8), uid, gid, target ?? size, rdevMajor, rdevMinor],
          ]);
      assert.deepEqual(shapes(initramfs), shapes(`${nfsroots}/sarge.cpio`));
      await boots(kernel);
    });
  },
);
