/** Asks the daemon, and starts one in the background for it if none listens. */
import { TraceError } from '../common/errors.ts';
import type { Context } from './context.ts';

export interface Asked<T> {
  readonly answer: T;
  /** The pid of the daemon that was started for it; null: one was there. */
  readonly started: number | null;
}

export async function withDaemon<T>(
  { client, output, places }: Pick<Context, 'client' | 'output' | 'places'>,
  ask: () => Promise<T>,
): Promise<Asked<T>> {
  try {
    return { answer: await ask(), started: null };
  } catch (error) {
    if (!isNobodyThere(error)) throw error;
  }
  // Loaded only now: mostly a daemon is there, and the modules take 1.4 ms to load.
  const { spawnDaemon } = await import('./spawn-daemon.ts');
  const started = await spawnDaemon({ client, places });
  if (started !== null)
    output.say(`started a daemon (pid ${started}); its log is ${places.stateDir}/daemon.log`);
  return { answer: await ask(), started };
}

/** Did no daemon take the request? */
function isNobodyThere(error: unknown): boolean {
  return (
    error instanceof TraceError &&
    (error.code === 'daemon-not-running' || error.code === 'daemon-ending')
  );
}
