/**
 * The NFS server's trace: tracefs, perf, each tracepoint, and which tiers they make. Owns the
 * reasons why a better tier is not to be had.
 */
import type { NfsdProbe } from '../../capture/nfsd-probe.ts';
import { TIERS, type Tier } from '../../common/words.ts';
import { ok, unseen, warn, type Finding } from './finding.ts';
import { howToLoad } from './server.ts';

export interface TierReport {
  readonly tier: Tier;
  readonly available: boolean;
  /** What gives it, or what is missing. */
  readonly why: string;
  /** Null if it is available. */
  readonly hint: string | null;
}

export function traceFindings(probe: NfsdProbe): Finding[] {
  return [tracefs(probe), perf(probe), ...events(probe), ...kprobe(probe)];
}

function tracefs({ tracefs: folder, perf: { reason = '' } }: NfsdProbe): Finding {
  if (folder !== null) return ok('tracefs', `mounted on ${folder}`);
  return reason.includes('cannot be read')
    ? unseen('tracefs', reason.replace(' cannot be read', ''))
    : warn('tracefs', 'not mounted', 'mount -t tracefs tracefs /sys/kernel/tracing');
}

function perf({ perf: found, tracefs: folder }: NfsdProbe): Finding {
  if (found.ok) return ok('perf', 'tracepoints can be opened for the whole machine');
  return folder === null
    ? warn('perf', 'cannot be tried without tracefs', 'see tracefs')
    : warn(
        'perf',
        `perf_event_open does not work: ${found.reason ?? 'refused'}`,
        'the kernel needs CONFIG_PERF_EVENTS, and the caller CAP_SYS_ADMIN',
      );
}

/** One of each line does; the first is the better one. */
const INSTEAD: Readonly<Record<string, string>> = {
  nfsd_read_io_done: 'nfsd_read_start',
  nfsd_read_start: 'nfsd_read_io_done',
  nfsd_write_io_done: 'nfsd_write_start',
  nfsd_write_start: 'nfsd_write_io_done',
};
const BY_KPROBE = new Set(['nfsd_fh_verify', 'nfsd_fh_verify_err']);

function events({ moduleLoaded, events: found, tracefs: folder, checks }: NfsdProbe): Finding[] {
  if (!moduleLoaded || folder === null) return [];
  return Object.entries(found).map(([name, there]) => {
    const check = `event ${name}`;
    if (there) return ok(check, 'there');
    const other = INSTEAD[name];
    if (other !== undefined && found[other] === true)
      return ok(check, `not in this kernel; ${other} does as well`);
    if (BY_KPROBE.has(name) && checks === 'kprobe')
      return ok(check, 'not in this kernel; a kprobe event does as well');
    return warn(check, 'not in this kernel', hintOf(name));
  });
}

function hintOf(event: string): string {
  return SINCE.get(event) ?? 'Linux 5.10 and later have it: is this NFS server another one?';
}

const SINCE: ReadonlyMap<string, string> = new Map([
  [
    'nfsd_vfs_lookup',
    'Linux 6.16 and later have it; without it, names that do not exist are not recorded',
  ],
  ['nfsd_fh_verify', 'Linux 6.0 and later have it; else a kprobe event does as well'],
  ['nfsd_fh_verify_err', 'Linux 6.0 and later have it; without it, refused calls count as used'],
]);

/** What can stand in for nfsd_fh_verify. */
function kprobe({ tracefs: folder, kprobe: found, checks }: NfsdProbe): Finding[] {
  if (folder === null) return [];
  if (found.ok)
    return [
      ok('kprobe', `an event on fh_verify ${checks === 'kprobe' ? 'is used' : 'could be had'}`),
    ];
  const why = found.reason ?? 'refused';
  return [
    checks === 'tracepoint'
      ? ok('kprobe', `not to be had (${why}), and not needed`)
      : warn('kprobe', `no event on fh_verify can be created: ${why}`, howToProbe(why)),
  ];
}

function howToProbe(why: string): string {
  return /CONFIG_KPROBE/.test(why)
    ? 'a kernel with CONFIG_KPROBE_EVENTS'
    : 'as root: trace prepare';
}

/** Every tier, best first. @param files can file events be watched on any root? */
export function tierReports(probe: NfsdProbe, files: boolean): TierReport[] {
  return TIERS.map((tier): TierReport => {
    if (tier === 'sole-client')
      return files
        ? { tier, available: true, why: 'by file events (fanotify)', hint: null }
        : {
            tier,
            available: false,
            why: 'no file events can be watched',
            hint: 'see capabilities and the roots',
          };
    const reached = probe.tier !== null && TIERS.indexOf(tier) >= TIERS.indexOf(probe.tier);
    return reached && probe.perf.ok
      ? { tier, available: true, why: wayTo(tier, probe), hint: null }
      : { tier, available: false, ...obstacle(tier, probe) };
  });
}

function wayTo(tier: Tier, { checks }: NfsdProbe): string {
  const handles =
    checks === 'kprobe' ? 'a kprobe event on fh_verify' : 'the tracepoint nfsd_fh_verify';
  if (tier === 'exact+names') return `by ${handles} and nfsd_vfs_lookup`;
  return tier === 'exact' ? `by ${handles}` : 'by the tracepoints of reads and svc_process';
}

/** The first thing in the way. */
function obstacle(tier: Tier, probe: NfsdProbe): { readonly why: string; readonly hint: string } {
  if (probe.tracefs === null)
    return { why: probe.perf.reason ?? 'tracefs is not mounted', hint: 'see tracefs' };
  if (!probe.perf.ok) return { why: 'perf_event_open does not work', hint: 'see perf' };
  if (!probe.moduleLoaded)
    return { why: "not known before the kernel's NFS server is loaded", hint: howToLoad() };
  const lacks = probe.better.find((better) => better.tier === tier)?.lacks;
  return {
    why: lacks === undefined ? 'this kernel shows nothing of its NFS server' : `it lacks ${lacks}`,
    hint:
      tier === 'exact' && !probe.kprobe.ok
        ? `${howToProbe(probe.kprobe.reason ?? '')}, or a newer kernel`
        : 'a newer kernel',
  };
}

/** The tiers above the best that is there, each with what keeps it away, and that one. */
export function tierFindings(reports: readonly TierReport[]): Finding[] {
  const best = reports.findIndex(({ available }) => available);
  return reports
    .slice(0, best < 0 ? reports.length : best + 1)
    .map(({ tier, available, why, hint }) =>
      available ? ok(`tier ${tier}`, why) : warn(`tier ${tier}`, why, hint ?? 'see above'),
    );
}
