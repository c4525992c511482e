/**
 * What a root of the lab is, and the disk that the server has it on, made by its script. Owns how the
 * parts come together: a tree that is slow to make and rarely changes, kernel modules, files of our
 * own, a set-up. Must not know any single root.
 */
import { cp, mkdir, readFile, readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { ensure, type Recipe } from '../cache.ts';
import { command } from '../command.ts';
import { debianRoot, SUITE } from '../debian.ts';
import { installModules, OPTIONAL_MODULES, type ModulesOptions } from '../modules.ts';

export interface LabRoot {
  /** It is served as /nfsroots/NAME. */
  readonly name: string;
  /** What a machine starts in it over NFS. */
  readonly first: '/init' | '/sbin/init';
  /** Whether its machines take orders on the second serial port. */
  readonly takesOrders: boolean;
  /** Makes the tree, as `root` in the folder; null: all of it is the set-up's. */
  readonly tree: Recipe | null;
  /** Of the kernel that serves it, for a machine that has a disk of its own; usually none. */
  readonly modules: readonly string[];
  /** In `guest/`: a folder that is laid over the tree, and scripts, of which the first is run on it. */
  readonly files: string;
  readonly scripts: readonly string[];
  readonly diskMb: number;
}

/** A Debian with these packages and what they need. `options` are debootstrap's. */
export function debianTree(
  name: string,
  packages: readonly string[],
  options: readonly string[] = [],
): Recipe {
  return {
    name,
    inputs: [SUITE, ...options, ...packages],
    build: (folder) => debianRoot(path.join(folder, 'root'), packages, options),
  };
}

const GUEST = path.join(import.meta.dirname, '../guest');

/** An ext4 image of the root, never to be written to. */
export async function ensureRootDisk(
  root: LabRoot,
  kernel: Pick<ModulesOptions, 'modulesRoot' | 'version' | 'tools'>,
  say: (text: string) => void,
): Promise<string> {
  const tree = root.tree === null ? null : await ensure(root.tree, say);
  const own = path.join(GUEST, root.files);
  const names = (await readdir(own, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  const scripts = root.scripts.map((name) => path.join(GUEST, name));
  const texts = await Promise.all([...scripts, ...names].map((name) => readFile(name)));
  const build = async (folder: string): Promise<void> => {
    const work = path.join(folder, 'root');
    if (tree === null) await mkdir(work);
    else await command(['cp', '-a', path.join(tree, 'root'), work]);
    await cp(own, work, { recursive: true });
    if (root.modules.length > 0) {
      const { modules } = root;
      await installModules(work, { ...kernel, modules, optional: OPTIONAL_MODULES });
    }
    await command(['sh', scripts[0] ?? '', work]);
    const disk = path.join(folder, 'root.ext4');
    const size = `${root.diskMb}M`;
    await command(['mkfs.ext4', '-q', '-L', root.name, '-d', work, disk, size]);
    await rm(work, { recursive: true });
  };
  const modules = root.modules.length > 0 ? [kernel.modulesRoot, ...root.modules] : [];
  const inputs = [
    tree ?? '',
    ...modules,
    ...names.map((name) => path.relative(own, name)),
    ...texts,
  ];
  const folder = await ensure({ name: `${root.name}-disk`, inputs, build }, say);
  return path.join(folder, 'root.ext4');
}
