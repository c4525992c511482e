/**
 * What this machine's kernel can show of its NFS server. Owns finding tracefs and trying perf;
 * which events make which tier is decided in native/nfsd/event_plan.cc.
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import type { Tier } from '../common/words.ts';
import { hasProbe, PREPARED_PROBE, whyNoProbe } from './fh-probe.ts';
import { nfsdAddon } from './nfsd-binding.ts';
import { handlesAreSigned } from './signed-exports.ts';

export interface NfsdProbe {
  /** Where tracefs is mounted; null when it is not, or not readable. */
  readonly tracefs: string | null;
  /** Whether tracepoints may be opened for the whole machine. */
  readonly perf: { readonly ok: boolean; readonly reason?: string };
  /** Every tracepoint of interest by name, and whether this kernel has it now. */
  readonly events: Readonly<Record<string, boolean>>;
  readonly moduleLoaded: boolean;
  /** What can be had of the events that are there; null while the nfsd module is not loaded. */
  readonly tier: Tier | null;
  /** What tells the checks of file handles; null if nothing does, or the module is not loaded. */
  readonly checks: 'tracepoint' | 'kprobe' | null;
  /** Whether a kprobe event on fh_verify is there (`trace prepare`) or could be created. */
  readonly kprobe: { readonly ok: boolean; readonly reason?: string };
  /** Exports have signed handles (`sign_fh`): without the kprobe nothing on them is known. */
  readonly signedHandles: boolean;
  /** The better tiers, nearest first, and what keeps this machine from each; empty with `tier` null. */
  readonly better: readonly { readonly tier: Tier; readonly lacks: string }[];
}

/**
 * stat(2), not access(2) as existsSync does: access asks for the real user and drops a non-root
 * process's capabilities, so with CAP_DAC_READ_SEARCH alone it denies what open(2) allows.
 */
function exists(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false }) !== undefined;
  } catch {
    return false;
  }
}

function mountedTracefs(): string[] {
  try {
    return readFileSync('/proc/self/mounts', 'utf8')
      .split('\n')
      .map((line) => line.split(' '))
      .filter((fields) => fields[2] === 'tracefs' && fields[1] !== undefined)
      .map((fields) => (fields[1] ?? '').replaceAll('\\040', ' '));
  } catch {
    return [];
  }
}

/** The mounted tracefs whose events can be read; debugfs brings one along. */
export function findTracefs(): string | null {
  const candidates = ['/sys/kernel/tracing', ...mountedTracefs(), '/sys/kernel/debug/tracing'];
  return candidates.find((folder) => exists(`${folder}/events/header_event`)) ?? null;
}

/** Any tracepoint that every kernel has and that is quiet enough to be opened for a moment. */
function anyTracepoint(tracefs: string): number | null {
  const wanted = ['sunrpc/svc_process', 'sched/sched_process_exit', 'module/module_load'];
  const systems = readdirSync(`${tracefs}/events`, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .slice(0, 3)
    .flatMap(({ name }) =>
      readdirSync(`${tracefs}/events/${name}`).map((event) => `${name}/${event}`),
    );
  for (const event of [...wanted, ...systems]) {
    try {
      return Number(readFileSync(`${tracefs}/events/${event}/id`, 'latin1'));
    } catch {
      continue;
    }
  }
  return null;
}

/** Opens one tracepoint on every CPU and closes it again. */
function tryPerf(tracefs: string): NfsdProbe['perf'] {
  try {
    const id = anyTracepoint(tracefs);
    if (id === null) return { ok: false, reason: `no tracepoint is readable in ${tracefs}/events` };
    const reader = new nfsdAddon.TracepointReader([{ id }], 4096, true);
    reader.start();
    reader.close();
    return { ok: true };
  } catch (error) {
    return { ok: false, reason: error instanceof Error ? error.message : String(error) };
  }
}

/** Looks, changes nothing. `tracefs`: use this mount instead of the one that is found. */
export function probeNfsd(tracefs?: string): NfsdProbe {
  const folder = tracefs ?? findTracefs();
  if (folder === null || !exists(`${folder}/events`)) {
    // Its root folder has mode 0700.
    const hidden = mountedTracefs()[0];
    const reason =
      folder === null && hidden !== undefined
        ? `${hidden} cannot be read`
        : `tracefs is not mounted${folder === null ? '' : ` on ${folder}`}`;
    return {
      tracefs: null,
      perf: { ok: false, reason },
      events: {},
      moduleLoaded: exists('/sys/module/nfsd'),
      tier: null,
      checks: null,
      kprobe: { ok: false, reason },
      signedHandles: handlesAreSigned(),
      better: [],
    };
  }
  const prepared = hasProbe(folder, PREPARED_PROBE);
  const found = nfsdAddon.probeNfsdEvents(folder, {
    best: 'exact+names',
    probe: prepared ? PREPARED_PROBE : '',
    preferProbe: false,
    noHashes: false,
  });
  const refusal = prepared ? null : whyNoProbe(folder);
  const kprobe = refusal === null ? { ok: true } : { ok: false, reason: refusal };
  // The daemon creates the kprobe event that is not there yet.
  const made = found.tier === 'reads' && kprobe.ok;
  const tier = !made ? found.tier : found.events['nfsd_vfs_lookup'] ? 'exact+names' : 'exact';
  const signedHandles = handlesAreSigned();
  const exact = tier === 'exact' || tier === 'exact+names';
  return {
    tracefs: folder,
    perf: tryPerf(folder),
    events: found.events,
    moduleLoaded: exists(`${folder}/events/nfsd`) && found.live,
    tier,
    checks: !exact
      ? null
      : made || found.byProbe || (signedHandles && kprobe.ok)
        ? 'kprobe'
        : 'tracepoint',
    kprobe,
    signedHandles,
    better: tier === null ? [] : betterThan(tier, kprobe.reason),
  };
}

function betterThan(tier: Tier, whyNoKprobe: string | undefined): NfsdProbe['better'] {
  const names = {
    tier: 'exact+names',
    lacks: 'the tracepoint nfsd_vfs_lookup (mainline 6.16)',
  } as const;
  const exact = {
    tier: 'exact',
    lacks:
      'the tracepoint nfsd_fh_verify (mainline 6.0) or a kprobe event on fh_verify' +
      (whyNoKprobe === undefined ? '' : `: ${whyNoKprobe}`),
  } as const;
  if (tier === 'exact+names') return [];
  return tier === 'exact' ? [names] : [exact, names];
}
