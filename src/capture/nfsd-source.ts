/**
 * The kernel NFS server's trace as batches: who (client address) touched what (file-handle hash).
 * Owns the face of the native reader; its thread, rings and counting are in native/nfsd.
 * Must not know handles' names, boot sessions or SQL.
 */
import type { LossCount, NfsBatch } from '../common/batches.ts';
import { TraceError } from '../common/errors.ts';
import { monotonicUs } from '../fanotify-ts/system.ts';
import {
  createProbe,
  hasProbe,
  missedBy,
  ownProbeName,
  PREPARED_PROBE,
  removeLeftovers,
  removeProbe,
} from './fh-probe.ts';
import { joined } from './joined-batches.ts';
import {
  nfsdAddon,
  type NativeNfsdStatus,
  type NativeNfsdTrace,
  type NativePlan,
  type NfsdTier,
} from './nfsd-binding.ts';
import { decodeNfsBatch, partsOfNfsBatch } from './nfsd-decode.ts';
import { probeNfsd, type NfsdProbe } from './nfsd-probe.ts';
import { handlesAreSigned } from './signed-exports.ts';
import { Zones } from './zones.ts';

export interface NfsdSourceOptions {
  /**
   * Wanted size of each CPU's ring, bytes; rounded down to a power of two, stepped down when the
   * kernel will not lock so much memory, at most 256 MiB for all CPUs. Default 8 MiB.
   */
  readonly ringBytes?: number;
  /** Most distinct rows between two drains; what is beyond is loss `trace-table`. Default 65536. */
  readonly tableLimit?: number;
  /** Where tracefs is mounted. Default: found. */
  readonly tracefs?: string;
  /** No better tier than this, whatever the kernel has. Default `exact+names`. */
  readonly bestTier?: NfsdTier;
  /** Checks of handles by a kprobe event also where there is nfsd_fh_verify. Default false. */
  readonly preferKprobe?: boolean;
}

/**
 * - `waiting`: the nfsd module (or its events) is not there yet; it is looked for ten times a second.
 * - `running`: everything since `runningSinceUs` is seen, or counted as loss.
 *
 * `byProbe`: the checks of handles come from a kprobe event. `lost`: records that the kernel dropped. `denied`: checks that failed, taken back from the rows.
 * `joinMismatches`: checks, reads and writes whose client could not be known. `inFlightAtStart`: calls that
 * were under way when the trace began, not counted. `hashes`: checks with a hash;
 * `zeroHashes`: those without, of which a kernel without CRC32 has only these. `problem`: why it still waits although the events are there. Times in microseconds.
 */
export type NfsdStatus = NativeNfsdStatus;

// Debian's kernels (perf_event_paranoid 3) want CAP_SYS_ADMIN; CAP_PERFMON alone was refused on 6.1.
const PERMISSION_HINT =
  'give the daemon CAP_SYS_ADMIN, or run it as root; most containers hide the kernel’s trace';

/** Wants `stop()` to be called; constructing does nothing. */
export class NfsdSource {
  readonly #options: NfsdSourceOptions;
  readonly #zones = new Zones();
  #native: NativeNfsdTrace | null = null;
  #tracefs = '';
  #plan: NativePlan;
  /** The kprobe event that this source has created and will remove. */
  #ownProbe: string | null = null;
  /** What a trace that was replaced by another one had left. */
  #rest: NfsBatch | null = null;
  #replacing: Promise<void> | null = null;
  /** What is left of the batch that was drained last. */
  #parts: Generator<NfsBatch, void> | null = null;
  /** Looks for the module while there is none: only then can the kprobe be created. */
  #waiting: NodeJS.Timeout | undefined;
  #probeTried = false;
  #nextLookUs = 0;
  #missed = 0;
  #missedUs = 0;
  #stopping: Promise<void> | null = null;
  #sequence = 0;
  /** Of the last batch. */
  #untilUs = 0;

