/**
 * The daemon's life: claim its place, open the store, start the recorder, listen, flush on a
 * timer, stop cleanly. Owns signals, the log and the timer. Must not contain business rules.
 */
import pino, { type Logger } from 'pino';
import { BatchTap } from '../capture/batch-tap.ts';
import { sdNotify } from '../fanotify-ts/system.ts';
import { Recorder } from '../recording/recorder.ts';
import { lockDatabase } from '../store/lock.ts';
import { Store } from '../store/store.ts';
import type { Config } from './config.ts';
import { ControlServer } from './control-server.ts';
import { LogDestination } from './log-destination.ts';
import { databasePath } from './places.ts';
import { Service } from './service.ts';

export interface DaemonOptions {
  readonly config: Config;
  readonly version: string;
  /** A folder that gets a file of everything that the sensors hand over. */
  readonly recordBatches?: string | undefined;
}

/** Runs until SIGTERM, SIGINT, SIGHUP or a `shutdown` request; recordings resume at the next start. */
export async function runDaemon({ config, version, recordBatches }: DaemonOptions): Promise<void> {
  // Synchronous, so that the last line before a crash is in the log.
  const log = pino({ base: null }, new LogDestination({ fd: 2 }));
  const stopping = new AbortController();
  const server = new ControlServer({ socket: config.socket, ending: stopping.signal });
  await server.claim();
  const lock = lockDatabase(databasePath(config));
  try {
    const store = Store.open({ path: databasePath(config) });
    try {
      await record({ config, version, recordBatches, log, stopping, server, store });
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

async function record(parts: Parts): Promise<void> {
  const { config, version, recordBatches, log, stopping, server, store } = parts;
  const recorder = new Recorder({
    store,
    quietUs: config.quietMinutes * 60_000_000,
    reverseLookup: config.reverseLookup,
    serverNames: config.serverNames,
    serverPorts: config.serverPorts,
    traceRingBytes: config.traceRingBytes,
    bestTier: config.bestTier,
    preferKprobe: config.preferKprobe,
    tap: recordBatches === undefined ? undefined : new BatchTap(recordBatches),
    onNotice: ({ level, text }) => log[level](text),
  });
  const shutdown = (): void => stopping.abort();
  const { stateDir, socket, flushMs } = config;
  // Before anybody can know that it runs. Each may come more than once. SIGHUP is a terminal that
  // goes: as good a reason to commit what is there.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, shutdown);
  await recorder.start();
  try {
    await server.start(new Service({ recorder, store, stateDir, version, shutdown }));
    log.info({ pid: process.pid, version, socket }, 'recording');
    sdNotify('READY=1');
    await flushUntil(stopping.signal, { recorder, everyMs: flushMs, log });
    sdNotify('STOPPING=1');
  } finally {
    await recorder.stop();
  }
}

/** One flush after the other. A failed one is said once; the next one tries again. */
async function flushUntil(
  signal: AbortSignal,
  { recorder, everyMs, log }: { recorder: Recorder; everyMs: number; log: Logger },
): Promise<void> {
  let failing: string | null = null;
  while (!signal.aborted) {
    await pause(everyMs, signal);
    try {
      await recorder.flush();
      if (failing !== null) log.info('flushes work again; what waited is committed');
      failing = null;
    } catch (error) {
      const { message } = error as Error;
      if (message !== failing)
        log.error({ err: error }, 'a flush failed; the next one tries again');
      failing = message;
    }
  }
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
