/**
 * The kernels that the lab can serve NFS with: each is the newest of one Debian suite, taken from
 * the mirror that apt itself uses, with a state of apt's own, so that the machine's sources stay as
 * they are. Owns which suites, and how their packages are laid out.
 */
import { access, chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { command } from './command.ts';
import { mirror, SUITE, unpackPackages } from './debian.ts';

/** Suite, and what its kernels are called in tests and tables. Patch levels change by the week. */
export const KERNELS = {
  bullseye: '5.10',
  bookworm: '6.1',
  trixie: '6.12',
  sid: '7.x',
} as const;

export type LabKernel = keyof typeof KERNELS;
export const LAB_KERNELS = Object.keys(KERNELS) as LabKernel[];

/** The suite for `trixie` or `6.12`; throws for what is neither. */
export function labKernel(text: string): LabKernel {
  const found = LAB_KERNELS.find((suite) => suite === text || KERNELS[suite] === text);
  if (found !== undefined) return found;
  const known = LAB_KERNELS.map((suite) => `${suite} (${KERNELS[suite]})`).join(', ');
  throw new Error(`no kernel ${text} in the lab; there are ${known}`);
}

/** Folders of drivers that stay: a lab machine has virtio, and the rest is most of a kernel. */
export const KEPT_DRIVERS: readonly string[] = ['block', 'char', 'crypto', 'md', 'net', 'virtio'];

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/** Fills a folder with `vmlinuz` and `lib/modules/VERSION`, modules not compressed, depmod run. */
export async function buildKernel(suite: LabKernel, folder: string): Promise<void> {
  const state = await mkdtemp(path.join(tmpdir(), 'lab-apt-'));
  try {
    const options = await aptOf(suite, state);
    await unpackPackages(await kernelPackages(options), folder, options);
  } finally {
    await rm(state, { recursive: true, force: true });
  }
  const modules = path.join(folder, 'usr/lib/modules');
  const version = (await readdir(modules))[0] ?? '';
  // Up to trixie the kernel itself lies in /boot, in sid beside its modules.
  const places = [`boot/vmlinuz-${version}`, `usr/lib/modules/${version}/vmlinuz`];
  for (const place of places) {
    await command(['sh', '-c', 'test ! -e "$0" || mv "$0" vmlinuz', place], { cwd: folder });
  }
  await access(path.join(folder, 'vmlinuz'));
  await command(['sh', '-c', 'mkdir lib && mv usr/lib/modules lib/'], { cwd: folder });
  for (const rest of ['boot', 'usr']) {
    await rm(path.join(folder, rest), { recursive: true, force: true });
  }
  await leaveWhatTheLabHas(path.join(folder, 'lib/modules', version, 'kernel'));
  // busybox opens no compressed modules; newer kernels have nothing else.
  const unpack = { xz: 'xz -d', zst: 'zstd -q -d --rm' };
  for (const [ending, tool] of Object.entries(unpack)) {
    const find = `find lib -name '*.ko.${ending}' -exec ${tool} {} +`;
    await command(['sh', '-c', find], { cwd: folder });
  }
  await command(['busybox', 'depmod', '-b', folder, version]);
}

async function leaveWhatTheLabHas(modules: string): Promise<void> {
  const drivers = path.join(modules, 'drivers');
  for (const name of await readdir(drivers)) {
    if (!KEPT_DRIVERS.includes(name)) await rm(path.join(drivers, name), { recursive: true });
  }
  for (const name of ['sound', 'drivers/net/ethernet', 'drivers/net/wireless']) {
    await rm(path.join(modules, name), { recursive: true, force: true });
  }
}

/** Options that make apt see one suite, with its security archive where it has one, and no other. */
async function aptOf(suite: LabKernel, state: string): Promise<string[]> {
  // apt reads as _apt, where there is one.
  await chmod(state, 0o755);
  const lists = path.join(state, 'lists');
  await mkdir(path.join(lists, 'partial'), { recursive: true });
  const sources = path.join(state, 'sources.list');
  const settings = {
    'Dir::State': state,
    'Dir::State::lists': lists,
    'Dir::State::status': '/dev/null',
    'Dir::Cache': path.join(state, 'cache'),
    'Dir::Etc::sourcelist': sources,
    'Dir::Etc::sourceparts': '/dev/null',
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ['-o', `${key}=${value}`]);
  const trust = await access(KEYRING).then(
    () => `[signed-by=${KEYRING}] `,
    () => '',
  );
  const main = `deb ${trust}${await mirror(SUITE)} ${suite} main\n`;
  const update = ['apt-get', ...options, '-o', 'APT::Update::Error-Mode=any', 'update'];
  // Old suites get new kernels there only; sid has none, and a mirror may lack it.
  const securityMirror =
    suite === 'sid' ? null : await mirror(`${SUITE}-security`).catch(() => null);
  if (securityMirror !== null) {
    await writeFile(sources, `${main}deb ${trust}${securityMirror} ${suite}-security main\n`);
    const done = await command(update).catch(() => null);
    if (done !== null) return options;
  }
  await writeFile(sources, main);
  await command(update);
  return options;
}

/**
 * The packages that hold the kernel, e.g. `linux-image-6.12.107+deb13-amd64`; in sid that one is
 * empty, and needs `linux-base-…`, `linux-binary-…` and `linux-modules-…`.
 */
async function kernelPackages(options: readonly string[]): Promise<string[]> {
  const needs = async (name: string, pattern: RegExp): Promise<string[]> => {
    const text = await command(['apt-cache', ...options, 'depends', name]);
    return [...text.matchAll(/^\s*Depends: (\S+)$/gm)]
      .map(([, needed = '']) => needed)
      .filter((needed) => pattern.test(needed));
  };
  const [image] = await needs('linux-image-amd64', /^linux-image-\d/);
  if (image === undefined) throw new Error('the suite has no kernel for linux-image-amd64');
  return [image, ...(await needs(image, /^linux-(base|binary|modules)-\d/))];
}
