/** What strace writes, line by line: real lines of strace 6.1, and hostile ones. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readStrace } from './read-strace.ts';

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
      assert.deepEqual(readStrace(before + call), {
        ...readStrace(before + call),
        uses: ['read /etc/motd'],
        refused: [],
        passed: [],
      });
    assert.equal(
      readStrace(`26547 1795895806.778460 ${call} <0.000009>`).all[0]?.atUs,
      1795895806778460,
    );
    assert.equal(readStrace(`26547 11:22:33.1 ${call}`).all[0]?.atUs, null);
  });

  test('the stack below a call is no call', () => {
    const { uses, refused, passed } = readStrace(
      'open("/etc/motd", O_RDONLY) = 3',
      ' > /usr/lib/libc.so.6(__open64+0x4c) [0xf8f1c]',
      ' > unexpected_backtracing_error [0x7ffe]',
      '',
    );
    assert.deepEqual([uses, refused], [['read /etc/motd'], []]);
    assert.deepEqual(passed, ['no-path', 'no-path']);
  });

  test('which operation a call is, and whether a link at the end is followed', () => {
    const { uses, refused } = readStrace(
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
    const { uses } = readStrace(
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
    const { all } = readStrace(
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
    const { uses, refused, passed } = readStrace(
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
    const { uses, refused, passed } = readStrace(
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
    const { uses, refused, passed } = readStrace(
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
    const { refused } = readStrace(...Array<string>(100_000).fill(line));
    assert.deepEqual(refused, ['too-long', 'not-understood']);
    assert.ok(performance.now() - began < 10_000);
  });

  test('calls of the superuser name files too, and a new root is not told', () => {
    const { uses, refused, passed } = readStrace(
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
    const { uses, refused, passed } = readStrace(
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
