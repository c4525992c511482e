/**
 * The kernel and what this process may ask of it: version, lockdown, capabilities, fanotify's
 * limits, locked memory. Owns these checks.
 */
import { machine, release } from 'node:os';
import { fail, ok, read, warn, word, type Finding } from './finding.ts';

const CAPABILITIES = { CAP_DAC_READ_SEARCH: 2n, CAP_SYS_ADMIN: 21n } as const;
const CAP_IPC_LOCK = 14n;

/** The trace's ring for each processor, and for all together (src/capture/nfsd-source.ts). */
const RING_BYTES = 8 << 20;
const ALL_RINGS_BYTES = 256 << 20;
/** Below this a burst of calls between two reads of the ring is lost. */
const LEAST_RING_BYTES = 256 << 10;
/** A group, and a mark for each file system, beside what other programs have. */
const FEW_GROUPS = 4;
const FEW_MARKS = 64;

export function machineFindings(): Finding[] {
  return [kernel(), capabilities(), fanotify(), memory()];
}

function kernel(): Finding {
  const text = `Linux ${release()}, ${machine()}`;
  const lockdown = /\[(\w+)\]/.exec(word('/sys/kernel/security/lockdown') ?? '')?.[1] ?? 'none';
  return lockdown === 'confidentiality'
    ? warn(
        'kernel',
        `${text}, in lockdown mode confidentiality: its trace is closed to everybody`,
        'boot with lockdown=integrity or without lockdown',
      )
    : ok('kernel', lockdown === 'none' ? text : `${text}, lockdown ${lockdown}`);
}

function effective(): bigint {
  const status = read('/proc/self/status');
  const bits = 'text' in status ? /^CapEff:\s*([0-9a-f]+)/m.exec(status.text)?.[1] : undefined;
  return BigInt(`0x${bits ?? '0'}`);
}

function capabilities(): Finding {
  const mine = effective();
  const missing = Object.entries(CAPABILITIES).flatMap(([name, bit]) =>
    (mine >> bit) & 1n ? [] : [name],
  );
  return missing.length === 0
    ? ok('capabilities', `${Object.keys(CAPABILITIES).join(' and ')} are here`)
    : fail('capabilities', `missing: ${missing.join(', ')}`, 'run it as root');
}

function fanotify(): Finding {
  const [groups, marks, events] = ['max_user_groups', 'max_user_marks', 'max_queued_events'].map(
    (name) => word(`/proc/sys/fs/fanotify/${name}`),
  );
  // The files came with Linux 5.13; before, the same limits were fixed.
  if (groups === null || marks === null || groups === undefined || marks === undefined)
    return ok('fanotify', 'limits: those built into the kernel');
  const text = `${groups} groups and ${marks} marks a user; a queue without limit is asked for, not ${events ?? 'the usual'} events`;
  return Number(groups) < FEW_GROUPS || Number(marks) < FEW_MARKS
    ? warn(
        'fanotify',
        text,
        `sysctl fs.fanotify.max_user_groups=128 fs.fanotify.max_user_marks=8192`,
      )
    : ok('fanotify', text);
}

/** How large a ring the kernel will lock for each processor (perf_mmap() of kernel/events/core.c). */
function memory(): Finding {
  const paranoid = word('/proc/sys/kernel/perf_event_paranoid');
  const free = word('/proc/sys/kernel/perf_event_mlock_kb');
  const limits = read('/proc/self/limits');
  const own = 'text' in limits ? /^Max locked memory\s+(\S+)/m.exec(limits.text)?.[1] : undefined;
  if (paranoid === null || free === null || own === undefined)
    return warn(
      'locked memory',
      'the limits for perf are not there to be read',
      'the kernel needs CONFIG_PERF_EVENTS; in a container, look outside of it',
    );
  const text = `perf_event_paranoid ${paranoid}, perf_event_mlock_kb ${free}, RLIMIT_MEMLOCK ${own}`;
  if ((effective() >> CAP_IPC_LOCK) & 1n || Number(paranoid) < 0)
    return ok('locked memory', `${text}: rings of any size`);
  const processors = Math.max(1, processorsOnline());
  const wanted = Math.min(RING_BYTES, ALL_RINGS_BYTES / processors);
  const share = own === 'unlimited' ? wanted : Number(free) * 1024 + Number(own) / processors;
  const ring = Math.min(wanted, share);
  const said = `${text}: about ${Math.floor(ring / 1024)} KiB of ring for each of ${processors} processors`;
  return ring >= LEAST_RING_BYTES
    ? ok('locked memory', said)
    : warn(
        'locked memory',
        said,
        'give the daemon CAP_IPC_LOCK or LimitMEMLOCK=infinity, or raise kernel.perf_event_mlock_kb',
      );
}

function processorsOnline(): number {
  const list = word('/sys/devices/system/cpu/online') ?? '0';
  return list.split(',').reduce((sum, part) => {
    const [from = 0, to = from] = part.split('-').map(Number);
    return sum + to - from + 1;
  }, 0);
}
