/**
 * A fanotify group: which file systems are watched, and what was seen since the last drain.
 * Owns the native group and its life (new, running, stopped). Must not know NFS sessions.
 */
import type { FileBatch, LossCount, PidClass } from '../common/batches.ts';
import { TraceError } from '../common/errors.ts';
import { addon } from './binding.ts';
import { decodeRows, PID_CLASSES } from './decode-rows.ts';
import { fanotifyError } from './fanotify-errors.ts';
import { monotonicUs } from './system.ts';

export interface FanotifyOptions {
  /** Directories; the whole file system of each is watched. May be empty, see `watch`. */
  readonly paths: readonly Buffer[];
  /**
   * Program names (`comm`, the first 15 bytes count) of class `server`.
   * Default: `ganesha.nfsd`, `unfsd`.
   */
  readonly serverNames?: readonly string[];
  /**
   * Classes whose reads, opens and changes are kept. Default: all but `self`. Changes of names
   * (create, delete, move) are kept from every class but `self`, and from it if it is listed.
   */
  readonly keep?: readonly PidClass[];
  /** Most distinct records held between two drains; what is over is a loss. Default 262144. */
  readonly tableLimit?: number;
  /**
   * The kernel's bounded queue (fs.fanotify.max_queued_events): what it drops is a loss. Default:
   * one without a bound, in which a reader that stands still lets the kernel's memory fill.
   */
  readonly queueLimited?: boolean;
}

/** Running totals since `start`. */
export interface FanotifyStats {
  /** Events the kernel gave us, those of `sync` left out. The kernel merges equal unread ones. */
  readonly eventsRead: number;
  readonly bytesRead: number;
  /** read(2) calls that returned events. */
  readonly reads: number;
  /** Times the kernel's queue overflowed (loss `fanotify-queue`). */
  readonly overflows: number;
  /** Events dropped because the table was full (loss `fanotify-table`). */
  readonly tableDrops: number;
  /** Events dropped because of their class; not a loss. */
  readonly filtered: number;
  /** Events that could not be understood (loss `fanotify-malformed`). */
  readonly malformed: number;
  /** Failed reads (loss `fanotify-read`). */
  readonly readErrors: number;
  /** Records handed out, or waiting to be: each (file, parent, name, class, mask) once a drain. */
  readonly distinct: number;
  /** CPU time of the reader thread, microseconds. */
  readonly threadCpuUs: number;
}

/** The class as the addon exports it: native/fanotify/fanotify_binding.cc. */
interface NativeGroup {
  start(paths: readonly Buffer[], onProven: (ticket: number) => void): void;
  watch(path: Buffer): Buffer;
  unwatch(path: Buffer): void;
  trace(pid: number): void;
  untrace(pid: number): void;
  hold(on: boolean): void;
  feed(bytes: Buffer): void;
  drain(): NativeBatch;
  sync(): number;
  stop(): Promise<void>;
  stats(): FanotifyStats;
}

interface NativeBatch {
  readonly rows: Buffer;
  readonly size: number;
  readonly losses: readonly (readonly [string, number, number, number])[];
  readonly untilUs: number;
}

type NativeGroupClass = new (options: {
  serverNames: readonly string[];
  keep: number;
  tableLimit: number;
  queueLimited: boolean;
}) => NativeGroup;

const NativeGroup = addon['FanotifyGroup'] as NativeGroupClass;

const DEFAULT_SERVERS = ['ganesha.nfsd', 'unfsd'];
const DEFAULT_KEEP: readonly PidClass[] = ['nfsd', 'server', 'traced', 'other'];
const DEFAULT_TABLE_LIMIT = 262_144;
const DEFAULT_SYNC_TIMEOUT_MS = 10_000;

/** A sync that waits for its ticket to be proven. */
interface Waiter {
  readonly ticket: number;
  readonly settle: (error?: TraceError) => void;
}

/**
 * Records file events of whole file systems (fanotify(7), FAN_REPORT_FID | FAN_REPORT_DFID_NAME,
 * FAN_MARK_FILESYSTEM): read on a thread of its own, de-duplicated and counted there by (object
 * handle, parent handle, name, pid class, mask).
 *
 * Needs Linux 5.9, CAP_SYS_ADMIN (unlimited queue, whole file systems) and the right to open the
 * watched directories. Classes are read from /proc: a mount of it that hides processes
 * (`hidepid`, systemd's ProtectProc) turns `nfsd` and `server` into `other`.
 *
 * What the kernel does not show: a symlink being read, a stat, a lookup; the time of an event;
 * how often an event came before it was read (equal unread events of a process are merged, so
 * `count` is a lower bound). Before 5.17, records of creations, deletions and moves have
 * `object: null`.
 */
