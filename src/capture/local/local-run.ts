/**
 * A command that runs in a root, traced: the process trace-world, its channel, and what came over
 * it. Owns both. Must not know the daemon or sessions.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';
import { constants as os } from 'node:os';
import type { Duplex } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { getSystemErrorMessage } from 'node:util';
import { TraceError } from '../../common/errors.ts';
import { RecordReader, type WorldRecord } from './records.ts';
import { UsedPaths, type UsedPath } from './used-paths.ts';

const PROGRAM = fileURLToPath(new URL('../../../build/Release/trace-world', import.meta.url));
const CHANNEL = 4;

export interface LocalRunOptions {
  /** Absolute. */
  readonly root: Buffer;
  /** None: the root's /chroot, else a shell of it. */
  readonly command: readonly string[];
  /** All of the command's environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** Of the world that was made for the command. */
export interface LocalWorld {
  readonly program: string;
  /** What a root should have and this one lacks: `/proc`, `/dev/null`, ... */
  readonly missing: readonly Buffer[];
  /** Mounts below the root whose files are not recorded, and why. */
  readonly unwatched: readonly { readonly path: Buffer; readonly why: string }[];
}

export interface LocalEnd {
  /** As a shell has it: 128 and the number for a signal. */
  readonly code: number;
  /** How often the kernel's queue of file events was full. */
  readonly lost: number;
  /** Accesses in directories that were gone before they could be named. */
  readonly gone: number;
  /** Reports of accesses that this process did not take in time: it stood still. */
  readonly dropped: number;
}

export class LocalRun {
  readonly #options: LocalRunOptions;
  readonly #used = new UsedPaths();
  readonly #missing: Buffer[] = [];
  readonly #unwatched: { path: Buffer; why: string }[] = [];
  readonly #ready = Promise.withResolvers<LocalWorld>();
  readonly #ended = Promise.withResolvers<LocalEnd>();
  #lost = 0;
  #gone = 0;
  #dropped = 0;
  #channel: Duplex | null = null;

  constructor(options: LocalRunOptions) {
    this.#options = options;
    this.#ready.promise.catch(() => undefined);
    this.#ended.promise.catch(() => undefined);
  }

  /**
   * Makes the world; the command waits for {@link begin}.
   * @throws TraceError `local-failed`, `root-not-found`, `command-not-found`
   */
  async start(): Promise<LocalWorld> {
    const root = openRoot(this.#options.root);
    let child: ChildProcess;
    try {
      child = spawn(PROGRAM, [...this.#options.command], {
        argv0: 'trace-world',
        env: this.#options.env,
        stdio: ['inherit', 'inherit', 'inherit', root, 'pipe'],
      });
    } finally {
      closeSync(root);
    }
    child.once('error', ({ errno = 0 }: NodeJS.ErrnoException) =>
      this.#fail(failed(`start ${PROGRAM}`, -errno)),
    );
    if (child.pid !== undefined) void this.#listen(child, child.stdio[CHANNEL] as Duplex);
    return this.#ready.promise;
  }

  begin(): void {
    this.#channel?.write(Uint8Array.of(0));
  }

  /** What was used since the last call: see {@link UsedPaths}. */
  take(when: { readonly atEnd: boolean }): UsedPath[] {
    return this.#used.take(when);
  }

  /** Files that the root had, that were used and then removed: {@link take} has none of them. */
  get removed(): number {
    return this.#used.removed;
  }

  /**
   * When the command and all that it left running have ended, and all that they did is in.
   * @throws TraceError `local-broken`, if the end was not told: something was killed; `local-failed`
   */
  get ended(): Promise<LocalEnd> {
    return this.#ended.promise;
  }

  signal(name: 'SIGTERM' | 'SIGHUP'): void {
    this.#channel?.write(Uint8Array.of(os.signals[name]));
  }

  /** Ends the world, whatever runs in it. */
  kill(): void {
    this.#channel?.destroy();
  }

  async #listen(child: ChildProcess, channel: Duplex): Promise<void> {
    this.#channel = channel;
    const exited = once(child, 'exit');
    // The kernel ends the world's init with its parent, but for one that has just been started and has
    // not asked for that yet. This ends that one, too, and what it has told still comes.
    child.once('exit', (_code, signal) => {
      if (signal !== null) channel.end();
    });
    // Writing to a world that has ended is not news: its end is.
    channel.on('error', () => undefined);
    const reader = new RecordReader();
    try {
      for await (const chunk of channel as AsyncIterable<Buffer>) {
        const nowUs = Date.now() * 1000;
        for (const record of reader.read(chunk)) this.#take(record, nowUs);
      }
    } catch (error) {
      if (error instanceof TraceError) this.#fail(error);
    }
    channel.destroy();
    await exited;
    this.#fail(broken());
  }

