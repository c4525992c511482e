/**
 * What the lab's machines are made of, each built once and cached: kernel, NFS server tools,
 * both initramfs, the victim's Debian and its disk. Owns what goes into each of them.
 */
import { cp, readFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { ensure } from './cache.ts';
import { command } from './command.ts';
import { debianRoot, SUITE, unpackPackages } from './debian.ts';
import { packInitramfs } from './initramfs.ts';
import { buildKernel, KEPT_DRIVERS, type LabKernel } from './kernels.ts';

export interface Artifacts {
  readonly kernel: string;
  readonly serverInitramfs: string;
  readonly victimInitramfs: string;
  /** Folder with the NFS server's programs, merged-/usr. */
  readonly serverTools: string;
  /** ext4 image of the victim's root; never to be written to. */
  readonly victimDisk: string;
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
];

const VICTIM_PACKAGES = ['systemd-sysv', 'openssh-server', 'iproute2', 'kmod', 'udev'];

const COMMON_MODULES = ['virtio_pci', 'virtio_net', 'virtio_rng'];
const SERVER_MODULES = [
  ...COMMON_MODULES,
  ...['virtio_blk', 'virtio_console', '9p', '9pnet_virtio', 'overlay', 'loop', 'veth', 'bridge'],
  ...['ext4', 'xfs', 'btrfs', 'nfsd', 'nfs', 'nfsv3', 'nfsv4', 'sch_netem'],
];
const VICTIM_MODULES = [...COMMON_MODULES, 'nfs', 'nfsv3', 'nfsv4'];

/** Check sums that ext4 and nfsd ask for by name; newer kernels have them built in. */
const OPTIONAL_MODULES = ['md5', 'crc32c_generic', 'crc32c_intel', 'crc32c_cryptoapi'];

const GUEST = path.join(import.meta.dirname, 'guest');

/** Everything the lab needs with one kernel, built if it must be. `say` hears what takes long. */
export async function ensureArtifacts(
  suite: LabKernel,
  say: (text: string) => void,
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
  const initramfs = async (machine: string, modules: readonly string[]): Promise<string> => {
    const init = await readFile(path.join(GUEST, `${machine}-initramfs.sh`), 'utf8');
    const packer = await readFile(path.join(import.meta.dirname, 'initramfs.ts'));
    const build = async (folder: string): Promise<void> => {
      const work = path.join(folder, 'work');
      const output = path.join(folder, 'initramfs.gz');
      const tools = serverTools;
      await packInitramfs({
        ...{ modulesRoot: kernel, tools, version, modules, init, output, work },
        optional: OPTIONAL_MODULES,
      });
      await rm(work, { recursive: true });
    };
    const inputs = [kernel, ...modules, ...OPTIONAL_MODULES, init, packer];
    const folder = await ensure({ name: `${machine}-initramfs-${suite}`, inputs, build }, say);
    return path.join(folder, 'initramfs.gz');
  };
  return {
    kernel: path.join(kernel, 'vmlinuz'),
    serverTools,
    serverInitramfs: await initramfs('server', SERVER_MODULES),
    victimInitramfs: await initramfs('victim', VICTIM_MODULES),
    victimDisk: await ensureVictimDisk(say),
  };
}

/** debootstrap is slow and rarely changes; our own files are cheap and often do: two artifacts. */
async function ensureVictimDisk(say: (text: string) => void): Promise<string> {
  const base = await ensure(
    {
      name: 'victim-debian',
      inputs: [SUITE, ...VICTIM_PACKAGES],
      build: (folder) => debianRoot(path.join(folder, 'root'), VICTIM_PACKAGES),
    },
    say,
  );
  const own = path.join(GUEST, 'victim-root');
  const setup = path.join(GUEST, 'victim-setup.sh');
  const names = (await readdir(own, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  const odd = path.join(GUEST, 'odd-names.sh');
  const texts = await Promise.all([setup, odd, ...names].map((name) => readFile(name)));
  const build = async (folder: string): Promise<void> => {
    const tree = path.join(folder, 'tree');
    await command(['cp', '-a', path.join(base, 'root'), tree]);
    await cp(own, tree, { recursive: true });
    await command(['sh', setup, tree]);
    const disk = path.join(folder, 'root.ext4');
    await command(['mkfs.ext4', '-q', '-L', 'victim', '-d', tree, disk, '1G']);
    await rm(tree, { recursive: true });
  };
  const inputs = [base, ...names.map((name) => path.relative(own, name)), ...texts];
  const folder = await ensure({ name: 'victim-disk', inputs, build }, say);
  return path.join(folder, 'root.ext4');
}
