/**
 * Runs the /init of an unpacked image as PID 1, in mount, PID and network namespaces of its own, with a
 * command line of its own in /proc/cmdline. Owns roots whose programs are this machine's.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';

import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import type { InitKind } from '../../src/image/choices.ts';
import { exportImage } from './export-image.ts';
import type { ImagePlan } from '../../src/image/plan.ts';
import { DEVICE_NODES, MOUNT_POINTS } from '../../src/image/tables.ts';
import { planAll, put, run } from './support.ts';

/** What busybox does in a root that has nothing else. */
const APPLETS = [
  'sh',
  'mount',
  'mkdir',
  'ln',
  'cat',
  'sleep',
  'readlink',
  'switch_root',
  'modprobe',
  'ip',
  'ls',
];

/** Told by the root's /sbin/init: who it is and what it has. */
const REPORT = `#!/bin/sh
echo "started $0 as $$ with $# words: $*"
while read -r _ at type _; do echo "mounted $type on $at"; done </proc/mounts
[ -e /dev/fd ] && echo "has /dev/fd"
[ -d /dev/shm ] && echo "has /dev/shm"
exit 0
`;

/** A root with static busybox as all programs, and a /sbin/init that tells what it finds. */
export function busyboxRoot(root: string): void {
  mkdirSync(join(root, 'bin'), { recursive: true });
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  for (const applet of APPLETS) symlinkSync('busybox', join(root, 'bin', applet));
  put(join(root, 'sbin/init'), REPORT);
  chmodSync(join(root, 'sbin/init'), 0o755);
  put(join(root, 'etc/group'), 'root:x:0:\ntty:x:7:\n');
}

/** Puts a program of this machine and the libraries that it needs into a root. */
export function copyProgram(root: string, program: string, as = program): void {
  const libraries = run('ldd', [program])
    .toString()
    .matchAll(/(\/\S+) \(0x/g);
  for (const [, file = ''] of libraries) copyInto(root, file, file);
  copyInto(root, program, as);
}

function copyInto(root: string, from: string, as: string): void {
  mkdirSync(join(root, dirname(as)), { recursive: true });
  run('cp', ['-L', '--remove-destination', from, join(root, as)]);
}

/** Exports all of a root with the tables. */
export async function imageOf(
  root: string,
  init: InitKind | undefined,
): Promise<{ plan: ImagePlan; image: string }> {
  const tree = NativeTree.open(root);
  try {
    const tables = { mountPoints: MOUNT_POINTS, devices: DEVICE_NODES };
    const plan = await planAll(root, tree, { ...tables, init });
    const image = `${root}.cpio`;
    await exportImage({ plan, tree, output: image });
    return { plan, image };
  } finally {
    tree.close();
  }
}

export interface InitRun {
  readonly image: string;
  /** The kernel's command line. */
  readonly words?: string;
  /** What the kernel hands to /init. */
  readonly given?: readonly string[];
  /** Typed at the shell, if it comes to that. */
  readonly typed?: string;
  /** Shell commands in the unpacked image, as root of this machine, before /init starts. */
  readonly before?: string;
}

/** All that the console said. */
export function runInit({
  image,
  words = '',
  given = [],
  typed = '',
  before = '',
}: InitRun): string {
  const folder = dirname(image);
  const commandLine = join(folder, `${basename(image)}.cmdline`);
  writeFileSync(commandLine, `${words}\n`);
  mkdirSync(join(folder, 'ram'), { recursive: true });
  // The kernel starts /init after errors of unpacking, too.
  // /dev is made a mount point, so that this machine's own devtmpfs stays out of it.
  const script = `
    mount -t tmpfs tmpfs ram && cd ram && { cpio -idm --quiet <"$1" || true; }
    mount -t proc proc proc && mount --bind "$2" proc/cmdline && mount --bind dev dev
    shift 2
    ${before}
    exec chroot . /init "$@"`;
  const done = spawnSync(
    'unshare',
    [
      '--mount',
      '--pid',
      '--fork',
      '--kill-child',
      'sh',
      '-ec',
      script,
      'sh',
      image,
      commandLine,
    ].concat(given),
    { cwd: folder, input: typed, timeout: 60_000, env: { PATH: process.env['PATH'] } },
  );
  return `${done.stdout.toString('latin1')}${done.stderr.toString('latin1')}`;
}
