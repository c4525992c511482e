/**
 * The two sources of a recorder as one: what was touched (fanotify) and by whom (the NFS server's
 * trace). Owns their start, their draining and the tier that they give together.
 * Must not know roots, sessions or the store.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { BatchTap } from '../capture/batch-tap.ts';
import { FanotifySource } from '../capture/fanotify-source.ts';
import { NfsdSource } from '../capture/nfsd-source.ts';
import type { FileBatch, NfsBatch } from '../common/batches.ts';
import { TraceError } from '../common/errors.ts';
import type { Tier } from '../common/words.ts';

export interface SensorsOptions {
  readonly serverNames: readonly string[];
  readonly traceRingBytes?: number | undefined;
  /** No better tier than this; `sole-client`: the kernel's NFS server is not traced. */
  readonly bestTier?: Tier;
  /** See NfsdSourceOptions. */
  readonly preferKprobe?: boolean;
  /** Gets a copy of everything that is drained. */
  readonly tap?: BatchTap | undefined;
  /** The kernel's bounded queue for file events. */
  readonly limitedFileQueue?: boolean | undefined;
}

const SYNC_MS = 10_000;

export interface SensorsStatus {
  readonly tier: Tier;
  /** Why the kernel's NFS server can't be traced; null if it can. */
  readonly untraced: TraceError | null;
  readonly nfsd: ReturnType<NfsdSource['status']>;
  readonly fanotify: ReturnType<FanotifySource['status']>;
}

/** What the recorder needs of sensors: the real ones, or recorded batches. */
export type SensorSet = Pick<
  Sensors,
  | 'start'
  | 'stop'
  | 'watch'
  | 'unwatch'
  | 'sync'
  | 'syncFiles'
  | 'drainFiles'
  | 'drainTrace'
  | 'traced'
  | 'tier'
  | 'status'
>;

export class Sensors {
  readonly #files: FanotifySource;
  readonly #nfsd: NfsdSource;
  readonly #tap: BatchTap | undefined;
  readonly #traces: boolean;
  #untraced: TraceError | null = null;

  constructor({
    serverNames,
    traceRingBytes,
    bestTier,
    preferKprobe,
    limitedFileQueue,
    tap,
  }: SensorsOptions) {
    this.#tap = tap;
    this.#files = new FanotifySource({ serverNames, limitedQueue: limitedFileQueue });
    this.#traces = bestTier !== 'sole-client';
    this.#nfsd = new NfsdSource({
      ...(traceRingBytes === undefined ? {} : { ringBytes: traceRingBytes }),
      ...(bestTier === undefined || bestTier === 'sole-client' ? {} : { bestTier }),
      ...(preferKprobe === undefined ? {} : { preferKprobe }),
    });
  }

  /** Without the server's trace recording goes on at the tier `sole-client`; see `untraced`. */
  start(): void {
    this.#files.start();
    if (!this.#traces) return;
    try {
      this.#nfsd.start();
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      this.#untraced = error;
    }
  }

  async stop(withinMs = SYNC_MS): Promise<void> {
    await this.#nfsd.stop();
    await this.#files.stop(withinMs);
  }

  /** The `fsid` of the events that come from there. */
  watch(path: Buffer): Buffer {
    return this.#files.watch(path);
  }

  unwatch(path: Buffer): void {
    this.#files.unwatch(path);
  }

  /**
   * Resolves when everything that happened before the call is in the next drains; that also proves
   * that both reader threads work. Rejects after `withinMs`.
   */
  async sync(withinMs = SYNC_MS): Promise<void> {
    const late = new AbortController();
    const trace = this.#nfsd.sync();
    try {
      await Promise.all([
        this.#files.sync(withinMs),
        Promise.race([trace, tooLate(withinMs, late.signal)]),
      ]);
    } finally {
      late.abort();
    }
  }

  /** The same for the file side alone. */
  syncFiles(): Promise<void> {
    return this.#files.sync();
  }

  drainFiles(): FileBatch {
    const batch = this.#files.drain();
    this.#tap?.files(batch);
    return batch;
  }

  drainTrace(): NfsBatch {
    const batch = this.#nfsd.drain();
    this.#tap?.trace(batch);
    return batch;
  }

  /** Is the kernel server's trace the record of its clients, now or as soon as it runs? */
  get traced(): boolean {
    const { state, problem } = this.#nfsd.status();
    return state === 'running' || (state === 'waiting' && problem === null);
  }

  get tier(): Tier {
    return this.#nfsd.status().tier ?? 'sole-client';
  }

  status(): SensorsStatus {
    return {
      tier: this.tier,
      untraced: this.#untraced,
      nfsd: this.#nfsd.status(),
      fanotify: this.#files.status(),
    };
  }
}

async function tooLate(withinMs: number, signal: AbortSignal): Promise<never> {
  await delay(withinMs, undefined, { signal });
  throw new TraceError({
    code: 'trace-sync-timeout',
    message: `the NFS server's trace could not be brought up to date within ${withinMs} ms`,
    hint: 'the machine is overloaded; try again',
    exit: 'busy',
  });
}
