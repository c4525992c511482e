/**
 * What a boot needs and no trace can show: device nodes and mount points. Owns the tables only;
 * a root that has something at one of these paths keeps its own.
 */

export interface TableNode {
  readonly path: string;
  readonly type: 'character' | 'directory' | 'symlink' | 'file';
  readonly mode: number;
  readonly major?: number;
  readonly minor?: number;
  readonly target?: string;
  /** Of a file: it is in no tree, so it comes along with the archive's own bytes. */
  readonly content?: Buffer;
}

const character = (path: string, major: number, minor: number, mode: number): TableNode => ({
  path,
  type: 'character',
  mode,
  major,
  minor,
});
const link = (path: string, target: string): TableNode => ({
  path,
  type: 'symlink',
  mode: 0o777,
  target,
});
const directory = (path: string, mode: number): TableNode => ({ path, type: 'directory', mode });

/**
 * Numbers: Documentation/admin-guide/devices.txt. Owner root:root throughout, because a `tty`
 * group's number belongs to the root's own /etc/group; udev or devtmpfs set it when they run.
 */
export const DEVICE_NODES: readonly TableNode[] = [
  // The kernel opens it as init's first three descriptors, before anything is mounted.
  character('dev/console', 5, 1, 0o600),
  character('dev/null', 1, 3, 0o666),
  character('dev/zero', 1, 5, 0o666),
  character('dev/full', 1, 7, 0o666),
  // sshd without them: "PRNG is not seeded".
  character('dev/random', 1, 8, 0o666),
  character('dev/urandom', 1, 9, 0o666),
  character('dev/tty', 5, 0, 0o666),
  // Consoles that gettys and init open: the current and first virtual ones, the first serial one.
  character('dev/tty0', 4, 0, 0o600),
  character('dev/tty1', 4, 1, 0o600),
  character('dev/ttyS0', 4, 64, 0o600),
  // sshd and every terminal program open it; with devpts mounted, pseudo-terminals come from there.
  character('dev/ptmx', 5, 2, 0o666),
  // Early logging of init and udev.
  character('dev/kmsg', 1, 11, 0o644),
  // Shells' process substitution and scripts use these; they work once /proc is mounted.
  link('dev/fd', '/proc/self/fd'),
  link('dev/stdin', '/proc/self/fd/0'),
  link('dev/stdout', '/proc/self/fd/1'),
  link('dev/stderr', '/proc/self/fd/2'),
];

/** Directories that a boot mounts something on, or that must exist before anything runs. */
export const MOUNT_POINTS: readonly TableNode[] = [
  directory('proc', 0o555),
  directory('sys', 0o555),
  directory('dev', 0o755),
  directory('dev/pts', 0o755),
  directory('dev/shm', 0o1777),
  directory('run', 0o755),
  directory('tmp', 0o1777),
];
