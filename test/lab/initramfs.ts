/**
 * Packs the small initramfs of a lab machine: static busybox, some kernel modules, an init script.
 * Owns its layout. Knows nothing of what init does.
 */
import { copyFile, mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { command } from './command.ts';
import { installModules, type ModulesOptions } from './modules.ts';

export interface InitramfsOptions extends ModulesOptions {
  /** Text of /init. */
  readonly init: string;
  /** The gzipped archive to write. */
  readonly output: string;
  /** Scratch folder, must not exist. */
  readonly work: string;
}

export async function packInitramfs(options: InitramfsOptions): Promise<void> {
  const { work } = options;
  for (const folder of ['bin', 'dev', 'proc', 'sys', 'root']) {
    await mkdir(path.join(work, folder), { recursive: true });
  }
  await copyFile('/bin/busybox', path.join(work, 'bin/busybox'));
  await symlink('busybox', path.join(work, 'bin/sh'));
  await writeFile(path.join(work, 'init'), options.init, { mode: 0o755 });

  await installModules(work, options);
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
