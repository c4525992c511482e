/**
 * A kernel that is compiled here, with whatever is to be built into it. Owns which kernel, and the
 * cached tree that its own build has compiled once, so that what follows links it anew and no more.
 *
 * The tree is always at one path, in a mount namespace of its own, since its build compiles all of
 * it again elsewhere; over it lies a layer that goes with the namespace. The build runs as `nobody`,
 * as whoever compiles kernels does.
 */
import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { ensure } from './cache.ts';
import { command } from './command.ts';
import { SUITE, unpackPackages } from './debian.ts';
import { KERNELS } from './kernels.ts';

const PACKAGE = `linux-source-${KERNELS[SUITE]}`;

/** All else is off: what unpacks an initramfs, runs programs from it and has a serial console. */
const OPTIONS = [
  ...['64BIT', 'EXPERT', 'PRINTK', 'TTY', 'SERIAL_8250', 'SERIAL_8250_CONSOLE'],
  ...['BLK_DEV_INITRD', 'BINFMT_ELF', 'BINFMT_SCRIPT', 'PROC_FS', 'SYSFS', 'DEVTMPFS'],
  ...['MULTIUSER', 'FUTEX', 'POSIX_TIMERS', 'UNIX98_PTYS', 'KERNEL_GZIP'],
];

/** Sources of what no such kernel has; their Kconfig and Makefile are asked for all the same. */
const LEFT_OUT = [
  ...['Documentation/*/*', 'tools/testing', 'arch/[!x]*/*.[chS]', '*.dts*', 'sound/*.[ch]'],
  ...['gpu', 'net', 'media', 'infiniband', 'scsi', 'staging', 'usb'].map(
    (name) => `drivers/${name}/*.[ch]`,
  ),
];

const NOBODY = 65534;
const BUILD_MS = 1_200_000;

export interface BuiltKernel {
  /** To boot. */
  readonly kernel: string;
  /** The archive that is in it. */
  readonly initramfs: string;
}

/** The tree, compiled without an initramfs if that has not been done. `say` hears that it takes long. */
export function ensureKernelTree(say: (text: string) => void): Promise<string> {
  const inputs = [PACKAGE, ...OPTIONS, ...LEFT_OUT];
  return ensure({ name: 'kernel-tree', inputs, build: compile }, say);
}

async function compile(folder: string): Promise<void> {
  const packed = path.join(folder, 'packed');
  await command(['mkdir', packed]);
  await unpackPackages([PACKAGE], packed);
  const unpack = ['tar', '--extract', '--strip-components=1', '--no-same-owner', '--wildcards'];
  const archive = path.join(packed, 'usr/src', `${PACKAGE}.tar.xz`);
  const excluded = LEFT_OUT.map((glob) => `--exclude=${PACKAGE}/${glob}`);
  await command([...unpack, `--directory=${folder}`, `--file=${archive}`, ...excluded]);
  await rm(packed, { recursive: true });
  const config = OPTIONS.map((name) => `CONFIG_${name}=y\n`).join('');
  await writeFile(path.join(folder, 'lab.config'), config);
  await command(['chown', '-R', `${NOBODY}:${NOBODY}`, folder]);
  await inTree(
    'mount --bind "$0" /mnt',
    'make -s KCONFIG_ALLCONFIG=/mnt/lab.config allnoconfig && make -s -j"$(nproc)" bzImage',
    [folder],
  );
}

/**
 * Builds the kernel with `CONFIG_INITRAMFS_SOURCE` as a person does: the file is put beside the
 * kernel's sources, and its name written into the configuration.
 */
export async function buildWithInitramfs(
  tree: string,
  source: string,
  output: string,
): Promise<BuiltKernel> {
  await command(['mkdir', '-p', output]);
  const layers = `mount -t tmpfs none /mnt && cd /mnt && mkdir lower upper work && chown ${NOBODY} upper &&
    mount --bind "$0" lower && mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none /mnt &&
    install -m 600 -o ${NOBODY} "$1" /mnt && mkdir -p /mnt/built && chown ${NOBODY} /mnt/built && mount --bind "$2" /mnt/built`;
  await command(['chown', String(NOBODY), output]);
  const name = path.basename(source);
  await inTree(
    layers,
    `scripts/config --set-str INITRAMFS_SOURCE ${name} && make -s olddefconfig && make -s -j"$(nproc)" bzImage &&
     cp arch/x86/boot/bzImage usr/initramfs_inc_data built`,
    [tree, source, output],
  );
  return {
    kernel: path.join(output, 'bzImage'),
    initramfs: path.join(output, 'initramfs_inc_data'),
  };
}

async function inTree(mount: string, build: string, words: readonly string[]): Promise<void> {
  const drop = `setpriv --reuid=${NOBODY} --regid=${NOBODY} --clear-groups --bounding-set=-all`;
  const script = `${mount} && cd /mnt && exec ${drop} env HOME=/mnt sh -ec '${build}'`;
  await command(['unshare', '--mount', 'sh', '-ec', script, ...words], { timeoutMs: BUILD_MS });
}
