/**
 * The kernel NFS server's trace as batches: who (client address) touched what (file-handle hash).
 * Owns the face of the native reader; its thread, rings and counting are in native/nfsd.
 * Must not know handles' names, boot sessions or SQL.
 */
import type { NfsBatch } from '../common/batches.ts';
import { TraceError } from '../common/errors.ts';
import { nfsdAddon, type NativeNfsdStatus, type NativeNfsdTrace } from './nfsd-binding.ts';
import { decodeNfsBatch } from './nfsd-decode.ts';
import { probeNfsd } from './nfsd-probe.ts';

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
}

/**
 * - `waiting`: the nfsd module (or its events) is not there yet; it is looked for ten times a second.
 * - `running`: everything since `runningSinceUs` is seen, or counted as loss.
 *
 * `lost`: records that the kernel dropped. `denied`: checks that failed, taken back from the rows.
 * `joinMismatches`: checks, reads and writes whose client could not be known. `inFlightAtStart`: calls that
 * were under way when the trace began, not counted. `zeroHashes`: a kernel built without CRC32 has
 * only these. `problem`: why it still waits although the events are there. Times in microseconds.
 */
export type NfsdStatus = NativeNfsdStatus;

// Debian's kernels (perf_event_paranoid 3) want CAP_SYS_ADMIN; CAP_PERFMON alone was refused on 6.1.
const PERMISSION_HINT =
  'give the daemon CAP_SYS_ADMIN, or run it as root; most containers hide the kernel’s trace';

/** Wants `stop()` to be called; constructing does nothing. */
export class NfsdSource {
  readonly #options: NfsdSourceOptions;
  #native: NativeNfsdTrace | null = null;
  #stopping: Promise<void> | null = null;

  constructor(options: NfsdSourceOptions = {}) {
    this.#options = options;
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
    const native = new nfsdAddon.NfsdTrace({
      tracefs: probe.tracefs,
      ringBytes: this.#options.ringBytes ?? 8 << 20,
      tableLimit: this.#options.tableLimit ?? 65536,
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
    this.#native = native;
  }

  /** What was counted since the last drain. Empty before start. */
  drain(): NfsBatch {
    if (this.#native === null) return { rows: [], markers: [], losses: [], untilUs: 0 };
    return decodeNfsBatch(this.#native.drain());
  }

  /** Resolves when all that the kernel traced before the call is in the next {@link drain}. */
  async sync(): Promise<void> {
    await this.#native?.sync();
  }

  /** Ends the trace after its last record; the rest. A second call gives an empty batch. */
  async stop(): Promise<NfsBatch> {
    this.#stopping ??= this.#native?.stop() ?? Promise.resolve();
    await this.#stopping;
    return this.drain();
  }

  status(): NfsdStatus {
    return (
      this.#native?.status() ?? {
        state: 'stopped',
        tier: null,
        runningSinceUs: null,
        ringBytesPerCpu: 0,
        cpus: 0,
        filtersRefused: 0,
        events: 0,
        lost: 0,
        denied: 0,
        joinMismatches: 0,
        inFlightAtStart: 0,
        zeroHashes: 0,
        threadCpuUs: 0,
        problem: null,
      }
    );
  }
}
