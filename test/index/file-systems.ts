/**
 * Real file systems to index: loop-mounted images and tmpfs, each in a folder of its own that goes
 * when the test ends. Owns the mounts and loop devices that it makes.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { HandleIndex } from '../../src/fanotify-ts/handle-index.ts';
import { lacks } from '../capabilities.ts';

export const KINDS = ['ext4', 'xfs', 'btrfs', 'tmpfs'] as const;
export type FileSystemKind = (typeof KINDS)[number];

export interface MountedFileSystem {
  /** Mount point, empty but for `lost+found`. */
  readonly path: string;
  remove(): void;
}

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: 'pipe' });
}

const MAKE = {
  ext4: ['mkfs.ext4', '-q', '-F', '-N', '200000'],
  xfs: ['mkfs.xfs', '-q', '-f'],
  btrfs: ['mkfs.btrfs', '-q', '-f'],
} as const;

/** Makes and mounts one; throws if this machine cannot. */
export function makeFileSystem(kind: FileSystemKind): MountedFileSystem {
  const folder = mkdtempSync(join(tmpdir(), 'handle-index-'));
  const path = join(folder, 'mnt');
  mkdirSync(path);
  try {
    if (kind === 'tmpfs') {
      run('mount', '-t', 'tmpfs', 'none', path);
    } else {
      const image = join(folder, 'image');
      writeFileSync(image, '');
      truncateSync(image, 1024 ** 3);
      const [program, ...options] = MAKE[kind];
      run(program, ...options, image);
      run('mount', '-o', 'loop', image, path);
    }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    path,
    remove: () => {
      run('umount', path);
      rmSync(folder, { recursive: true });
    },
  };
}

/** Why this machine cannot make such a file system, or false. For a test's `skip`. */
export function cannotMake(kind: FileSystemKind): string | false {
  const needed = { ext4: 'loop', xfs: 'xfs', btrfs: 'btrfs', tmpfs: 'mount' } as const;
  return lacks(needed[kind]);
}

export async function indexOf(root: string | Buffer): Promise<HandleIndex> {
  const index = new HandleIndex({ root: Buffer.from(root) });
  index.open();
  await index.walk();
  return index;
}

/** Live names and their ids, by path. */
export function liveTree(index: HandleIndex): Map<string, number> {
  const tree = new Map<string, number>();
  for (let id = 0; id < index.objects; id++) {
    if (index.isGone(id)) continue;
    for (const path of index.pathsOf(id)) tree.set(path.toString('latin1'), id);
  }
  return tree;
}

/** The id of a live path; throws if there is none. */
export function idOf(index: HandleIndex, path: string): number {
  const id = liveTree(index).get(path);
  if (id === undefined) throw new Error(`no live object ${path}`);
  return id;
}
