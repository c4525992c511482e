/**
 * The daemon's life: open the store, start the recorder, listen, flush on a timer, stop cleanly.
 * Owns signals, the log and the timer. Must not contain business rules.
 */
import pino, { type Logger } from 'pino';
import { sdNotify } from '../fanotify-ts/system.ts';
import { Recorder } from '../recording/recorder.ts';
import { Store } from '../store/store.ts';
import type { Config } from './config.ts';
import { ControlServer } from './control-server.ts';
import { databasePath } from './places.ts';
import { Service } from './service.ts';

export interface DaemonOptions {
  readonly config: Config;
  readonly version: string;
}

/** Runs until SIGTERM, SIGINT or a `shutdown` request; recordings resume at the next start. */
export async function runDaemon({ config, version }: DaemonOptions): Promise<void> {
  // Synchronous, so that the last line before a crash is in the log.
  const log = pino({ base: null }, pino.destination({ dest: 2, sync: true }));
  const stopping = new AbortController();
  const store = Store.open({ path: databasePath(config) });
  const recorder = new Recorder({
    store,
    quietUs: config.quietMinutes * 60_000_000,
    serverNames: config.serverNames,
    serverPorts: config.serverPorts,
    traceRingBytes: config.traceRingBytes,
    onNotice: ({ level, text }) => log[level](text),
  });
  const server = new ControlServer({
    socket: config.socket,
    service: new Service({
      recorder,
      store,
      stateDir: config.stateDir,
      version,
      shutdown: () => stopping.abort(),
    }),
  });
  try {
    await server.claim();
    await recorder.start();
    await server.start();
    log.info({ pid: process.pid, version, socket: config.socket }, 'recording');
    sdNotify('READY=1');
    for (const signal of ['SIGTERM', 'SIGINT'] as const)
      process.once(signal, () => stopping.abort());
    await flushUntil(stopping.signal, recorder, config.flushMs, log);
    sdNotify('STOPPING=1');
    await server.stop();
    await recorder.stop();
    log.info('stopped');
  } finally {
    store.close();
  }
}

/** One flush after the other; a failed one is said, kept count of, and the next one tries again. */
async function flushUntil(
  signal: AbortSignal,
  recorder: Recorder,
  everyMs: number,
  log: Logger,
): Promise<void> {
  while (!signal.aborted) {
    await pause(everyMs, signal);
    try {
      await recorder.flush();
    } catch (error) {
      log.error({ err: error }, 'a flush failed; the next one tries again');
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
