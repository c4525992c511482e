/**
 * Which system call an audit record is about: by its name, where auditd has written that, else by
 * its number. Owns the numbers of the two usual architectures (asm/unistd_64.h and
 * asm-generic/unistd.h of Linux 6.1) and the bits of open(2)'s flags, which are the same there.
 */
import type { FileCall } from './file-calls.ts';

/** By the number of the architecture (linux/audit.h): x86_64, aarch64. */
const NUMBERS: ReadonlyMap<string, ReadonlyMap<string, string>> = new Map([
  [
    'c000003e',
    numbered({
      open: 2,
      stat: 4,
      lstat: 6,
      access: 21,
      execve: 59,
      truncate: 76,
      chdir: 80,
      rename: 82,
      mkdir: 83,
      rmdir: 84,
      creat: 85,
      link: 86,
      unlink: 87,
      symlink: 88,
      readlink: 89,
      chmod: 90,
      chown: 92,
      lchown: 94,
      utime: 132,
      mknod: 133,
      statfs: 137,
      chroot: 161,
      pivot_root: 155,
      acct: 163,
      mount: 165,
      umount2: 166,
      swapon: 167,
      swapoff: 168,
      setxattr: 188,
      lsetxattr: 189,
      getxattr: 191,
      lgetxattr: 192,
      listxattr: 194,
      llistxattr: 195,
      removexattr: 197,
      lremovexattr: 198,
      utimes: 235,
      exit_group: 231,
      inotify_add_watch: 254,
      openat: 257,
      mkdirat: 258,
      mknodat: 259,
      fchownat: 260,
      futimesat: 261,
      newfstatat: 262,
      unlinkat: 263,
      renameat: 264,
      linkat: 265,
      symlinkat: 266,
      readlinkat: 267,
      fchmodat: 268,
      faccessat: 269,
      utimensat: 280,
      name_to_handle_at: 303,
      renameat2: 316,
      execveat: 322,
      statx: 332,
      openat2: 437,
      faccessat2: 439,
    }),
  ],
  [
    'c00000b7',
    numbered({
      setxattr: 5,
      lsetxattr: 6,
      getxattr: 8,
      lgetxattr: 9,
      listxattr: 11,
      llistxattr: 12,
      removexattr: 14,
      lremovexattr: 15,
      inotify_add_watch: 27,
      mknodat: 33,
      mkdirat: 34,
      unlinkat: 35,
      symlinkat: 36,
      linkat: 37,
      renameat: 38,
      umount2: 39,
      mount: 40,
      pivot_root: 41,
      statfs: 43,
      truncate: 45,
      faccessat: 48,
      chdir: 49,
      chroot: 51,
      fchmodat: 53,
      fchownat: 54,
      openat: 56,
      readlinkat: 78,
      newfstatat: 79,
      utimensat: 88,
      acct: 89,
      exit_group: 94,
      execve: 221,
      swapon: 224,
      swapoff: 225,
      name_to_handle_at: 264,
      renameat2: 276,
      execveat: 281,
      statx: 291,
      openat2: 437,
      faccessat2: 439,
    }),
  ],
]);

const OPEN_BITS = {
  O_WRONLY: 0o1,
  O_RDWR: 0o2,
  O_CREAT: 0o100,
  O_EXCL: 0o200,
  O_TRUNC: 0o1000,
  O_PATH: 0o10000000,
} as const;
/** Not the same on both: x86 and the generic one. */
const NOFOLLOW: Readonly<Record<string, number>> = { c000003e: 0o400000, c00000b7: 0o100000 };

const AT_SYMLINK_NOFOLLOW = 0x100;
/** Which argument of a call has it. */
const LOOKS: Readonly<Record<string, number>> = { newfstatat: 3, statx: 2, faccessat2: 3 };

function numbered(calls: Readonly<Record<string, number>>): ReadonlyMap<string, string> {
  return new Map(Object.entries(calls).map(([name, number]) => [String(number), name]));
}

/** undefined: of an architecture, or with a number, that is not known here. */
export function callOf(fields: Readonly<Record<string, string>>): string | undefined {
  const { SYSCALL: name, arch = '', syscall = '' } = fields;
  return name ?? NUMBERS.get(arch)?.get(syscall);
}

/** The flags of a call that matter here, in words. */
export function flagsOf(
  { opens }: FileCall,
  fields: Readonly<Record<string, string>>,
): ReadonlySet<string> {
  const name = callOf(fields) ?? '';
  const { arch = '' } = fields;
  const bitsOf = (argument: number): number => {
    const text = fields[`a${argument}`] ?? '';
    return /^[0-9a-f]+$/.test(text) ? parseInt(text, 16) : 0;
  };
  const looks = LOOKS[name];
  if (looks !== undefined)
    return new Set((bitsOf(looks) & AT_SYMLINK_NOFOLLOW) === 0 ? [] : ['AT_SYMLINK_NOFOLLOW']);
  // openat2(2) has them in a structure.
  if (opens === undefined || name === 'openat2') return new Set();
  const bits = bitsOf(opens);
  const found = Object.entries(OPEN_BITS).filter(([, bit]) => (bits & bit) !== 0);
  const nofollow = (bits & (NOFOLLOW[arch] ?? 0)) !== 0 ? ['O_NOFOLLOW'] : [];
  return new Set([...found.map(([word]) => word), ...nofollow]);
}
