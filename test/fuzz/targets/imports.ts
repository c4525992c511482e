/**
 * Fuzzers of lists that other programs have written, of every format. Owns lines as they write them, a
 * little wrong, and what must be so of whatever is made of them.
 */
import assert from 'node:assert/strict';
import { importList, viewOf } from '../../../src/cli/import/import-list.ts';
import type { GivenStream, GivingRow } from '../../../src/daemon/given-stream-client.ts';
import { FILE_CALLS } from '../../../src/lists/file-calls.ts';
import { guessFormat } from '../../../src/lists/guess-format.ts';
import { PATH_VIEWS, RootPaths } from '../../../src/lists/root-paths.ts';
import { FORMATS, type Format } from '../../../src/lists/use.ts';
import { anyFixture, fixture } from '../fixtures.ts';
import { mutate } from '../mutate.ts';
import type { Random } from '../random.ts';
import type { Target } from '../target.ts';

const PATHS = [
  '/etc/motd', 'etc', './a//b', '../x', '/nfsroots/sarge/bin/sh', '/nfsroots', '/', '', 'a\\nb', '\\377', '\\x41',
  'x'.repeat(5000),
]; // prettier-ignore
const CALLS = [
  'openat(AT_FDCWD, "P", O_RDONLY|O_CLOEXEC) = 3', 'open("P", O_WRONLY|O_CREAT|O_TRUNC, 0666) = -1 EACCES (Permission denied)',
  'openat(5, "P", O_RDONLY) = 3', 'openat(5</srv/x>, "P"..., O_RDONLY) = 3</etc/motd>', 'chdir("P") = 0', 'fchdir(3) = 0',
  'chroot("P") = 0', 'execve("P", ["sh", "-c", "echo (\\"}"...], 0x7ffd /* 39 vars */) = 0', 'rename("P", "P") = 0',
  'statx(AT_FDCWD, "P", AT_SYMLINK_NOFOLLOW, STATX_ALL, {stx_mask=STATX_ALL, ...}) = 0', 'readlink("P", "busybox", 4096) = 7',
  'clone(child_stack=NULL, flags=CLONE_FS|SIGCHLD) = 27', 'vfork() = 28', 'linkat(AT_FDCWD, "P", 3, "P", 0) = 0',
  'newfstatat(AT_FDCWD, "", {st_mode=S_IFREG|0644}, AT_EMPTY_PATH) = 0', 'openat(AT_FDCWD, "P", O_RDONLY <unfinished ...>',
  '<... openat resumed>) = 3', '<... chdir resumed>) = 0', 'chdir("P" <unfinished ...>', '+++ exited with 0 +++',
  'openat2(5</nfsroots/sarge>, "P", {flags=O_RDONLY, resolve=RESOLVE_IN_ROOT}, 24) = 3', 'openat(3, "P", O_PATH|O_DIRECTORY) = 4',
  'chroot("/nfsroots/sarge") = 0', 'setns(4, CLONE_NEWNS) = 0', 'getcwd("P", 4096) = 9',
  '--- SIGCHLD {si_signo=SIGCHLD} ---', 'strace: Process 27 attached', 'close(3) = 0', 'mount("P", "P", "x", 0, NULL) = ?',
]; // prettier-ignore
/** Any call with any arguments: what the reader knows of each, in turns that no log has. */
const NAMES_OF_CALLS = [
  ...FILE_CALLS.keys(), 'fchdir', 'unshare', 'setns', 'getcwd', 'clone', 'clone3', 'fork', 'vfork', 'chroot', 'chdir', 'close',
]; // prettier-ignore
const ARGUMENTS = [
  '"P"', '"P"', '"P"', '"P"...', 'AT_FDCWD', 'AT_FDCWD</nfsroots/sarge/etc>', '3', '5</nfsroots/sarge>', 'NULL', '""', '0',
  'O_RDWR|O_CREAT|O_EXCL', 'O_PATH|O_DIRECTORY', '{flags=O_RDONLY, resolve=RESOLVE_IN_ROOT}', 'AT_SYMLINK_FOLLOW',
  'CLONE_NEWNS|CLONE_FS', '{flags=CLONE_VM|CLONE_FS, exit_signal=SIGCHLD}', 'MS_BIND', 'FSCONFIG_SET_PATH', 'FSCONFIG_SET_STRING',
  '["sh", "-c"]', '0x7ffd /* 39 vars */',
]; // prettier-ignore
const RESULTS = [
  '0', '3', '27', '28', '3</nfsroots/sarge/etc>', '?', '-1 ENOENT (No such file or directory)', '-1 EEXIST (File exists)',
]; // prettier-ignore

