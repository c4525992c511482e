/** What a list comes to: rows, and whose what was made is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsedPaths } from '../../src/cli/import/used-paths.ts';
import { RootPaths } from '../../src/lists/root-paths.ts';
import { StraceReader } from '../../src/lists/strace/reader.ts';

/** Paths that count as made, of lines of strace. */
function made(...lines: string[]): string[] {
  const names = [Buffer.from('/srv/root')];
  const used = new UsedPaths(new RootPaths({ names, view: 'inside', cwd: Buffer.from('/') }));
  const reader = new StraceReader({ sink: used, rootNamed: () => null });
  for (const line of lines) reader.read(Buffer.from(line));
  reader.end();
  return used
    .takeRows()
    .flatMap(({ path, created }) => (created === true ? [path.toString()] : []));
}

const READ = 'open("/etc/app.conf", O_RDONLY) = 3';
const REMOVE = 'unlink("/etc/app.conf") = 0';
const MAKE = 'open("/etc/app.conf", O_WRONLY|O_CREAT|O_EXCL, 0644) = 3';

test('a file that is made where nothing was', () => {
  assert.deepEqual(made(MAKE), ['/etc/app.conf']);
  assert.deepEqual(made('stat("/etc/app.conf", 0x1) = -1 ENOENT (No such file)', MAKE), [
    '/etc/app.conf',
  ]);
  assert.deepEqual(made(MAKE, READ, REMOVE, MAKE), ['/etc/app.conf']);
});

test('one that replaces a file: that must be there, whatever comes after', () => {
  assert.deepEqual(made(READ, REMOVE, MAKE), []);
  assert.deepEqual(made('open("/etc//app.conf", O_RDONLY) = 3', REMOVE, MAKE), []);
  assert.deepEqual(made('rename("/etc/app.conf", "/etc/app.old") = 0', MAKE), []);
  const link = ['unlink("/etc/mtab") = 0', 'symlink("/proc/mounts", "/etc/mtab") = 0'];
  assert.deepEqual(made('readlink("/etc/mtab", "x", 9) = 1', ...link), []);
});

test('more names than are remembered: then nothing counts as made', () => {
  const lines = Array.from({ length: 5000 }, (_, n) => {
    return `open("/${'x'.repeat(4000)}${n}", O_RDONLY) = 3`;
  });
  assert.deepEqual(made(...lines, MAKE), []);
});
