/**
 * The daemon's life: claim its place, open the store, start the recorder, listen, flush on a
 * timer, read its configuration again, stop cleanly and in time. Owns signals, the log and the
 * timers. Must not contain business rules.
 */
import { isatty } from 'node:tty';
import pino, { type Logger } from 'pino';
import { BatchTap } from '../capture/batch-tap.ts';
import { EXIT, TraceError } from '../common/errors.ts';
import { Recorder } from '../recording/recorder.ts';
import { lockDatabase } from '../store/lock.ts';
import { Store } from '../store/store.ts';
import type { Config } from './config.ts';
import { ContentKeeper } from './content-keeper.ts';
import { ControlServer } from './control-server.ts';
import { LogDestination } from './log-destination.ts';
import { whyNoNames } from './name-lookup.ts';
import { databasePath, usualContentDir } from './places.ts';
import { describeReload, reload } from './reload.ts';
import { ServiceManager } from './service-manager.ts';
import { Service } from './service.ts';
import { checkStateFolder } from './state-folder.ts';
import { statusLine } from './status-line.ts';
import { Watchdog } from './watchdog.ts';

export interface DaemonOptions {
  readonly config: Config;
  /** Reads the configuration again; throws what is wrong with it. */
  readonly readConfig: () => Config;
  readonly version: string;
  /** A folder that gets a file of everything that the sensors hand over. */
  readonly recordBatches?: string | undefined;
}

/** The last commit is tried again for so long, when the database is locked or full. */
const DRAIN_MS = 6000;
/** Then it ends, come what may: a service manager would kill it. */
const LONGEST_END_MS = 9500;

/** Runs until SIGTERM, SIGINT or a `shutdown` request; recordings resume at the next start. */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const { config } = options;
  // Synchronous, so that the last line before a crash is in the log.
  const log = pino({ base: null }, new LogDestination({ fd: 2 }));
  const stopping = new AbortController();
  const server = new ControlServer({ socket: config.socket, ending: stopping.signal });
  checkStateFolder(config.stateDir);
  await server.claim();
  const lock = lockDatabase(databasePath(config));
  try {
    const store = Store.open({ path: databasePath(config) });
    try {
      await new Life({ ...options, log, stopping, server, store }).run();
    } finally {
      store.close();
    }
  } finally {
    lock.release();
    // Last: whoever finds the socket gone may start the next daemon.
    await server.stop();
  }
  log.info('stopped');
}

interface Parts extends DaemonOptions {
  readonly log: Logger;
  readonly stopping: AbortController;
  readonly server: ControlServer;
  readonly store: Store;
}

class Life {
  readonly #parts: Parts;
  readonly #recorder: Recorder;
  readonly #content: ContentKeeper;
  readonly #manager: ServiceManager;
  #config: Config;
  /** The outcome of the last reload, for the status line, if it was an error. */
  #complaint: string | null = null;

