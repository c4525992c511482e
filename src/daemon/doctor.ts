/**
 * What this machine can do: one finding a line, each with a hint. Owns the list of checks.
 * Must not change anything.
 */
import { readFileSync, statfsSync } from 'node:fs';
import { release } from 'node:os';
import { probeNfsd, type NfsdProbe } from '../capture/nfsd-probe.ts';
import { TraceError } from '../common/errors.ts';
import type { Tier } from '../common/words.ts';
import { FanotifyGroup } from '../fanotify-ts/index.ts';
import { HandleIndex } from '../fanotify-ts/handle-index.ts';
import { exportedDirectories } from '../recording/exports.ts';

export interface Finding {
  readonly check: string;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly text: string;
  readonly hint: string | null;
}

export interface Diagnosis {
  readonly findings: readonly Finding[];
  /** The best tier that recording would have now; null if nothing can be recorded. */
  readonly tier: Tier | null;
  readonly ok: boolean;
}

const CAP_DAC_READ_SEARCH = 2n;
const CAP_SYS_ADMIN = 21n;
const LEAST_FREE_BYTES = 256 * 1024 * 1024;

/** @param roots directories to check; default: every exported directory */
export function diagnose(options: {
  readonly roots: readonly Buffer[];
  readonly stateDir: string;
}): Diagnosis {
  const probe = probeNfsd();
  const exported = exportedDirectories();
  const roots = options.roots.length > 0 ? options.roots : exported;
  const findings = [
    capabilities(),
    ...nfsd(probe),
    exportsFinding(exported),
    ...roots.flatMap(fileSystem),
    disk(options.stateDir),
  ];
  const failed = findings.some(({ state }) => state === 'fail');
  const tier = failed ? null : (probe.tier ?? 'sole-client');
  return { findings, tier, ok: findings.every(({ state }) => state === 'ok') };
}

function finding(
  check: string,
  state: Finding['state'],
  text: string,
  hint: string | null = null,
): Finding {
  return { check, state, text, hint };
}

function capabilities(): Finding {
  const status = readFileSync('/proc/self/status', 'latin1');
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? '0'}`);
  const missing = [
    ...((effective >> CAP_SYS_ADMIN) & 1n ? [] : ['CAP_SYS_ADMIN']),
    ...((effective >> CAP_DAC_READ_SEARCH) & 1n ? [] : ['CAP_DAC_READ_SEARCH']),
  ];
  return missing.length === 0
    ? finding('capabilities', 'ok', 'CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH are here')
    : finding('capabilities', 'fail', `missing: ${missing.join(', ')}`, 'run it as root');
}

function nfsd(probe: NfsdProbe): Finding[] {
  const kernel = finding('kernel', 'ok', `Linux ${release()}`);
  const tracefs =
    probe.tracefs === null
      ? finding('tracefs', 'warn', 'not mounted', 'mount -t tracefs tracefs /sys/kernel/tracing')
      : finding('tracefs', 'ok', `mounted on ${probe.tracefs}`);
  const perf = probe.perf.ok
    ? finding('perf', 'ok', 'tracepoints can be read')
    : finding(
        'perf',
        'warn',
        `perf_event_open does not work: ${probe.perf.reason ?? 'refused'}`,
        'the kernel needs CONFIG_PERF_EVENTS, and the caller CAP_SYS_ADMIN',
      );
  if (!probe.moduleLoaded)
    return [
      kernel,
      tracefs,
      perf,
      finding(
        'nfsd',
        'warn',
        "the kernel's NFS server is not loaded",
        'modprobe nfsd, or start nfs-server; recording switches over when it appears',
      ),
    ];
  const events = Object.entries(probe.events).map(([name, there]) =>
    finding(
      `event ${name}`,
      there ? 'ok' : 'warn',
      there ? 'there' : 'this kernel does not have it',
      there ? null : 'a kernel from 6.1 on has all that the tier `exact` needs',
    ),
  );
  return [kernel, tracefs, perf, threads(), ...events];
}

function threads(): Finding {
  try {
    const count = Number(readFileSync('/proc/fs/nfsd/threads', 'latin1').trim());
    return count > 0
      ? finding('nfsd', 'ok', `${count} threads`)
      : finding('nfsd', 'warn', 'no thread runs', 'start nfs-server, or run rpc.nfsd 8');
  } catch {
    return finding(
      'nfsd',
      'warn',
      'its file system is not mounted, so its threads are not known',
      'mount -t nfsd nfsd /proc/fs/nfsd',
    );
  }
}

function exportsFinding(exported: readonly Buffer[]): Finding {
  return exported.length > 0
    ? finding('exports', 'ok', exported.map((path) => path.toString()).join(', '))
    : finding('exports', 'warn', 'nothing is exported', 'write /etc/exports and run exportfs -ra');
}

/** Does this directory's file system give handles and file events? */
function fileSystem(path: Buffer): Finding[] {
  const name = path.toString();
  return [
    attempt(`handles ${name}`, 'file handles can be read', () => {
      const index = new HandleIndex({ root: path });
      index.open();
      index.close();
    }),
    attempt(`events ${name}`, 'file events can be watched', () => {
      const group = new FanotifyGroup({ paths: [path] });
      group.start();
      void group.stop();
    }),
  ];
}

function attempt(check: string, good: string, work: () => void): Finding {
  try {
    work();
    return finding(check, 'ok', good);
  } catch (error) {
    if (!(error instanceof TraceError)) throw error;
    return finding(check, 'fail', error.message, error.hint ?? null);
  }
}

function disk(stateDir: string): Finding {
  try {
    const { bavail, bsize } = statfsSync(stateDir);
    const free = bavail * bsize;
    const text = `${Math.round(free / 1e6)} MB free in ${stateDir}`;
    return free >= LEAST_FREE_BYTES
      ? finding('disk', 'ok', text)
      : finding('disk', 'warn', text, 'make room: recording stops writing when the disk is full');
  } catch {
    return finding('disk', 'ok', `${stateDir} will be made at the first start`);
  }
}