  #take(record: WorldRecord, nowUs: number): void {
    switch (record.kind) {
      case 'access':
        this.#used.note(record, nowUs);
        return;
      case 'missing':
        this.#missing.push(Buffer.from(record.path));
        return;
      case 'unwatched':
        this.#unwatched.push({ path: Buffer.from(record.path), why: reason(record.errno) });
        return;
      case 'ready':
        this.#ready.resolve({
          program: record.path.toString(),
          missing: this.#missing,
          unwatched: this.#unwatched,
        });
        return;
      case 'lost':
        this.#lost += record.count;
        return;
      case 'gone':
        this.#gone += record.count;
        return;
      case 'dropped':
        this.#dropped += record.count;
        return;
      case 'end':
        this.#ended.resolve({
          code: exitCodeOf(record.status),
          lost: this.#lost,
          gone: this.#gone,
          dropped: this.#dropped,
        });
        return;
      case 'failed':
        this.#fail(failed(record.what, record.errno));
    }
  }

  /** Does nothing after the end. */
  #fail(error: TraceError): void {
    this.#ready.reject(error);
    this.#ended.reject(error);
  }
}

function openRoot(root: Buffer): number {
  try {
    return openSync(root, constants.O_RDONLY | constants.O_DIRECTORY);
  } catch (cause) {
    throw new TraceError({
      code: 'root-not-found',
      message: `the root ${root.toString()} cannot be opened: ${(cause as Error).message}`,
      hint: 'name a directory with a whole tree in it',
      exit: 'notFound',
      cause,
    });
  }
}

/** Of a wait status, as a shell has it. */
function exitCodeOf(status: number): number {
  const signal = status & 0x7f;
  return signal === 0 ? (status >> 8) & 0xff : 128 + signal;
}

/** What fanotify(7) says of file systems that give no handles, or none that it can tell apart. */
const WATCHLESS: ReadonlySet<number> = new Set([
  os.errno.EOPNOTSUPP,
  os.errno.ENODEV,
  os.errno.EXDEV,
]);

function reason(errno: number): string {
  return getSystemErrorMessage(-errno);
}

function failed(what: string, errno: number): TraceError {
  const why = reason(errno);
  if (what.startsWith('find '))
    return new TraceError({
      code: 'command-not-found',
      message: `cannot ${what}: ${why}`,
      hint: 'the command must be a program of the root: name it as it is called there',
      exit: 'notFound',
    });
  if (what.startsWith('run '))
    return new TraceError({
      code: 'command-failed',
      message: `cannot ${what}: ${why}`,
      hint: 'the root must have its interpreter or loader too, and be of this kind of processor',
      exit: 'notFound',
    });
  if (what.startsWith('watch ') && WATCHLESS.has(errno))
    return new TraceError({
      code: 'local-unwatched',
      message: `cannot ${what}: its file system has no file handles`,
      hint: 'put the root on a disk file system, or mount the overlay with index=on,nfs_export=on',
      exit: 'unavailable',
    });
  return new TraceError({
    code: 'local-failed',
    message: `cannot ${what}: ${why}`,
    hint: what.startsWith('unmount ')
      ? 'it is a procfs of the server in the root, which a mount hides: unmount one of them'
      : 'it needs CAP_SYS_ADMIN, and a root on a disk file system (an overlay with ' +
        'index=on,nfs_export=on); see docs/local.md',
    exit: 'permission',
  });
}

function broken(): TraceError {
  return new TraceError({
    code: 'local-broken',
    message: 'the process that watched the command was killed, and the command with it',
    hint: 'the session is kept, with a loss',
    exit: 'failed',
  });
}
