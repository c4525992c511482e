/** What a list comes to: rows, and whose what was made is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsedPaths } from '../../src/cli/import/used-paths.ts';
import { operationBit } from '../../src/common/words.ts';
import { RootPaths } from '../../src/lists/root-paths.ts';
import { StraceReader } from '../../src/lists/strace/reader.ts';
import { NAMED } from '../../src/lists/use.ts';

function newUsed(): UsedPaths {
  const names = [Buffer.from('/srv/root')];
  return new UsedPaths(new RootPaths({ names, view: 'inside', cwd: Buffer.from('/') }));
}

/** Paths that count as made, of lines of strace. */
function made(...lines: string[]): string[] {
  const used = newUsed();
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

test('a call that failed shows what was there only by its error', () => {
  for (const error of ['EROFS', 'EACCES', 'EPERM', 'ENOSPC', 'EDQUOT', 'EXDEV', 'ENOENT'])
    for (const call of [
      'open("/etc/app.conf", O_WRONLY|O_CREAT|O_EXCL, 0644)',
      'open("/etc/app.conf", O_RDWR|O_CREAT, 0644)',
      'creat("/etc/app.conf", 0644)',
      'mkdir("/etc/app.conf", 0755)',
      'symlink("app.old", "/etc/app.conf")',
      'link("/etc/app.old", "/etc/app.conf")',
      'rename("/etc/app.old", "/etc/app.conf")',
      'rename("/etc/app.conf", "/etc/app.old")',
      'unlink("/etc/app.conf")',
    ])
      assert.deepEqual(made(`${call} = -1 ${error} (Why)`, MAKE), ['/etc/app.conf'], call + error);
  for (const failed of [
    'mkdir("/etc/app.conf", 0755) = -1 EEXIST (File exists)',
    'open("/etc/app.conf", O_WRONLY|O_CREAT, 0644) = -1 EISDIR (Is a directory)',
    'open("/etc/app.conf", O_WRONLY|O_CREAT, 0644) = -1 ETXTBSY (Text file busy)',
    'open("/etc/app.conf", O_WRONLY|O_CREAT|O_NONBLOCK, 0644) = -1 ENXIO (No such device)',
    'rename("/etc/app.new", "/etc/app.conf") = -1 ENOTEMPTY (Directory not empty)',
    'rmdir("/etc/app.conf") = -1 ENOTEMPTY (Directory not empty)',
    // The old name of link(2) is looked for before anything is made.
    'link("/etc/app.conf", "/etc/app.old") = -1 EROFS (Read-only file system)',
    'truncate("/etc/app.conf", 0) = -1 EROFS (Read-only file system)',
    'getxattr("/etc/app.conf", "user.a", 0x1, 9) = -1 ENODATA (No data available)',
  ])
    assert.deepEqual(made(failed, MAKE), [], failed);
  // A directory on the way may not be searched, a filter of calls may forbid it.
  for (const error of ['EACCES', 'EPERM', 'ENOSYS', 'EMFILE', 'ELOOP'])
    for (const call of [
      'open("/etc/app.conf", O_RDONLY)',
      'stat("/etc/app.conf", 0x1)',
      'link("/etc/app.conf", "/etc/app.old")',
    ])
      assert.deepEqual(made(`${call} = -1 ${error} (Why)`, MAKE), ['/etc/app.conf'], call + error);
});

test('a call to make a name whose end is not told shows nothing', () => {
  assert.deepEqual(made('mkdir("/run/app", 0755) = ?', 'mkdir("/run/app", 0755) = 0'), [
    '/run/app',
  ]);
});

test('more names than are remembered: then nothing counts as made', () => {
  const used = newUsed();
  const what = { ...NAMED, operations: operationBit('create') };
  for (let n = 0; n < 5000; n++) used.use({ ...what, path: Buffer.from(`/${n}`.padEnd(4000)) });
  used.use({ ...what, path: Buffer.from('/etc/app.conf'), created: true });
  assert.equal(used.takeRows().at(-1)?.created, false);
});