  constructor(parts: Parts) {
    this.#parts = parts;
    const { config, store, log, version, stopping, recordBatches } = parts;
    this.#config = config;
    this.#manager = new ServiceManager({ log });
    this.#recorder = new Recorder({
      store,
      ...liveOptions(config),
      reverseLookup: config.reverseLookup,
      serverNames: config.serverNames,
      traceRingBytes: config.traceRingBytes,
      bestTier: config.bestTier,
      preferKprobe: config.preferKprobe,
      limitedFileQueue: config.fileQueue === 'limited',
      pendingBytes: config.pendingMb * 1024 * 1024,
      tap: recordBatches === undefined ? undefined : new BatchTap(recordBatches),
      onNotice: ({ level, text }) => log[level](text),
    });
    this.#content = new ContentKeeper({
      store,
      path: config.contentDir ?? usualContentDir(config),
      maxBytes: config.contentMaxMb * 1024 * 1024,
      version,
      log,
      signal: stopping.signal,
    });
  }

  async run(): Promise<void> {
    const { server, store, stopping, log, version } = this.#parts;
    const { stateDir, socket } = this.#config;
    const shutdown = (): void => stopping.abort();
    // Before anybody can know that it runs. Each may come more than once.
    for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, shutdown);
    // On a terminal it means that the terminal goes.
    process.on('SIGHUP', () => (isatty(2) ? shutdown() : this.#reload()));
    stopping.signal.addEventListener('abort', () => {
      this.#endInTime();
      this.#recorder.endListing();
    });
    this.#manager.status('starting');
    await this.#recorder.start();
    const watchdog = this.#watchdog();
    try {
      const [recorder, content] = [this.#recorder, this.#content];
      await server.start(new Service({ recorder, content, store, stateDir, version, shutdown }));
      log.info({ pid: process.pid, version, socket }, 'recording');
      if (this.#config.reverseLookup) void this.#warnOfNames();
      watchdog?.start();
      await this.#flushUntil(stopping.signal);
      this.#manager.stopping();
    } finally {
      watchdog?.stop();
      await this.#content.stop();
      await this.#recorder.stop({ withinMs: DRAIN_MS });
    }
  }

  async #warnOfNames(): Promise<void> {
    const why = await whyNoNames();
    if (why === null) return;
    this.#parts.log.warn(
      { hint: 'docs/configuration.md has the drop-in for the unit' },
      `reverseLookup: no name server can be asked from here (${why}), so only what needs none has names`,
    );
  }

  /** One flush after the other. A failed one is said once; the next one tries again. */
  async #flushUntil(signal: AbortSignal): Promise<void> {
    const { log } = this.#parts;
    let failing: string | null = null;
    this.#tellManager();
    while (!signal.aborted) {
      await pause(this.#config.flushMs, signal);
      try {
        await this.#recorder.flush();
        this.#content.look();
        if (failing !== null) log.info('flushes work again; what waited is committed');
        failing = null;
      } catch (error) {
        const { message } = error as Error;
        if (message !== failing)
          log.error({ err: error }, 'a flush failed; the next one tries again');
        failing = message;
      }
      this.#tellManager();
    }
  }

  /** Called first when events are taken and the socket listens: then it is ready. */
  #tellManager(): void {
    const status = this.#recorder.status();
    const line = statusLine(status);
    this.#manager.status(this.#complaint === null ? line : `${line}; ${this.#complaint}`);
    this.#manager.ready();
  }

  #watchdog(): Watchdog | null {
    const withinMs = this.#manager.watchdogMs;
    if (withinMs === null) return null;
    return new Watchdog({
      recorder: this.#recorder,
      withinMs,
      onProgress: () => this.#manager.alive(),
      onMissed: (why) => this.#parts.log.error(`recording makes no progress: ${why}`),
    });
  }

  #reload(): void {
    const { readConfig, log } = this.#parts;
    this.#manager.reloading();
    try {
      const outcome = reload(this.#config, readConfig());
      this.#recorder.reconfigure(liveOptions(outcome.config));
      this.#config = outcome.config;
      this.#complaint = null;
      log.info(describeReload(outcome));
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      this.#complaint = `the old configuration stays: ${error.message}`;
      log.error({ hint: error.hint }, this.#complaint);
    }
    this.#tellManager();
    this.#manager.reloaded();
  }

  #endInTime(): void {
    setTimeout(() => {
      this.#parts.log.fatal('the daemon could not end in time; what was not committed is lost');
      process.exit(EXIT.io);
    }, LONGEST_END_MS).unref();
  }
}

function liveOptions({ flushMs, quietMinutes, serverPorts }: Config): {
  readonly quietUs: number;
  readonly serverPorts: readonly number[];
  readonly flushUs: number;
} {
  return { quietUs: quietMinutes * 60_000_000, serverPorts, flushUs: flushMs * 1000 };
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