function anyCall(random: Random): string {
  const name = random.pick(NAMES_OF_CALLS);
  const args = Array.from({ length: 1 + random.few(5) }, () => random.pick(ARGUMENTS)).join(', ');
  const end = `) = ${random.pick(RESULTS)}`;
  if (!random.once(6)) return `${name}(${args}${end}`;
  return random.once(2) ? `${name}(${args} <unfinished ...>` : `<... ${name} resumed>${end}`;
}

const BEFORE = [
  '',
  '26 ',
  '[pid 27] ',
  '27 11:22:33.123456 ',
  '28 1795895806.778460 [ 257] ',
  '26<cat> ',
];
const RECORDS = [
  'type=SYSCALL S arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c a1=1 a2=80000 items=1 ppid=1 pid=27',
  'node=n type=SYSCALL S arch=c00000b7 syscall=56 success=no exit=-13 a0=5 a2=0 items=1 ppid=1 pid=26',
  'type=SYSCALL S arch=40000003 syscall=5 success=yes exit=3 items=1 pid=9\x1dARCH=i386 SYSCALL=open AUID="unset"',
  'type=SYSCALL S arch=c000003e syscall=161 success=yes exit=0 items=1 pid=27', 'type=CWD S cwd="P"', 'type=CWD S cwd=2F612062',
  'type=PATH S item=0 name="P" inode=1 nametype=NORMAL', 'type=PATH S item=1 name=(null) nametype=CREATE', 'type=EOE S ',
  'type=PATH S item=0 name="P" nametype=DELETE', 'type=PATH S item=1 name="P" nametype=CREATE', 'type=PATH S item=0 name=2F612G nametype=DELETE',
  'type=PATH S item=0 name="P" nametype=PARENT', 'type=OPENAT2 S oflag=00 mode=00 resolve=0x10', 'type=PATH S item=0 inode=1',
  'type=SYSCALL S arch=c000003e syscall=82 success=yes exit=0 pid=27', 'type=SYSCALL S arch=c000003e syscall=155 success=yes exit=0 pid=26',
  'type=PROCTITLE S proctitle=7368', 'type=EXECVE S argc=1 a0="sh"',
]; // prettier-ignore

/** Any call by its number, with any arguments. */
function anySyscall(random: Random): string {
  const hexadecimal = ['0', '3', 'ffffff9c', '80000', 'a0000', '100', '241', 'zz'] as const;
  const args = [0, 1, 2, 3].map((at) => `a${at}=${random.pick(hexadecimal)}`).join(' ');
  const end = random.pick([
    'success=yes exit=3',
    'success=no exit=-2',
    'success=no exit=ENOTDIR',
    '',
  ]);
  const arch = random.pick(['c000003e', 'c00000b7']);
  return `type=SYSCALL S arch=${arch} syscall=${random.below(460)} ${end} ${args} ppid=${random.pick([1, 26])} pid=${random.pick([26, 27])}`; // prettier-ignore
}