  constructor(options: NfsdSourceOptions = {}) {
    this.#options = options;
    this.#plan = {
      best: options.bestTier ?? 'exact+names',
      probe: '',
      preferProbe: options.preferKprobe ?? false,
      noHashes: false,
    };
  }

  /**
   * Opens the trace, or waits for the nfsd module. Throws TraceError `no-tracefs` or `no-perf` when
   * it can never work.
   */
  start(): void {
    if (this.#native !== null) {
      throw new TraceError({
        code: 'already-started',
        message: 'the NFS trace was started before',
        exit: 'bug',
      });
    }
    const probe = probeNfsd(this.#options.tracefs);
    const reason = probe.perf.reason ?? 'unknown';
    if (probe.tracefs === null) {
      throw new TraceError({
        code: 'no-tracefs',
        message: `cannot read the kernel's trace events: ${reason}`,
        hint: reason.includes('not mounted')
          ? 'as root: mount -t tracefs tracefs /sys/kernel/tracing'
          : 'give the daemon CAP_DAC_READ_SEARCH, or run it as root',
        exit: 'permission',
      });
    }
    if (!probe.perf.ok) {
      throw new TraceError({
        code: 'no-perf',
        message: `cannot open the kernel's trace events: ${reason}`,
        hint: PERMISSION_HINT,
        exit: 'permission',
      });
    }
    this.#tracefs = probe.tracefs;
    removeLeftovers(this.#tracefs);
    if (handlesAreSigned()) this.#plan = { ...this.#plan, preferProbe: true };
    if (wantsProbe(probe, this.#plan)) this.#plan = { ...this.#plan, probe: this.#probe() };
    try {
      this.#native = this.#open();
    } catch (error) {
      this.#removeOwnProbe();
      throw error;
    }
    this.#waiting = setInterval(() => this.#settle(), WAITING_MS).unref();
  }

  /**
   * What was counted since the last drain; `more` if the next one has the rest of it. Empty before
   * start.
   */
  drain(): NfsBatch {
    const part = this.#parts?.next().value ?? null;
    if (part !== null) return this.#numbered(part);
    // What came before goes first.
    if (this.#native === null || this.#replacing !== null)
      return { ...EMPTY, untilUs: this.#untilUs };
    const rest = this.#rest;
    this.#rest = null;
    const encoded = this.#native.drain();
    const batch = rest === null ? this.#firstPart(encoded) : joined(rest, this.#decode(encoded));
    this.#untilUs = batch.untilUs;
    this.#settle();
    const missed = this.#missedCalls(batch.untilUs);
    const losses = missed.length === 0 ? batch.losses : [...batch.losses, ...missed];
    return this.#numbered({ ...batch, losses });
  }

  #firstPart(encoded: Buffer): NfsBatch {
    const named = (client: string): string => this.#zones.named(client);
    this.#parts = partsOfNfsBatch(encoded, named, PART_ROWS);
    return this.#parts.next().value ?? EMPTY;
  }

  #numbered(batch: NfsBatch): NfsBatch {
    this.#sequence += 1;
    return { ...batch, sequence: this.#sequence };
  }

  #decode(encoded: Buffer): NfsBatch {
    return decodeNfsBatch(encoded, (client) => this.#zones.named(client));
  }

  /** Resolves when all that the kernel traced before the call is in the next {@link drain}. */
  async sync(): Promise<void> {
    await this.#replacing;
    await this.#native?.sync();
  }

  /** Ends the trace after its last record; all of the rest. A second call gives an empty batch. */
  async stop(): Promise<NfsBatch> {
    clearInterval(this.#waiting);
    await this.#replacing;
    this.#stopping ??= this.#native?.stop() ?? Promise.resolve();
    await this.#stopping;
    // An event that is read cannot be removed.
    this.#removeOwnProbe();
    let rest = this.drain();
    while (rest.more === true) rest = joined(rest, this.drain());
    return rest;
  }

  status(): NfsdStatus {
    return (
      this.#native?.status() ?? {
        state: 'stopped',
        tier: null,
        byProbe: false,
        runningSinceUs: null,
        ringBytesPerCpu: 0,
        cpus: 0,
        filtersRefused: 0,
        events: 0,
        lost: 0,
        denied: 0,
        joinMismatches: 0,
        inFlightAtStart: 0,
        hashes: 0,
        zeroHashes: 0,
        threadCpuUs: 0,
        problem: null,
      }
    );
  }

  #open(): NativeNfsdTrace {
    const native = new nfsdAddon.NfsdTrace({
      tracefs: this.#tracefs,
      ringBytes: this.#options.ringBytes ?? 8 << 20,
      tableLimit: this.#options.tableLimit ?? 65536,
      plan: this.#plan,
    });
    try {
      native.start();
    } catch (cause) {
      throw new TraceError({
        code: 'no-perf',
        message: `cannot open the NFS server's trace events: ${cause instanceof Error ? cause.message : String(cause)}`,
        hint: PERMISSION_HINT,
        exit: 'permission',
        cause,
      });
    }
    return native;
  }

  /** The name of the kprobe event to read; '' if there is none and none can be made. */
  #probe(): string {
    if (hasProbe(this.#tracefs, PREPARED_PROBE)) return PREPARED_PROBE;
    const name = ownProbeName();
    try {
      createProbe(this.#tracefs, name);
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      return '';
    }
    this.#ownProbe = name;
    return name;
  }

  #removeOwnProbe(): void {
    if (this.#ownProbe !== null) removeProbe(this.#tracefs, this.#ownProbe);
    this.#ownProbe = null;
  }

  /** Now that the server runs: is the kprobe needed, and not read yet? */
  #settle(): void {
    const status = this.status();
    if (status.state !== 'running') return;
    clearInterval(this.#waiting);
    if (status.byProbe || this.#replacing !== null) return;
    const { best, preferProbe } = this.#plan;
    if (best === 'reads' || this.#probeTried) return;
    if (givesNoHashes(status)) this.#replace({ noHashes: true });
    else if (preferProbe || status.tier === 'reads') this.#replace({});
    else if (this.#isDue() && handlesAreSigned()) this.#replace({ preferProbe: true });
  }

  /**
   * Reads the kprobe from here on: a kernel without CRC32 says 0 for every handle, and nobody can
   * compute the hash of a signed one. What was traced before is counted as lost by attribution.
   * The new trace is opened before the old one ends: calls in between may be counted twice, none is
   * missed.
   */
  #replace(change: Partial<NativePlan>): void {
    const old = this.#native;
    this.#probeTried = true;
    const probe = this.#plan.probe || this.#probe();
    // Without one there is nothing better than what is read.
    if (old === null || probe === '') return;
    const before = this.#plan;
    this.#plan = { ...before, ...change, probe };
    try {
      this.#native = this.#open();
    } catch (error) {
      // The old one goes on.
      if (!(error instanceof TraceError)) throw error;
      this.#plan = before;
      this.#removeOwnProbe();
      return;
    }
    this.#replacing = old.stop().then(() => {
      this.#rest = this.#decode(old.drain());
      this.#replacing = null;
    });
  }

  /** Calls that the kernel could not probe, since the last look. */
  #missedCalls(untilUs: number): LossCount[] {
    if (!this.#native?.status().byProbe || !this.#isDue()) return [];
    const missed = missedBy(this.#tracefs, this.#plan.probe);
    const count = missed - this.#missed;
    const fromUs = this.#missedUs;
    [this.#missed, this.#missedUs] = [missed, untilUs];
    return count > 0 ? [{ where: 'trace-probe', count, fromUs, toUs: untilUs }] : [];
  }

  /** True once in a while, for what costs a file's reading. */
  #isDue(): boolean {
    const now = monotonicUs();
    if (now < this.#nextLookUs) return false;
    this.#nextLookUs = now + LOOK_GAP_US;
    return true;
  }
}

/** The rows of a part: see docs/performance.md for what more of them cost. */
const PART_ROWS = 4096;
const LOOK_GAP_US = 5_000_000;
const WAITING_MS = 100;
const EMPTY: NfsBatch = { rows: [], markers: [], losses: [], lookups: [], untilUs: 0 };

/** So many checks without one hash among them are no accident, nor one client's odd handles. */
const ENOUGH_ZEROS = 100;

/** Is this a kernel that computes no hashes? A handle may have the hash 0, an empty one has. */
export function givesNoHashes(status: Pick<NfsdStatus, 'hashes' | 'zeroHashes'>): boolean {
  return status.hashes === 0 && status.zeroHashes >= ENOUGH_ZEROS;
}

/** Must a kprobe event be there before the trace is opened? Without the module there can be none. */
function wantsProbe({ moduleLoaded, events }: NfsdProbe, plan: NativePlan): boolean {
  if (plan.best === 'reads' || !moduleLoaded) return false;
  return plan.preferProbe || events['nfsd_fh_verify'] !== true;
}