export class FanotifyGroup {
  readonly #options: FanotifyOptions;
  readonly #native: NativeGroup;
  #state: 'new' | 'running' | 'stopped' = 'new';
  #stopped: Promise<FileBatch> | undefined;
  readonly #waiters = new Set<Waiter>();

  /** Does nothing but check the options. Throws a TraceError (`bad-option`). */
  constructor(options: FanotifyOptions) {
    const tableLimit = options.tableLimit ?? DEFAULT_TABLE_LIMIT;
    // The table's offsets are 32-bit counts of 8 bytes, a record is under 1 KiB.
    if (!Number.isInteger(tableLimit) || tableLimit < 1 || tableLimit > 16_777_216)
      throw badOption('tableLimit must be a whole number from 1 to 16777216', tableLimit);
    const keep = options.keep ?? DEFAULT_KEEP;
    for (const pidClass of keep)
      if (!PID_CLASSES.includes(pidClass))
        throw badOption(`keep must list classes of ${PID_CLASSES.join(', ')}`, pidClass);
    for (const path of options.paths) checkPath(path);
    this.#options = options;
    this.#native = new NativeGroup({
      serverNames: options.serverNames ?? DEFAULT_SERVERS,
      keep: keep.reduce((bits, pidClass) => bits | (1 << PID_CLASSES.indexOf(pidClass)), 0),
      tableLimit,
      queueLimited: options.queueLimited ?? false,
    });
  }

  /**
   * Marks the file systems and starts reading; when it returns, recording runs. If it throws,
   * nothing does, and it may be called again.
   *
   * Throws a TraceError: `fanotify-permission`, `fanotify-unsupported` (kernel),
   * `fanotify-unsupported-fs` (fsid of zero, no file handles), `fanotify-limit`,
   * `not-found`, `not-a-directory`, `fanotify-failed`; `fanotify-started` if it ran before.
   */
  start(): void {
    if (this.#state !== 'new') throw misuse('fanotify-started', 'was started before');
    const onProven = FanotifyGroup.#provenCallback(new WeakRef(this));
    translate(() => this.#native.start(this.#options.paths, onProven));
    this.#state = 'running';
  }

  /**
   * Watches one more path's file system, while running. Two paths on one file system share a
   * mark. Throws like `start`.
   * @returns the `fsid` that its events carry. Of a btrfs subvolume it is the top level's.
   */
  watch(path: Buffer): Buffer {
    this.#mustRun();
    checkPath(path);
    return translate(() => this.#native.watch(path));
  }

  /**
   * Undoes one `watch`, or one of the options' `paths`; the last one of a file system ends its
   * recording. Events that came before still come. Throws a TraceError (`not-watched`).
   */
  unwatch(path: Buffer): void {
    this.#mustRun();
    checkPath(path);
    translate(() => this.#native.unwatch(path));
  }

  /**
   * From now on events of this process are of class `traced`: all its threads, not its children.
   * Events of it that were not read yet are too; the class is given when an event is read.
   */
  trace(pid: number): void {
    this.#native.trace(pid);
  }

  /** Ends `trace`. Call `sync` before, so that what the process did last is still `traced`. */
  untrace(pid: number): void {
    this.#native.untrace(pid);
  }

  /**
   * The records since the last drain; empty before `start` and after `stop`. The reader thread is
   * not held up. The buffers of one batch are views of one memory: copy what is kept for long.
   *
   * Losses, by `where`: `fanotify-queue` (the kernel's queue overflowed; how many it dropped it
   * does not say, `count` is how often), `fanotify-table` (events over `tableLimit`),
   * `fanotify-malformed`, `fanotify-read` (a failed read), `fanotify-watch` (found by `sync`: a
   * watched path leads elsewhere, or its mark is gone, as after unmounting).
   */
  drain(): FileBatch {
    const batch = this.#native.drain();
    const losses: LossCount[] = batch.losses.map(([where, count, fromUs, toUs]) => ({
      where,
      count,
      fromUs,
      toUs,
    }));
    return {
      events: decodeRows(batch.rows.subarray(0, batch.size)),
      losses,
      untilUs: batch.untilUs,
    };
  }

  /**
   * Resolves when everything that happened before the call will be in the next `drain`.
   *
   * Proven by sentinel events: the reader thread opens and closes each watched directory itself,
   * twice (native/fanotify/sync_round.h says why that is enough), which changes nothing on disk,
   * works on a read-only mount and is not recorded.
   *
   * Rejects with a TraceError: `fanotify-sync-timeout` after `timeoutMs` (default 10000),
   * `fanotify-not-running`.
   */
  async sync(options: { readonly timeoutMs?: number } = {}): Promise<void> {
    this.#mustRun();
    const timeoutMs = options.timeoutMs ?? DEFAULT_SYNC_TIMEOUT_MS;
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => waiter.settle(syncTimeout(timeoutMs)), timeoutMs);
      const waiter: Waiter = {
        ticket: this.#native.sync(),
        settle: (error) => {
          clearTimeout(timer);
          this.#waiters.delete(waiter);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      this.#waiters.add(waiter);
    });
  }

  /**
   * Syncs, ends the thread and gives the last batch. If the sync times out, the batch says so
   * as a loss (`fanotify-queue`). May be called at any time and again: a later call waits for
   * the first and gives an empty batch.
   */
  async stop(options: { readonly timeoutMs?: number } = {}): Promise<FileBatch> {
    if (this.#stopped !== undefined) {
      const { untilUs } = await this.#stopped;
      return { events: [], losses: [], untilUs };
    }
    this.#stopped = this.#stop(options);
    return this.#stopped;
  }

  stats(): FanotifyStats {
    return this.#native.stats();
  }

  /** @internal Fault injection: while held, the reader thread reads nothing. */
  hold(on: boolean): void {
    this.#native.hold(on);
  }

  /** @internal Fault injection: files bytes as if fanotify had given them. */
  feed(bytes: Buffer): void {
    this.#native.feed(bytes);
  }

  /**
   * Weak, and made where no `this` is in reach: the native side holds it as long as the thread
   * runs, and a group that nobody else holds is to be collected, which ends the thread.
   */
  static #provenCallback(group: WeakRef<FanotifyGroup>): (ticket: number) => void {
    return (ticket) => {
      const self = group.deref();
      if (self === undefined) return;
      for (const waiter of self.#waiters) if (waiter.ticket <= ticket) waiter.settle();
    };
  }

  async #stop(options: { readonly timeoutMs?: number }): Promise<FileBatch> {
    let proven = true;
    if (this.#state === 'running')
      proven = await this.sync(options).then(
        () => true,
        () => false,
      );
    this.#state = 'stopped';
    await this.#native.stop();
    for (const { settle } of this.#waiters)
      settle(misuse('fanotify-not-running', 'was stopped meanwhile'));
    const batch = this.drain();
    if (proven) return batch;
    const loss = { where: 'fanotify-queue', count: 1, fromUs: batch.untilUs, toUs: monotonicUs() };
    return { ...batch, losses: [...batch.losses, loss] };
  }

  #mustRun(): void {
    if (this.#state !== 'running') throw misuse('fanotify-not-running', 'is not running');
  }
}

function translate<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw fanotifyError(error);
  }
}

function checkPath(path: Buffer): void {
  if (path.length === 0 || path.includes(0))
    throw badOption('a path must not be empty or hold a NUL byte', path.toString());
}

function syncTimeout(timeoutMs: number): TraceError {
  return new TraceError({
    code: 'fanotify-sync-timeout',
    message: `file events could not be brought up to date within ${timeoutMs} ms`,
    hint: 'the machine is overloaded, or a watched file system hangs; try again',
    exit: 'busy',
  });
}

function badOption(message: string, value: unknown): TraceError {
  return new TraceError({
    code: 'bad-option',
    message: `${message}, not ${JSON.stringify(value)}`,
    exit: 'usage',
  });
}

function misuse(code: string, what: string): TraceError {
  return new TraceError({
    code,
    message: `the fanotify group ${what}`,
    hint: 'make a new FanotifyGroup, start it once, and use it until stop',
    exit: 'bug',
  });
}
