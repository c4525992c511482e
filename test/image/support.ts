/**
 * Real trees for tests of the image room. Owns temporary folders and what they hold; everything is
 * removed at the end of the test that asked for it.
 */
import { spawnSync, type SpawnSyncOptions } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  linkSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { TestContext } from 'node:test';

import { operationBit } from '../../src/common/words.ts';
import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { type ImagePlan, planImage, type PlanOptions } from '../../src/image/plan.ts';

const READ = operationBit('read');
export const isRoot = process.getuid?.() === 0;

export function temporaryFolder(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'nfsroot-trace-image-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs a program with its output captured; throws when it fails. */
export function run(
  command: string,
  args: readonly string[],
  options: SpawnSyncOptions = {},
): Buffer {
  const done = spawnSync(command, args, { maxBuffer: 1 << 30, ...options });
  if (done.error) throw done.error;
  if (done.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${done.stderr.toString()}`);
  return Buffer.from(done.stdout);
}

export const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');
const inside = (root: string, path: string): Buffer =>
  Buffer.concat([bytes(`${root}/`), bytes(path)]);

/** Names that tools get wrong, as byte strings. */
export const HOSTILE_NAMES: readonly string[] = [
  'with space',
  'new\nline',
  'tab\tand\rreturn',
  "quote'single",
  'quote"double',
  'back\\slash',
  '-dash',
  '*star?',
  '$(touch x)',
  '\xff\xfe not utf-8',
  '\xc3\xa9 utf-8',
  'x'.repeat(255),
  'TRAILER!!',
];

/**
 * A tree with everything that a root can have: types, modes, owners, links of all kinds, odd names.
 * A file has two names at most and they are neighbours: GNU cpio writes more in another order.
 */
export function makeTree(root: string): void {
  const directory = (path: string, mode = 0o755) => {
    mkdirSync(inside(root, path), { recursive: true });
    chmodSync(inside(root, path), mode);
  };
  const file = (path: string, content: string | Buffer, mode = 0o644) => {
    writeFileSync(inside(root, path), content);
    chmodSync(inside(root, path), mode);
  };
  mkdirSync(root, { recursive: true });
  for (const path of ['usr', 'usr/bin', 'usr/lib', 'etc', 'var', 'var/empty', 'odd'])
    directory(path);
  directory('root', 0o700);
  directory('tmp', 0o1777);
  file('init', '#!/bin/sh\nexec /sbin/init\n', 0o755);
  file('usr/bin/tool', Buffer.alloc(300_001, 'tool'), 0o755);
  file('usr/bin/sudo', 'setuid', 0o4755);
  file('usr/bin/wall', 'setgid', 0o2755);
  file('etc/shadow', 'secret', 0o600);
  file('etc/empty', '');
  file('etc/a', 'a');
  file('etc/ab', 'ab');
  file('etc/abc', 'abc');
  file('etc/abcd', 'abcd');
  file('usr/lib/hard1', 'one file with two names');
  linkSync(inside(root, 'usr/lib/hard1'), inside(root, 'usr/lib/hard2'));
  file('usr/lib/nothing1', '');
  linkSync(inside(root, 'usr/lib/nothing1'), inside(root, 'usr/lib/nothing2'));
  for (const [path, target] of [
    ['lib', 'usr/lib'],
    ['bin', 'usr/bin'],
    ['etc/absolute', '/usr/bin/tool'],
    ['etc/chain1', 'chain2'],
    ['etc/chain2', '../bin/tool'],
    ['etc/loop1', 'loop2'],
    ['etc/loop2', 'loop1'],
    ['etc/dangling', '/no/such/thing'],
    ['etc/long', `${'../etc/'.repeat(580)}a`],
  ] as const)
    symlinkSync(target, inside(root, path));
  for (const name of HOSTILE_NAMES) file(`odd/${name}`, name);
  run('mkfifo', ['-m', '640', join(root, 'var/fifo')]);
  if (isRoot) {
    run('mknod', ['-m', '660', join(root, 'var/disk'), 'b', '8', '17']);
    run('mknod', ['-m', '620', join(root, 'var/line'), 'c', '4', '65']);
    chownSync(inside(root, 'etc/shadow'), 0, 42);
    chownSync(inside(root, 'var/empty'), 12345, 54321);
    // A change of owner takes the set-id bits away: after it, not before.
    chmodSync(inside(root, 'usr/bin/sudo'), 0o4755);
  }
  setTimes(root);
}

/** Gives every entry a time of its own that does not depend on when the tree was made. */
export function setTimes(root: string): void {
  const all = allPaths(root);
  all.forEach((path, index) => {
    lutimesSync(Buffer.concat([bytes(`${root}/`), path]), 1_000_000_000, 1_000_000_000 + index);
  });
  utimesSync(root, 1_000_000_000, 1_000_000_000);
}

/** Every path below a root, directories after what is in them, each relative. */
export function allPaths(root: string): Buffer[] {
  const found: Buffer[] = [];
  const walk = (path: Buffer) => {
    const full = path.length === 0 ? bytes(root) : Buffer.concat([bytes(`${root}/`), path]);
    for (const entry of readdirSync(full, { encoding: 'buffer', withFileTypes: true })) {
      const next = path.length === 0 ? entry.name : Buffer.concat([path, bytes('/'), entry.name]);
      if (entry.isDirectory()) walk(next);
      found.push(next);
    }
  };
  walk(Buffer.alloc(0));
  return found;
}

export function openTree(t: TestContext, root: string): NativeTree {
  const tree = NativeTree.open(root);
  t.after(() => tree.close());
  return tree;
}

/** A plan of everything in a root; without tables unless they are given. */
export function planAll(
  root: string,
  tree: NativeTree,
  more: Partial<PlanOptions> = {},
): Promise<ImagePlan> {
  return planImage({
    tree,
    files: allPaths(root).map((path) => ({ path, operations: READ })),
    mountPoints: [],
    devices: [],
    ...more,
  });
}

/** Makes the folder of `path` and writes it. */
export function put(path: string, content: string | Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
}
