/**
 * What this machine can do, found by trying it, and the only way in which a test may be skipped.
 * Owns the probes and the text of a skip's reason. A probe never runs the project's own code:
 * a bug of ours must fail a test, not hide it.
 *
 *     test('…', { skip: lacks('loop', 'fanotify') }, async (t) => …)
 *     if (!needs(t, 'qemu')) return;
 *
 * The runner probes once and hands the result to every test file in the environment, so that it
 * can tell afterwards whether each skip was needed.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  globSync,
  mkdtempSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { cacheFolder } from './lab/cache.ts';

/** null: the machine can; text: why it cannot. */
export type Lack = string | null;

const PROBE_LIMIT_MS = 20_000;
const PROBE_SCRIPT = join(import.meta.dirname, 'probe.py');

const probes = {
  /** Effective user id 0; what root may do here is told by the other probes. */
  root: () => (process.getuid?.() === 0 ? null : 'not root'),
  /** An ext4 image can be attached to a loop device and mounted. */
  loop: () => probeOnLoop('true'),
  /** fanotify with FAN_REPORT_DFID_NAME marks a whole ext4 file system and reports a read. */
  fanotify: () => probeOnLoop(`${PYTHON} '${PROBE_SCRIPT}' fanotify "$mnt"`),
  /** name_to_handle_at(2) and open_by_handle_at(2) on ext4. */
  handles: () => probeHandles(),
  /** A private mount namespace with a tmpfs in it. */
  mount: () => probeShell('unshare --mount sh -c "mount -t tmpfs none /mnt"'),
  /** An overlay that can be exported, on tmpfs, gives file events with handles. */
  overlay: () =>
    probeShell(
      `unshare --mount sh -ec 'mount -t tmpfs none /mnt; cd /mnt; mkdir l u w m; ` +
        `mount -t overlay o -o index=on,nfs_export=on,lowerdir=l,upperdir=u,workdir=w m; ` +
        `exec ${PYTHON} "${PROBE_SCRIPT}" fanotify /mnt/m'`,
    ),
  xfs: () => probeFileSystem('xfs', 'mkfs.xfs -q', 300),
  btrfs: () => probeFileSystem('btrfs', 'mkfs.btrfs -q', 128),
  /** A network namespace with a veth pair to it. */
  netns: () =>
    probeShell(
      'unshare --net sh -c "ip link set lo up && ip link add name v0 type veth peer name v1"',
    ),
  /** Process, mount, ipc and host-name namespaces. */
  namespaces: () => probeShell('unshare --pid --mount --ipc --uts --fork true'),
  chroot: () => probeShell('chroot / true'),
  /** debootstrap is there; whether its mirror answers is not asked. */
  debootstrap: () => lackOfCommand('debootstrap'),
  /** System-emulation QEMU; the lab uses software emulation, so KVM is not asked for. */
  qemu: () => lackOfCommand('qemu-system-x86_64'),
  /** The lab's kernels of other suites than its own: in its cache, or on apt's mirror. */
  bullseye: () => probeSuite('bullseye'),
  trixie: () => probeSuite('trixie'),
  sid: () => probeSuite('sid'),
  /** nfs-ganesha with its VFS back end. */
  ganesha: () =>
    lackOfCommand('ganesha.nfsd') ??
    (globSync('/usr/lib/*/ganesha/libfsalvfs.so').length > 0 ? null : 'no libfsalvfs.so') ??
    probeHandles(),
  rpcbind: () => lackOfCommand('rpcbind'),
  libnfs: () => lackOfCommand('nfs-cat') ?? lackOfCommand('nfs-ls'),
  /** tracefs mounted or mountable, with a private instance in it. */
  tracefs: () => probeTracefs(),
  /** perf_event_open(2) of a tracepoint, on one CPU, for all processes. */
  perf: () => probeTracefs() ?? probeShell(`${PYTHON} '${PROBE_SCRIPT}' perf`),
  /** Every mount has a number that no other one ever has. */
  mounts: () => probeShell(`${PYTHON} '${PROBE_SCRIPT}' mounts`),
  /** A limited fanotify queue is small enough to be filled in a test. */
  smallQueue: () => probeQueue(),
  cpio: () => lackOfCommand('cpio'),
  bsdcpio: () => lackOfCommand('bsdcpio'),
  busybox: () => lackOfCommand('busybox'),
  /** strace is there, and may trace. */
  strace: () => lackOfCommand('strace') ?? probeShell('strace -o /dev/null true'),
  python: () => lackOfCommand('python3'),
  /** rpm and rpmbuild: a root that has rpm's database. */
  rpm: () => lackOfCommand('rpm') ?? lackOfCommand('rpmbuild'),
  zsh: () => lackOfCommand('zsh'),
  /** clang with libFuzzer and the sanitizers. */
  fuzzer: () =>
    probeShell(
      'printf \'extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }\' | ' +
        'clang++ -x c++ -fsanitize=fuzzer,address,undefined -o /dev/null -',
    ),
  /** What the build of a kernel asks for, besides a compiler and make. */
  kbuild: () =>
    lackOfCommand('flex') ??
    lackOfCommand('bison') ??
    lackOfCommand('bc') ??
    (existsSync('/usr/include/libelf.h') ? null : 'no libelf.h'),
} as const satisfies Record<string, () => Lack>;