const FOUND = [
  '  4250744      0 lrwxrwxrwx   1 root     root            7 Nov 28 19:56 P -> busybox',
  '  12   4 -rw-r--r--   1 root root 1 Nov 28  2020 P', '  12   4 crw-------   1 root root 5,   1 Nov 28 19:56 ./P',
  '  12   4 drwxr-xr-t+  1 root root 1 Nov 28 19:56 P\\ a -> P',
]; // prettier-ignore
const WORDS = [
  '"',
  '\\',
  '...',
  '(',
  ')',
  '{',
  '[',
  ' = ',
  '<',
  '>',
  '\n',
  '\0',
  'S',
  '= ?',
  ' -> ',
  '0x',
  '/*',
];

/** As the programs have written them. */
const WRITTEN = [
  anyFixture('lists/audit-6.18.log'),
  ...['strace-6.1', 'strace-6.1-y', 'find-4.9', 'find-print0'].map((name) =>
    fixture(`lists/${name}`),
  ),
].map((list) => list.toString('latin1').split('\n'));

function anyList(random: Random): Buffer {
  const lines = random.once(4) ? someWritten(random) : someMade(random);
  const list = Buffer.from(lines.join(random.once(8) ? '\0' : '\n'), 'latin1');
  return random.once(3) ? list : mutate(random, list, WORDS);
}

function someWritten(random: Random): string[] {
  const all = random.pick(WRITTEN);
  const first = random.below(all.length);
  return all.slice(first, first + random.few(60));
}

function someMade(random: Random): string[] {
  const kind = random.below(4);
  const path = (): string => random.pick(PATHS);
  const line = (): string => {
    const serial = `msg=audit(1700000000.123:${random.below(4)}):`;
    if (kind === 0) return random.pick(BEFORE) + (random.once(2) ? anyCall(random) : random.pick(CALLS)).replaceAll('"P"', () => `"${path()}"`);
    if (kind === 1) return (random.once(4) ? anySyscall(random) : random.pick(RECORDS)).replace(' S', () => ` ${serial}`).replace('"P"', () => `"${path()}"`);
    return kind === 2 ? random.pick(FOUND).replaceAll('P', path) : path();
  }; // prettier-ignore
  return Array.from({ length: random.few(60) }, line);
}

const NAMES = [Buffer.from('/nfsroots/sarge')];

/** What a session would be given, in pieces of this size. */
async function rowsOf(list: Buffer, format: Format, size: number): Promise<string[]> {
  const rows: string[] = [];
  const options = { names: NAMES, view: 'auto' as const, cwd: Buffer.from('/nfsroots') };
  const view = viewOf(options, { head: list.subarray(0, 65_536), format });
  const take = (given: readonly GivingRow[]): Promise<void> => {
    for (const { path, operations, count, created } of given) {
      assert.ok(path.length <= 4096);
      rows.push([path.toString('latin1'), operations, count, created].join());
    }
    return Promise.resolve();
  };
  const stream = { rows: take, abandon: () => undefined } as unknown as GivenStream;
  const { used } = await importList({
    input: pieces(list, size),
    format,
    paths: new RootPaths({ ...options, view }),
    begin: () => Promise.resolve(stream),
  });
  const counted = Object.values(used.passed()).concat(used.refused().map(({ count }) => count));
  return [...rows, counted.join()];
}

async function* pieces(list: Buffer, size: number): AsyncGenerator<Buffer> {
  for (let at = 0; at < list.length; at += size)
    yield await Promise.resolve(list.subarray(at, at + size));
}

const imports: Target = {
  name: 'list-imports',
  reads: 'lists of strace, find, the audit system, and plain ones',
  make: anyList,
  run: async (list) => {
    assert.ok(FORMATS.includes(guessFormat(list.subarray(0, 65_536))));
    for (const format of FORMATS) {
      const whole = await rowsOf(list, format, 65_536);
      // However it comes.
      assert.deepEqual(await rowsOf(list, format, 1000), whole);
    }
    for (const view of PATH_VIEWS) {
      const paths = new RootPaths({ names: NAMES, view, cwd: Buffer.from('/srv') });
      paths.inRoot(list.subarray(0, 300), list.subarray(0, 20));
      paths.rootNamed(list.subarray(0, 20));
    }
  },
};

export const IMPORTS: readonly Target[] = [imports];
