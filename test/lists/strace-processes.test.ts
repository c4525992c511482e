/** Where the processes of a log of strace are: directories, roots, and who is whose child. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StraceReader } from '../../src/lists/strace/reader.ts';
import { readList } from './read-list.ts';
import { readStrace } from './read-strace.ts';

describe('processes in a log of strace', () => {
  test('processes of which no end is told, any number of them, take moments and not minutes', () => {
    const began = performance.now();
    const lines = Array.from({ length: 100_000 }, (_, pid) => [
      `${pid} open("/etc/motd", O_RDONLY) = 3`,
      `${pid} clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>`,
    ]).flat();
    const { uses } = readList(lines, (sink) => new StraceReader({ sink, rootNamed: () => null }));
    assert.equal(uses.length, 100_000);
    assert.ok(performance.now() - began < 15_000);
  });

  test('relative paths: by -y, by chdir and getcwd, by the parent; else refused', () => {
    const { uses, refused } = readStrace(
      '1 open("unknown", O_RDONLY) = 3',
      '1 open("not-there", O_RDONLY) = -1 ENOENT (No such file or directory)',
      '1 openat(AT_FDCWD</srv/x>, "by-y", O_RDONLY) = 3</srv/x/by-y>',
      '1 newfstatat(3</srv/x y\\74>, "of-fd", {...}, 0) = 0',
      '1 newfstatat(3, "of-fd", {...}, 0) = 0',
      '1 newfstatat(3</srv/x/by-y>, "", {...}, AT_EMPTY_PATH) = 0',
      '1 open("known", O_RDONLY) = 3',
      '1 chdir("/etc/init.d/") = 0',
      '1 open("../motd", O_RDONLY) = 3',
      '1 clone(child_stack=NULL, flags=SIGCHLD, child_tidptr=0x5f99690) = 2',
      '1 chdir("/tmp") = 0',
      '2 open("child", O_RDONLY) = 3',
      '3 open("whose", O_RDONLY) = 3',
      '3 getcwd("/run", 4096) = 5',
      '3 open("here", O_RDONLY) = 3',
      '3 fchdir(4</var>) = 0',
      '3 open("there", O_RDONLY) = 3',
    );
    assert.deepEqual(
      uses,
      [
        'lookup not-there',
        'read /srv/x/by-y',
        'getattr /srv/x y</of-fd',
        'read /srv/x/known',
        'access /etc/init.d/',
        'read /etc/init.d/../motd',
        'access /tmp',
        'read /etc/init.d/child',
        'read /run/here',
        'read /var/there',
      ].filter((use) => use !== 'lookup not-there'),
    );
    assert.deepEqual(refused, ['unknown-directory', 'unknown-directory', 'unknown-directory']);
  });

  test("a process that was only forked has its only relative's directory and root", () => {
    const { uses } = readStrace(
      '1 chroot("sarge") = 0',
      '1 chdir("/") = 0',
      '1 chdir("/etc") = 0',
      '2 execve("/bin/cat", ["cat"], 0x1 /* 9 vars */) = 0',
      '2 open("motd", O_RDONLY) = 3',
      '2 +++ exited with 0 +++',
      '1 openat(AT_FDCWD</nfsroots/sarge/etc>, "../../x", O_RDONLY) = 3',
      '1 openat(5</srv/out>, "of-server", O_RDONLY) = 3',
    );
    assert.deepEqual(uses.slice(3), [
      'read /bin/cat @/nfsroots/sarge',
      'read /etc/motd @/nfsroots/sarge',
      'read /etc/../../x @/nfsroots/sarge',
      'read /srv/out/of-server',
    ]);
  });

  test('`..` is left in a directory and in a path, as far as a path can be long', () => {
    const { uses, refused } = readStrace(
      '1 chroot("/nfsroots/sarge/") = 0',
      '1 open("/bin/../share/x", O_RDONLY) = 3',
      '1 chdir("/bin") = 0',
      '1 chdir("..") = 0',
      '1 chdir("./.") = 0',
      '1 open("share/x", O_RDONLY) = 3',
      ...Array<string>(20).fill(`1 chdir("${'x'.repeat(255)}/..") = 0`),
      '1 open("lost", O_RDONLY) = 3',
      '1 chdir("/etc") = 0',
      '1 open("found", O_RDONLY) = 3',
    );
    const at = '@/nfsroots/sarge';
    assert.deepEqual(
      uses.filter((use) => use.startsWith('read ')),
      [`read /bin/../share/x ${at}`, `read /bin/../share/x ${at}`, `read /etc/found ${at}`],
    );
    // The last of those twenty, and what is opened there.
    assert.ok(refused.length >= 1 && refused.length < 20);
    assert.deepEqual([...new Set(refused)], ['unknown-directory']);
  });

  test('a root in the root: where `..` stops in it is not told', () => {
    const { uses, refused } = readStrace(
      '1 chroot("/run/sshd") = 0',
      '1 open("/a/../x", O_RDONLY) = 3',
      '1 open("/../x", O_RDONLY) = 3',
      '1 open("/a/../../x", O_RDONLY) = 3',
      '1 chroot("/a/../../b") = 0',
      '1 open("/whose", O_RDONLY) = 3',
      '2 chroot("unknown") = 0',
      '2 open("/whose", O_RDONLY) = 3',
      '2 chroot("/nfsroots/sarge/../sarge") = 0',
      '2 open("/whose", O_RDONLY) = 3',
    );
    assert.deepEqual(uses, [
      'access /run/sshd',
      'read /a/../x @/run/sshd',
      'read /../x @/run/sshd',
    ]);
    assert.deepEqual(refused, Array<string>(7).fill('unknown-directory'));
  });

  test('a process that shows before its parent knows of it is that of the only one that forks', () => {
    const { uses, refused } = readStrace(
      '1 chdir("/srv") = 0',
      '1 clone(child_stack=NULL, flags=SIGCHLD) = 2',
      '2 chroot("/nfsroots/sarge") = 0',
      '2 chdir("/etc") = 0',
      '1 vfork( <unfinished ...>',
      '2 open("/a", O_RDONLY) = 3',
      '3 open("b", O_RDONLY) = 3',
      '1 <... vfork resumed>) = 3',
    );
    const at = '@/nfsroots/sarge';
    assert.deepEqual(uses.slice(3), [`read /a ${at}`, 'read /srv/b']);
    assert.deepEqual(refused, []);
  });

  test('on a terminal processes have numbers only while there are several', () => {
    const { uses, refused } = readStrace(
      'chdir("/srv") = 0',
      'clone(child_stack=NULL, flags=SIGCHLD <unfinished ...>',
      '[pid 12] chroot("/nfsroots/sarge") = 0',
      '[pid 11] <... clone resumed>) = 12',
      '[pid 11] open("a", O_RDONLY) = 3',
      '[pid 12] vfork( <unfinished ...>',
      '[pid 13] open("/b", O_RDONLY) = 3',
      '[pid 12] <... vfork resumed>) = 13',
      '[pid 13] +++ exited with 0 +++',
      '[pid 11] +++ exited with 0 +++',
      'open("/c", O_RDONLY) = 3',
      'fork() = 14',
      '[pid 12] open("/d", O_RDONLY) = 3',
    );
    const at = '@/nfsroots/sarge';
    assert.deepEqual(
      uses.filter((use) => use.startsWith('read ')),
      ['read /srv/a', `read /b ${at}`, `read /c ${at}`, `read /d ${at}`],
    );
    assert.deepEqual(refused, []);
  });

  test('a process whose parent may be one of several has only what all of them have', () => {
    const both = [
      '1 chdir("/srv") = 0',
      '1 clone(child_stack=NULL, flags=SIGCHLD) = 2',
      '2 chroot("/nfsroots/sarge") = 0',
      '2 chdir("/etc") = 0',
    ];
    const untold = readStrace(
      ...both,
      '3 open("/a", O_RDONLY) = 3',
      '3 open("/none", O_RDONLY) = -1 ENOENT (No such file or directory)',
      '3 getcwd("/etc", 4096) = 5',
      '3 open("b", O_RDONLY) = 3',
      '3 openat(AT_FDCWD</nfsroots/sarge/etc>, "c", O_RDONLY) = 3',
      '3 chroot("/nfsroots/sarge") = 0',
      '3 open("/d", O_RDONLY) = 3',
    );
    assert.deepEqual(untold.uses.slice(3), [
      'read /nfsroots/sarge/etc/c',
      'access /nfsroots/sarge',
      'read /d @/nfsroots/sarge',
    ]);
    assert.deepEqual(untold.refused, ['unknown-directory', 'unknown-directory']);
    const told = readStrace(
      ...both,
      '1 vfork( <unfinished ...>',
      '2 vfork( <unfinished ...>',
      '3 open("/a", O_RDONLY) = 3',
      '2 <... vfork resumed>) = 3',
      '3 open("/b", O_RDONLY) = 3',
      '3 open("c", O_RDONLY) = 3',
    );
    assert.deepEqual(told.uses.slice(3), ['read /b @/nfsroots/sarge']);
    assert.deepEqual(told.refused, ['unknown-directory', 'unknown-directory']);
  });

  test('threads have one directory and one root, until one of them takes its own', () => {
    const { uses } = readStrace(
      '1 chdir("/srv") = 0',
      '1 clone3({flags=CLONE_VM|CLONE_FS|CLONE_FILES|CLONE_THREAD, exit_signal=0}, 88) = 2',
      '2 chdir("/etc") = 0',
      '1 open("a", O_RDONLY) = 3',
      '1 clone(child_stack=0x7f, flags=CLONE_VM|CLONE_FS <unfinished ...>',
      '3 chdir("/usr") = 0',
      '1 <... clone resumed>) = 3',
      '2 open("b", O_RDONLY) = 3',
      '2 unshare(CLONE_FS) = 0',
      '2 chdir("/tmp") = 0',
      '1 open("c", O_RDONLY) = 3',
      '2 open("d", O_RDONLY) = 3',
    );
    assert.deepEqual(
      uses.filter((use) => use.startsWith('read ')),
      ['read /etc/a', 'read /usr/b', 'read /usr/c', 'read /tmp/d'],
    );
  });

  test('openat2 can make a directory the root of a path', () => {
    const how = '{flags=O_RDONLY, resolve=RESOLVE_IN_ROOT}, 24) = 3';
    const { uses, refused } = readStrace(
      `1 openat2(3</srv/x>, "/../etc/motd", ${how}`,
      `1 openat2(3, "/etc/motd", ${how}`,
      `1 openat2(AT_FDCWD, "/etc/motd", ${how}`,
      '1 chdir("/srv") = 0',
      `1 openat2(AT_FDCWD, "etc/motd", ${how}`,
      '1 chroot("/nfsroots/sarge") = 0',
      `1 openat2(3</nfsroots/sarge/etc>, "motd", ${how}`,
    );
    assert.deepEqual(uses, [
      'read /../etc/motd @/srv/x',
      'access /srv',
      'read /etc/motd @/srv',
      'access /nfsroots/sarge',
      'read /motd @/nfsroots/sarge/etc',
    ]);
    assert.deepEqual(refused, ['unknown-directory', 'unknown-directory']);
  });
});
