/**
 * Kernel modules of a lab machine, with all that they need and the indexes of modprobe. Owns which
 * files that are and in which order they can be loaded. Must not know who loads them.
 */
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { command } from './command.ts';

export interface ModulesOptions {
  /** Folder with `lib/modules/VERSION`, its modules not compressed, depmod already run. */
  readonly modulesRoot: string;
  readonly version: string;
  /** Module names; what they depend on is added. */
  readonly modules: readonly string[];
  /** Further ones, which come along if this kernel has them. */
  readonly optional: readonly string[];
  /** Folder with an unpacked kmod. */
  readonly tools: string;
}

/** Check sums that ext4 and nfsd ask for by name; newer kernels have them built in. */
export const OPTIONAL_MODULES = ['md5', 'crc32c_generic', 'crc32c_intel', 'crc32c_cryptoapi'];

/** Puts them into a root, below its `lib/modules/VERSION`. */
export async function installModules(into: string, options: ModulesOptions): Promise<void> {
  const { modulesRoot, version, tools } = options;
  const from = path.join(modulesRoot, 'lib/modules', version);
  const to = path.join(into, 'lib/modules', version);
  const indexes = ['modules.order', 'modules.builtin', 'modules.builtin.modinfo'];
  for (const file of [...(await modulesInOrder(options)), ...indexes]) {
    await mkdir(path.dirname(path.join(to, file)), { recursive: true });
    await copyFile(path.join(from, file), path.join(to, file));
  }
  // kmod's, since its modprobe, which the server's kernel calls, wants the binary indexes.
  await command([path.join(tools, 'usr/bin/kmod'), '-b', into, version], {
    argv0: 'depmod',
    env: { LD_LIBRARY_PATH: path.join(tools, 'usr/lib/x86_64-linux-gnu') },
  });
}

/** Their files, relative to the version's folder, each after all that it needs. */
export async function modulesInOrder(options: Omit<ModulesOptions, 'tools'>): Promise<string[]> {
  const { modules, optional } = options;
  const folder = path.join(options.modulesRoot, 'lib/modules', options.version);
  const needs = new Map<string, string[]>();
  const byName = new Map<string, string>();
  for (const line of (await readFile(path.join(folder, 'modules.dep'), 'utf8')).split('\n')) {
    const [file, rest] = line.split(':');
    if (file === undefined || rest === undefined) continue;
    needs.set(file, rest.trim().split(' ').filter(Boolean));
    byName.set(moduleName(file), file);
  }
  const builtin = await readFile(path.join(folder, 'modules.builtin'), 'utf8');
  const inKernel = new Set(builtin.split('\n').map(moduleName));
  const wanted = new Set<string>();
  const want = (file: string): void => {
    if (wanted.has(file)) return;
    for (const other of needs.get(file) ?? []) want(other);
    wanted.add(file);
  };
  for (const name of [...optional, ...modules]) {
    const file = byName.get(name.replaceAll('-', '_'));
    if (file !== undefined) want(file);
    else if (!inKernel.has(name) && !optional.includes(name))
      throw new Error(`the kernel has no module ${name}`);
  }
  return [...wanted];
}

function moduleName(file: string): string {
  return path.basename(file).replace(/\.ko$/, '').replaceAll('-', '_');
}
