/**
 * Debian's packages without installing them, and Debian roots. Owns how the lab asks apt.
 * The mirror is the one that apt itself uses, read when it is needed.
 */
import { chown, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { command } from './command.ts';

/** The suite that the lab's tools and victim, and the kernel unless asked, are taken from. */
export const SUITE = 'bookworm';

/** URI of the archive that apt takes a suite from. */
export async function mirror(suite: string): Promise<string> {
  const targets = await command(['apt-get', 'indextargets', '--format', '$(CODENAME) $(REPO_URI)']);
  for (const line of targets.split('\n')) {
    const [codename, uri] = line.split(' ');
    if (codename === suite && uri !== undefined) return uri;
  }
  throw new Error(`apt knows no source for ${suite}; add one and run apt-get update`);
}

/**
 * Downloads packages with apt and unpacks them into one folder, merged-/usr (so that the folder
 * can lie over a root whose /bin, /sbin and /lib are links). `options` are further ones of apt.
 */
export async function unpackPackages(
  packages: readonly string[],
  folder: string,
  options: readonly string[] = [],
): Promise<void> {
  const download = await mkdtemp(path.join(folder, 'download-'));
  // apt drops its rights to _apt, where there is one, and warns if that user cannot write here.
  const apt = await command(['id', '-u', '_apt']).catch(() => '0');
  await chown(download, Number(apt), 0);
  const get = ['apt-get', ...options, 'download', ...packages];
  await command(get, { cwd: download }).catch(async () => {
    // No lists, or lists that name packages which the mirror has no longer.
    await command(['apt-get', ...options, 'update']);
    await command(get, { cwd: download });
  });
  for (const file of await readdir(download)) {
    await command(['dpkg-deb', '-x', path.join(download, file), folder]);
  }
  await rm(download, { recursive: true });
  for (const name of ['bin', 'sbin', 'lib', 'lib64']) {
    const from = path.join(folder, name);
    const moved = path.join(folder, `usr/${name}`);
    const found = await readdir(from).catch(() => null);
    if (found === null) continue;
    await command(['mkdir', '-p', moved]);
    await command(['cp', '-a', `${from}/.`, moved]);
    await rm(from, { recursive: true });
  }
}

/** A minimal Debian with the given packages. The folder must not exist yet. `options` are debootstrap's. */
export async function debianRoot(
  folder: string,
  include: readonly string[],
  options: readonly string[] = [],
): Promise<void> {
  const proxy = /"(.+)"/.exec(await command(['apt-config', 'dump', 'Acquire::http::Proxy']))?.[1];
  const work = `${folder}.debootstrap`;
  await command(
    [
      'debootstrap',
      '--variant=minbase',
      `--include=${include.join(',')}`,
      ...options,
      SUITE,
      work,
      await mirror(SUITE),
    ],
    { timeoutMs: 1_800_000, ...(proxy === undefined ? {} : { env: { http_proxy: proxy } }) },
  );
  await rename(work, folder);
}
