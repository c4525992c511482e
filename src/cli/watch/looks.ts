/**
 * One look at the daemon a second, for as long as somebody wants: a view each time. A daemon that
 * goes away is waited for. Owns the pace; must not know where the views go.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { TraceError } from '../../common/errors.ts';
import type { ControlClient } from '../../daemon/control-client.ts';
import { firstView, nextView, troubledView, type View } from './view.ts';

const PACE_MS = 1000;
const PATIENCE_MS = 5000;

export interface LooksOptions {
  readonly client: ControlClient;
  /** Sessions to ask for; asked before each look. */
  readonly most: () => number;
  readonly signal: AbortSignal;
}

/**
 * Ends when `signal` is aborted.
 * @throws TraceError of the first look, and later one that waiting does not cure
 */
export async function* looks({ client, most, signal }: LooksOptions): AsyncGenerator<View> {
  const left = (): boolean => signal.aborted;
  let view: View | null = null;
  let lookedMs = 0;
  while (!left()) {
    const beganMs = performance.now();
    const patience = AbortSignal.timeout(PATIENCE_MS);
    try {
      const body = await client.watch({
        most: most(),
        signal: AbortSignal.any([signal, patience]),
      });
      view = view === null ? firstView(body) : nextView(view, body, beganMs - lookedMs);
      lookedMs = beganMs;
    } catch (error) {
      if (left()) return;
      const trouble = patience.aborted ? slow() : error;
      if (view === null || !passes(trouble)) throw trouble;
      view = troubledView(view, trouble.message, new Date().toISOString());
    }
    yield view;
    try {
      await delay(Math.max(0, beganMs + PACE_MS - performance.now()), undefined, { signal });
    } catch {
      return;
    }
  }
}

/** Is it a daemon that ends, is gone, or is busy? Another may come. */
function passes(error: unknown): error is TraceError {
  return error instanceof TraceError && (error.exit === 'unavailable' || error.exit === 'io');
}

function slow(): TraceError {
  return new TraceError({
    code: 'daemon-slow',
    message: `the daemon does not answer within ${PATIENCE_MS / 1000} s`,
    hint: 'see its log',
    exit: 'unavailable',
  });
}
