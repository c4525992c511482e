/**
 * A small /nfsroots/sarge of programs of this machine: bash, cat and ls with their libraries, a
 * /chroot, an /init, and files that nothing uses.
 */
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { copyProgram } from '../image/init-run.ts';
import { put } from '../image/support.ts';

export const PROGRAMS = ['/bin/bash', '/bin/cat', '/bin/ls'];

/** Makes `sarge` below a folder, and returns its path. */
export function makeSarge(folder: string): string {
  const root = join(folder, 'sarge');
  for (const program of PROGRAMS) copyProgram(root, program);
  for (const name of ['dev/pts', 'proc', 'sys', 'etc', 'root', 'usr/share/doc'])
    mkdirSync(join(root, name), { recursive: true });
  symlinkSync('bash', join(root, 'bin/sh'));
  writeFileSync(join(root, 'etc/motd'), 'welcome to sarge\n');
  put(join(root, 'usr/share/doc/unused'), 'x'.repeat(100_000));
  put(join(root, 'init'), '#!/bin/bash\nls /dev\nexec /bin/bash\n');
  chmodSync(join(root, 'init'), 0o755);
  return root;
}
