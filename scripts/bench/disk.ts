/**
 * A tree of many files on an ext4 of its own, for benchmarks. Owns the loop mount and its folder,
 * which go when the process ends.
 */
import { execFileSync } from 'node:child_process';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import process from 'node:process';

export interface BenchDisk {
  /** Folder for other things, removed at the end. */
  readonly work: string;
  /** The mount point; the tree is all that is in it, but for `lost+found`. */
  readonly tree: string;
}

/** Directories `0`, `1`, … with files `0`, `1`, … of `bytes` bytes each. */
export function makeDisk(options: {
  readonly directories: number;
  readonly files: number;
  readonly bytes: number;
}): BenchDisk {
  const work = fs.mkdtempSync(path.join(os.tmpdir(), 'bench-recorder.'));
  const tree = path.join(work, 'tree');
  let mounted = false;
  process.once('exit', () => {
    if (mounted) execFileSync('umount', ['-l', tree]);
    fs.rmSync(work, { recursive: true, force: true });
  });
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const image = path.join(work, 'disk');
  fs.mkdirSync(tree);
  fs.closeSync(fs.openSync(image, 'w'));
  fs.truncateSync(image, 1024 * 1024 * 1024);
  execFileSync('mkfs.ext4', ['-q', '-F', '-N', '131072', image]);
  execFileSync('mount', ['-o', 'loop,noatime', image, tree]);
  mounted = true;
  const content = Buffer.alloc(options.bytes, 0x61);
  for (let d = 0; d < options.directories; d++) {
    fs.mkdirSync(path.join(tree, String(d)));
    for (let f = 0; f < options.files; f++)
      fs.writeFileSync(path.join(tree, String(d), String(f)), content);
  }
  execFileSync('sync', ['-f', tree]);
  return { work, tree };
}
