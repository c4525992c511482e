/**
 * What the lab's machines are made of, each built once and cached: kernel, NFS server tools,
 * both initramfs, drivers for images, disks of roots. Owns what goes into each of them.
 */
import { readFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { ensure } from './cache.ts';
import { unpackPackages } from './debian.ts';
import { packDrivers } from './drivers.ts';
import { packInitramfs } from './initramfs.ts';
import { buildKernel, KEPT_DRIVERS, type LabKernel } from './kernels.ts';
import { OPTIONAL_MODULES } from './modules.ts';
import { ensureRootDisk, type LabRoot } from './roots/lab-root.ts';
import { SARGE } from './roots/sarge.ts';

export interface Artifacts {
  readonly kernel: string;
  readonly serverInitramfs: string;
  readonly victimInitramfs: string;
  /** Folder with the NFS server's programs, merged-/usr. */
  readonly serverTools: string;
  /** Plain newc, for an image: drivers, and /drivers/init, which loads them ({@link packDrivers}). */
  readonly drivers: string;
  /** An ext4 image of each root; never to be written to. */
  readonly rootDisks: readonly string[];
}

/** The NFS server and what it needs beyond a minimal Debian; none of it is installed anywhere. */
const SERVER_PACKAGES = [
  'nfs-kernel-server',
  'nfs-common',
  'rpcbind',
  'libtirpc3',
  'libtirpc-common',
  'libnfsidmap1',
  'libwrap0',
  'libevent-core-2.1-7',
  'libkeyutils1',
  'keyutils',
  'netbase',
  'iproute2',
  'libbpf1',
  'libelf1',
  'libmnl0',
  'libxtables12',
  'kmod',
  'libkmod2',
  'libssl3',
  'vblade',
];

const COMMON_MODULES = ['virtio_pci', 'virtio_net', 'virtio_rng'];
const SERVER_MODULES = [
  ...COMMON_MODULES,
  ...['virtio_blk', 'virtio_console', '9p', '9pnet_virtio', 'overlay', 'loop', 'veth', 'bridge'],
  ...['ext4', 'xfs', 'btrfs', 'nfsd', 'nfs', 'nfsv3', 'nfsv4', 'sch_netem'],
];
const VICTIM_MODULES = [...COMMON_MODULES, 'nfs', 'nfsv3', 'nfsv4'];
/** What a kernel for diskless machines would have built in. */
const DRIVERS = [...COMMON_MODULES, 'virtio_blk', 'ext4', 'nfs', 'nfsv3'];

const GUEST = path.join(import.meta.dirname, 'guest');

/** Everything the lab needs with one kernel, built if it must be. `say` hears what takes long. */
export async function ensureArtifacts(
  suite: LabKernel,
  say: (text: string) => void,
  roots: readonly LabRoot[] = [SARGE],
): Promise<Artifacts> {
  const kernel = await ensure(
    {
      name: `kernel-${suite}`,
      inputs: [suite, ...KEPT_DRIVERS],
      build: (folder) => buildKernel(suite, folder),
    },
    say,
  );
  const version = (await readdir(path.join(kernel, 'lib/modules')))[0] ?? '';
  const serverTools = await ensure(
    {
      name: 'server-tools',
      inputs: SERVER_PACKAGES,
      build: (folder) => unpackPackages(SERVER_PACKAGES, folder),
    },
    say,
  );
  const of = { modulesRoot: kernel, version, tools: serverTools, optional: OPTIONAL_MODULES };
  const packers = await Promise.all(
    ['initramfs.ts', 'drivers.ts', 'modules.ts'].map((name) =>
      readFile(path.join(import.meta.dirname, name)),
    ),
  );
  const initramfs = async (machine: string, modules: readonly string[]): Promise<string> => {
    const init = await readFile(path.join(GUEST, `${machine}-initramfs.sh`), 'utf8');
    const build = async (folder: string): Promise<void> => {
      const work = path.join(folder, 'work');
      const output = path.join(folder, 'initramfs.gz');
      await packInitramfs({ ...of, modules, init, output, work });
      await rm(work, { recursive: true });
    };
    const inputs = [kernel, ...modules, ...OPTIONAL_MODULES, init, ...packers];
    const folder = await ensure({ name: `${machine}-initramfs-${suite}`, inputs, build }, say);
    return path.join(folder, 'initramfs.gz');
  };
  const drivers = await ensure(
    {
      name: `drivers-${suite}`,
      inputs: [kernel, ...DRIVERS, ...OPTIONAL_MODULES, ...packers],
      build: (folder) =>
        packDrivers(path.join(folder, 'drivers.cpio'), { ...of, modules: DRIVERS }),
    },
    say,
  );
  return {
    kernel: path.join(kernel, 'vmlinuz'),
    serverTools,
    serverInitramfs: await initramfs('server', SERVER_MODULES),
    victimInitramfs: await initramfs('victim', VICTIM_MODULES),
    drivers: path.join(drivers, 'drivers.cpio'),
    // At the same time: most of a debootstrap is waiting for the mirror or for one processor.
    rootDisks: await Promise.all(roots.map((root) => ensureRootDisk(root, of, say))),
  };
}