export type Capability = keyof typeof probes;
export const CAPABILITIES = Object.keys(probes) as Capability[];

/** Debian's own: node-gyp needs it too, so it is there wherever the addon was built. */
const PYTHON = '/usr/bin/python3';
const VARIABLE = 'NFSROOT_TRACE_CAPABILITIES';

const known = new Map<string, Lack>(
  Object.entries(JSON.parse(process.env[VARIABLE] ?? '{}') as Record<string, Lack>),
);

/** Why this machine cannot do `capability`; null if it can. */
export function lackOf(capability: Capability): Lack {
  let lack = known.get(capability);
  if (lack === undefined) {
    lack = probes[capability]();
    known.set(capability, lack);
  }
  return lack;
}

/** For a test's `skip` option: false, or why it must be skipped. */
export function lacks(...capabilities: Capability[]): false | string {
  for (const capability of capabilities) {
    const lack = lackOf(capability);
    if (lack !== null) return skipReason(capability, lack);
  }
  return false;
}

/** Within a test: true, or false after it has been marked as skipped. */
export function needs(t: { skip(reason: string): void }, ...capabilities: Capability[]): boolean {
  const reason = lacks(...capabilities);
  if (reason === false) return true;
  t.skip(reason);
  return false;
}

/** Every capability, probed now. */
export function probeAll(): Record<Capability, Lack> {
  return Object.fromEntries(CAPABILITIES.map((name) => [name, lackOf(name)])) as Record<
    Capability,
    Lack
  >;
}

/** The environment in which {@link lackOf} answers without probing again. */
export function environmentOf(lacks: Record<Capability, Lack>): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(lacks) };
}

/** The one text that the runner accepts for a skip. */
export function skipReason(capability: Capability, lack: string): string {
  return `needs ${capability}: ${lack}`;
}

function lackOfCommand(name: string): Lack {
  const found = (process.env['PATH'] ?? '')
    .split(delimiter)
    .concat('/usr/sbin', '/sbin')
    .some((folder) => {
      try {
        accessSync(join(folder, name), constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
  return found ? null : `no ${name}`;
}

function probeShell(script: string): Lack {
  const { status, signal, stderr, error } = spawnSync('sh', ['-c', script], {
    encoding: 'utf8',
    stdio: ['ignore', 'ignore', 'pipe'],
    timeout: PROBE_LIMIT_MS,
  });
  if (status === 0) return null;
  const line = stderr.trim().split('\n').at(-1) ?? '';
  return line || (error?.message ?? `exit ${String(status ?? signal)}`);
}

function probeHandles(): Lack {
  return probeOnLoop(`${PYTHON} '${PROBE_SCRIPT}' handles "$mnt"`);
}

function probeQueue(): Lack {
  const limit = Number(readFileSync('/proc/sys/fs/fanotify/max_queued_events', 'latin1'));
  return limit <= 100_000 ? null : `fs.fanotify.max_queued_events is ${limit}`;
}

function probeSuite(suite: string): Lack {
  const built = globSync(`kernel-${suite}-*/vmlinuz`, { cwd: cacheFolder() });
  if (built.length > 0) return null;
  return probeShell(
    "uri=$(apt-get indextargets --format '$(CODENAME) $(REPO_URI)' | sed -n 's/^bookworm //p' | head -n 1) && " +
      '[ -n "$uri" ] || { echo apt has no source for bookworm >&2; exit 1; }; ' +
      'to=$(mktemp) && trap \'rm -f "$to"\' EXIT && ' +
      '/usr/lib/apt/apt-helper -o Acquire::Retries=0 -o Acquire::http::Timeout=5 ' +
      `download-file "\${uri%/}/dists/${suite}/InRelease" "$to" >&2 || ` +
      `{ echo "$uri does not give ${suite}" >&2; exit 1; }`,
  );
}

function probeTracefs(): Lack {
  return probeShell(
    'cd /sys/kernel/tracing && { test -e instances || mount -t tracefs none .; cd .; } && ' +
      'mkdir instances/nfsroot-trace-probe && rmdir instances/nfsroot-trace-probe',
  );
}

const probeOnLoop = (command: string): Lack => probeFileSystem('ext4', 'mkfs.ext4 -q', 8, command);

/** Runs `command` with a fresh file system mounted at $mnt, in a mount namespace of its own. */
function probeFileSystem(type: string, mkfs: string, sizeMb: number, command = 'true'): Lack {
  const folder = mkdtempSync(join(tmpdir(), 'nfsroot-trace-probe-'));
  try {
    execFileSync('truncate', ['-s', `${sizeMb}M`, join(folder, 'image')]);
    return probeShell(
      `cd '${folder}' && mkdir mnt && mnt=$PWD/mnt && ${mkfs} image && export mnt && ` +
        `unshare --mount sh -c 'mount -t ${type} -o loop image mnt && ${command.replaceAll("'", '"')}'`,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
