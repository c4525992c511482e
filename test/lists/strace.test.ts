/** What strace writes, line by line: real lines of strace 6.1, and hostile ones. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { StraceReader } from '../../src/lists/strace/reader.ts';
import { readList, type ReadList } from './read-list.ts';

const ROOT = Buffer.from('/nfsroots/sarge');

function read(...lines: string[]): ReadList {
  const rootNamed = (directory: Buffer): Buffer | null =>
    ['sarge', '/nfsroots/sarge'].includes(directory.toString()) ? ROOT : null;
  return readList(lines, (sink) => new StraceReader({ sink, rootNamed }));
}

describe('strace', () => {
  test('what is before a call: process, times of all kinds, numbers', () => {
    const call = 'openat(AT_FDCWD, "/etc/motd", O_RDONLY) = 3';
    for (const before of [
      '',
      '26547 ',
      '26547<cat> ',
      '[pid 26547] ',
      '[pid  2654<sh>] ',
      '11:22:33 ',
      '26547 11:22:33.123456 ',
      '[pid 12] 11:22:33 ',
      '     0.000123 ',
      '26547 (+     0.000123) ',
      '[ 257] ',
      '26547 1795895806.778460 [ 257] ',
      '[00007ff2cc5cd001] ',
      '26547 [ 257] [f7f3a549] ',
      '[????????????????] ',
    ])
      assert.deepEqual(read(before + call), {
        ...read(before + call),
        uses: ['read /etc/motd'],
        refused: [],
        passed: [],
      });
    assert.equal(read(`26547 1795895806.778460 ${call} <0.000009>`).all[0]?.atUs, 1795895806778460);
    assert.equal(read(`26547 11:22:33.1 ${call}`).all[0]?.atUs, null);
  });

  test('the stack below a call is no call', () => {
    const { uses, refused, passed } = read(
      'open("/etc/motd", O_RDONLY) = 3',
      ' > /usr/lib/libc.so.6(__open64+0x4c) [0xf8f1c]',
      ' > unexpected_backtracing_error [0x7ffe]',
      '',
    );
    assert.deepEqual([uses, refused], [['read /etc/motd'], []]);
    assert.deepEqual(passed, ['no-path', 'no-path']);
  });

  test('which operation a call is, and whether a link at the end is followed', () => {
    const { uses, refused } = read(
      'open("/a", O_RDONLY|O_NOFOLLOW) = 3',
      'openat(AT_FDCWD, "/b", O_WRONLY|O_CREAT|O_TRUNC, 0666) = 3',
      'openat(AT_FDCWD, "/c", O_RDWR|O_CREAT|O_EXCL|O_CLOEXEC, 0600) = 3',
      'openat(AT_FDCWD, "/d", O_RDONLY|O_PATH) = 3',
      'openat2(AT_FDCWD, "/e", {flags=O_RDWR|O_CLOEXEC, resolve=RESOLVE_BENEATH}, 24) = 3',
      'execve("/bin/sh", ["sh", "-c", "echo (\\"}"...], 0x7ffdb1001148 /* 39 vars, "(" */) = 0',
      'newfstatat(AT_FDCWD, "/f", {st_mode=S_IFREG|0644, st_size=3, ...}, AT_SYMLINK_NOFOLLOW) = 0',
      'statx(AT_FDCWD, "/g", AT_STATX_SYNC_AS_STAT, STATX_ALL, {stx_mask=STATX_ALL, ...}) = 0',
      'readlink("/h", "busybox", 4096) = 7',
      'access("/i", R_OK) = 0',
      'faccessat2(AT_FDCWD, "/j", F_OK, AT_EACCESS) = 0',
      'mkdir("/k", 0777) = 0',
      'rename("/l", "/m") = 0',
      'unlinkat(AT_FDCWD, "/n", AT_REMOVEDIR) = 0',
      'symlink("../elsewhere", "/o") = 0',
      'utimensat(AT_FDCWD, "/p", NULL, 0) = 0',
    );
    assert.deepEqual(uses, [
      'read /a itself',
      'write /b',
      'read+write /c itself created',
      'getattr /d',
      'read+write /e',
      'read /bin/sh',
      'getattr /f itself',
      'getattr /g',
      'readlink /h itself',
      'access /i',
      'access /j',
      'create /k itself created',
      'remove /l itself',
      'create /m itself',
      'remove /n itself',
      'create /o itself created',
      'setattr /p',
    ]);
    assert.deepEqual(refused, []);
  });

  test('a call that failed looked for what is not there, or at what is', () => {
    const { uses } = read(
      'openat(AT_FDCWD, "/a", O_RDONLY) = -1 ENOENT (No such file or directory)',
      'openat(AT_FDCWD, "/b/c", O_RDONLY) = -1 ENOTDIR (Not a directory)',
      'openat(AT_FDCWD, "/d", O_RDONLY) = -1 EACCES (Permission denied)',
      'mkdir("/e", 0777) = -1 EEXIST (File exists)',
      'readlink("/f", 0x7ffd729d6ff0, 4096) = -1 EINVAL (Invalid argument)',
      'mkdir("/g", 0777) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)',
      'execve("/h", ["h"], 0x1 /* 1 var */) = ?',
    );
    assert.deepEqual(uses, [
      'lookup /a',
      'lookup /b/c',
      'getattr /d',
      'getattr /e itself',
      'getattr /f itself',
      'create /g itself',
      'read /h',
    ]);
  });

  test('names are bytes, however strace writes them', () => {
    const { all } = read(
      String.raw`open("/od d/n\nl\377\"\\,)\tx\0012", O_RDONLY) = 3`,
      String.raw`open("\x2f\xff\x22\x5c\x0a", O_RDONLY) = 3`,
      'open("/sch\xf6n", O_RDONLY) = 3',
    );
    assert.deepEqual(
      all.map(({ path }) => path.toString('latin1')),
      ['/od d/n\nl\xff"\\,)\tx\x012', '/\xff"\\\n', '/sch\xf6n'],
    );
  });

  test('calls that were interrupted by others', () => {
    const { uses, refused, passed } = read(
      '7 execve("/bin/cat", ["cat"], 0x5f9bf58 /* 39 vars */ <unfinished ...>',
      '8 openat(AT_FDCWD, "/etc/motd", O_RDONLY <unfinished ...>',
      '8 <... openat resumed>) = 3',
      '7 <... execve resumed>) = -1 ENOENT (No such file or directory) <0.000083>',
      '8 wait4(-1,  <unfinished ...>',
      '8 <... wait4 resumed>[{WIFEXITED(s) && WEXITSTATUS(s) == 2}], 0, NULL) = 26549',
      '7 stat("/late",  <unfinished ...>',
      '7 <... stat resumed> {st_mode=S_IFREG|0644, ...}) = 0',
      '9 open("/killed", O_RDONLY <unfinished ...>',
      '9 +++ killed by SIGKILL +++',
      '7 open("/end", O_RDONLY <unfinished ...>',
      '6 <... openat resumed>) = 3',
    );
    assert.deepEqual(uses, [
      'read /etc/motd',
      'lookup /bin/cat',
      'getattr /late',
      'read /killed',
      'read /end',
    ]);
    assert.deepEqual(refused, ['not-understood']);
    assert.deepEqual(passed, ['no-path', 'no-path']);
  });

  test('a call that another one is resumed instead of has no end, and is not forgotten', () => {
    const { uses, refused, passed } = read(
      '1 open("/a", O_RDONLY <unfinished ...>',
      '1 <... wait4 resumed>) = 2',
      '1 wait4(-1,  <unfinished ...>',
      '1 <... open resumed>) = 3',
      '1 open("/b", O_RDONLY <unfinished ...>',
      '1 open("/c", O_RDONLY) = 3',
      // A fork that was begun before is over as well.
      '1 vfork( <unfinished ...>',
      '1 chroot("/nfsroots/sarge") = 0',
      '2 chroot("/srv") = 0',
      '3 open("/whose", O_RDONLY) = -1 EACCES (Permission denied)',
    );
    assert.deepEqual(uses, [
      'read /a',
      'read /b',
      'read /c',
      'access /nfsroots/sarge',
      'access /srv @/nfsroots/sarge',
    ]);
    assert.deepEqual(refused, ['not-understood', 'unknown-directory']);
    assert.deepEqual(passed, Array<string>(3).fill('no-path'));
  });

  test('what strace says of itself in the middle of a line', () => {
    const { uses, refused, passed } = read(
      'execve("/bin/cat", ["cat"], 0x1 /* 39 vars */strace: Process 5617 attached',
      ') = 0',
      '[pid 5] open("/a", O_RDONLYstrace: Process 5618 attached',
      ' <unfinished ...>',
      'strace: Process 5619 attached',
      '[pid 5] <... open resumed>) = -1 ENOENT (No such file or directory)',
      '[pid 5] open("/b",strace: Process 5620 attached',
    );
    assert.deepEqual(uses, ['read /bin/cat', 'lookup /a']);
    assert.deepEqual([refused, passed], [['not-understood'], ['no-path']]);
  });

  test('a line that is interrupted again and again takes moments and not hours', () => {
    const began = performance.now();
    const line = 'a part of a line strace: Process 1 attached';
    const { refused } = read(...Array<string>(100_000).fill(line));
    assert.deepEqual(refused, ['too-long', 'not-understood']);
    assert.ok(performance.now() - began < 10_000);
  });

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
    const { uses, refused } = read(
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
    const { uses } = read(
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
    const { uses, refused } = read(
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
    const { uses, refused } = read(
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
    const { uses, refused } = read(
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
    const { uses, refused } = read(
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
    const untold = read(
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
    const told = read(
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
    const { uses } = read(
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
    const { uses, refused } = read(
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

  test('calls of the superuser name files too, and a new root is not told', () => {
    const { uses, refused, passed } = read(
      '1 mount("/dev/sda1", "/mnt", "ext4", MS_RDONLY, NULL) = 0',
      '1 mount("/a", "/b", 0x7fa6013a6ba0, MS_BIND, NULL) = 0',
      '1 mount("proc", "/proc", "proc", 0, NULL) = 0',
      '1 umount2("/mnt", MNT_DETACH|UMOUNT_NOFOLLOW)  = 0',
      '1 swapon("/swap", 0) = 0',
      '1 swapoff("/swap") = 0',
      '1 acct("/var/account") = 0',
      '1 quotactl(QCMD(Q_QUOTAON, USRQUOTA), "/dev/sda1", QFMT_VFS_V0, "/aquota.user") = 0',
      '1 quotactl(QCMD(Q_GETQUOTA, USRQUOTA), "/dev/sda1", 0, {dqb_bhardlimit=0, ...}) = 0',
      '1 fanotify_mark(5, FAN_MARK_ADD|FAN_MARK_DONT_FOLLOW, FAN_OPEN, AT_FDCWD</srv>, "m") = 0',
      '1 open_tree(AT_FDCWD, "/t", OPEN_TREE_CLONE|AT_SYMLINK_NOFOLLOW) = 6',
      '1 move_mount(AT_FDCWD, "/c", 6</t>, "d", MOVE_MOUNT_F_SYMLINKS) = 0',
      '1 fspick(AT_FDCWD, "/mnt", FSPICK_CLOEXEC) = 5',
      '1 fsconfig(5, FSCONFIG_SET_PATH, "source", "/dev/sdb", AT_FDCWD) = 0',
      '1 fsconfig(5, FSCONFIG_SET_STRING, "mode", "0755", 0) = 0',
      '1 mount_setattr(AT_FDCWD, "/mnt", 0, {attr_set=MOUNT_ATTR_RDONLY, ...}, 32) = 0',
      '1 utimensat_time64(AT_FDCWD, "/u", NULL, 0) = 0',
      '1 linkat(AT_FDCWD, "/l", AT_FDCWD, "/n", AT_SYMLINK_FOLLOW) = 0',
      '1 pivot_root("/new", "/new/old") = 0',
      '1 open("/etc/motd", O_RDONLY) = 3',
      '1 openat(5</etc>, "motd", O_RDONLY) = 3',
      '1 fork() = 2',
      '2 open("/etc/motd", O_RDONLY) = 3',
    );
    assert.deepEqual(uses, [
      'getattr /mnt',
      'getattr /dev/sda1',
      'getattr /b',
      'getattr /a',
      'getattr /proc',
      'getattr /mnt itself',
      'read /swap',
      'getattr /swap',
      'write /var/account',
      'getattr /dev/sda1',
      'read /aquota.user',
      'getattr /dev/sda1',
      'getattr /srv/m itself',
      'getattr /t itself',
      'getattr /c',
      'getattr /t/d itself',
      'getattr /mnt',
      'getattr /dev/sdb',
      'getattr /mnt',
      'setattr /u',
      'getattr /l',
      'create /n itself',
      'getattr /new',
      'getattr /new/old',
    ]);
    assert.deepEqual(refused, Array<string>(3).fill('unknown-directory'));
    assert.deepEqual(passed, Array<string>(4).fill('no-path'));
  });

  test('what is cut short, or no strace at all, is refused and counted', () => {
    const { uses, refused, passed } = read(
      'open("/very/lo"..., O_RDONLY) = 3',
      'open("/a", O_RDON',
      'open("/b", O_RDONLY',
      'hello, world',
      'open("/c) = 3',
      '--- SIGCHLD {si_signo=SIGCHLD, si_code=CLD_EXITED} ---',
      '+++ exited with 0 +++',
      'strace: Process 12 attached',
      'open(0x7ffe, O_RDONLY) = -1 EFAULT (Bad address)',
      'bind(3, {sa_family=AF_UNIX, sun_path="/run/x"}, 110) = 0',
      '',
      `open("/${'x'.repeat(5000)}`,
    );
    assert.deepEqual(uses, []);
    assert.deepEqual(refused, ['truncated', ...Array<string>(5).fill('not-understood')]);
    assert.deepEqual(passed, Array<string>(5).fill('no-path'));
  });
});
