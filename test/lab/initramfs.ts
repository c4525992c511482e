/**
 * Packs the small initramfs of a lab machine: static busybox, some kernel modules, an init script.
 * Owns which modules come along (with all that they need). Knows nothing of what init does.
 */
import { copyFile, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { command } from './command.ts';

export interface InitramfsOptions {
  /** Folder with `lib/modules/VERSION`, its modules not compressed, depmod already run. */
  readonly modulesRoot: string;
  readonly version: string;
  /** Module names; what they depend on is added. */
  readonly modules: readonly string[];
  /** Further ones, which come along if this kernel has them. */
  readonly optional: readonly string[];
  /** Folder with an unpacked kmod. */
  readonly tools: string;
  /** Text of /init. */
  readonly init: string;
  /** The gzipped archive to write. */
  readonly output: string;
  /** Scratch folder, must not exist. */
  readonly work: string;
}

export async function packInitramfs(options: InitramfsOptions): Promise<void> {
  const { work, version } = options;
  for (const folder of ['bin', 'dev', 'proc', 'sys', 'root', `lib/modules/${version}`]) {
    await mkdir(path.join(work, folder), { recursive: true });
  }
  await copyFile('/bin/busybox', path.join(work, 'bin/busybox'));
  await symlink('busybox', path.join(work, 'bin/sh'));
  await writeFile(path.join(work, 'init'), options.init, { mode: 0o755 });

  const from = path.join(options.modulesRoot, 'lib/modules', version);
  const to = path.join(work, 'lib/modules', version);
  for (const file of await moduleClosure(from, options)) {
    await mkdir(path.dirname(path.join(to, file)), { recursive: true });
    await copyFile(path.join(from, file), path.join(to, file));
  }
  for (const file of ['modules.order', 'modules.builtin', 'modules.builtin.modinfo']) {
    await copyFile(path.join(from, file), path.join(to, file));
  }
  // kmod's, since its modprobe, which the server's kernel calls, wants the binary indexes.
  await command([path.join(options.tools, 'usr/bin/kmod'), '-b', work, version], {
    argv0: 'depmod',
    env: { LD_LIBRARY_PATH: path.join(options.tools, 'usr/lib/x86_64-linux-gnu') },
  });
  await command(
    [
      'sh',
      '-c',
      'find . | LC_ALL=C sort | cpio --quiet -o -H newc | gzip -n -1 > "$0"',
      options.output,
    ],
    { cwd: work },
  );
}

/** Files (relative to the version's folder) of the named modules and of all that they need. */
async function moduleClosure(
  folder: string,
  { modules, optional }: Pick<InitramfsOptions, 'modules' | 'optional'>,
): Promise<string[]> {
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
  for (const name of [...modules, ...optional]) {
    const file = byName.get(name.replaceAll('-', '_'));
    if (file === undefined) {
      if (inKernel.has(name) || optional.includes(name)) continue;
      throw new Error(`the kernel has no module ${name}`);
    }
    wanted.add(file);
    for (const other of needs.get(file) ?? []) wanted.add(other);
  }
  return [...wanted].sort();
}

function moduleName(file: string): string {
  return path.basename(file).replace(/\.ko$/, '').replaceAll('-', '_');
}
