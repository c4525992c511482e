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
  return [tracefs(probe), perf(probe), ...events(probe)];
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

function events({ moduleLoaded, events: found, tracefs: folder }: NfsdProbe): Finding[] {
  if (!moduleLoaded || folder === null) return [];
  return Object.entries(found).map(([name, there]) =>
    there
      ? ok(`event ${name}`, 'there')
      : warn(`event ${name}`, 'this kernel does not have it', hintOf(name)),
  );
}

function hintOf(event: string): string {
  return SINCE.get(event) ?? 'a kernel from 6.1 on has all that the tier `exact` needs';
}

const SINCE: ReadonlyMap<string, string> = new Map([
  [
    'nfsd_vfs_lookup',
    'Linux 6.16 and later have it; without it, names that do not exist are not recorded',
  ],
  ['nfsd_fh_verify', 'Linux 6.0 and later have it, and some older ones by their distribution'],
  ['nfsd_fh_verify_err', 'Linux 6.0 and later have it, and some older ones by their distribution'],
]);

/** Every tier, best first. @param files can file events be watched on any root? */
export function tierReports(probe: NfsdProbe, files: boolean): TierReport[] {
  const best = probe.tier === null ? TIERS.length : TIERS.indexOf(probe.tier);
  const reached = (tier: Tier): boolean => TIERS.indexOf(tier) >= best;
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
    if (reached(tier) && probe.perf.ok)
      return { tier, available: true, why: WAYS[tier], hint: null };
    return { tier, available: false, ...obstacle(probe, tier) };
  });
}

const WAYS: Readonly<Record<Tier, string>> = {
  'exact+names': 'by the tracepoint nfsd_vfs_lookup',
  exact: 'by the tracepoint nfsd_fh_verify',
  reads: 'by the tracepoints of reads and svc_process',
  'sole-client': 'by file events',
};

/** The first thing in the way. */
function obstacle(probe: NfsdProbe, tier: Tier): { readonly why: string; readonly hint: string } {
  if (probe.tracefs === null)
    return { why: probe.perf.reason ?? 'tracefs is not mounted', hint: 'see tracefs' };
  if (!probe.perf.ok) return { why: 'perf_event_open does not work', hint: 'see perf' };
  if (!probe.moduleLoaded)
    return {
      why: "not known before the kernel's NFS server is loaded",
      hint: howToLoad(),
    };
  const lacking = NEEDS[tier].filter((event) => probe.events[event] !== true);
  const [first] = lacking;
  return first === undefined
    ? { why: 'this version does not use what the kernel has', hint: 'see docs/nfsd-trace.md' }
    : { why: `this kernel lacks ${lacking.join(' and ')}`, hint: hintOf(first) };
}

const NEEDS: Readonly<Record<Tier, readonly string[]>> = {
  'exact+names': ['nfsd_fh_verify', 'nfsd_vfs_lookup'],
  exact: ['nfsd_fh_verify'],
  reads: ['svc_process', 'nfsd_read_start'],
  'sole-client': [],
};

/** A tier that is there is told if it is the best; the ones above it always. */
export function tierFindings(reports: readonly TierReport[]): Finding[] {
  const best = reports.findIndex(({ available }) => available);
  return reports
    .slice(0, best < 0 ? reports.length : best + 1)
    .map(({ tier, available, why, hint }) =>
      available ? ok(`tier ${tier}`, why) : warn(`tier ${tier}`, why, hint ?? 'see above'),
    );
}
