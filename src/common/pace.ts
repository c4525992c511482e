/**
 * How often something is asked again that is waited for: an answer costs the processor that the
 * awaited needs itself, so waiting takes ten times as long as asking. Must not know what is asked.
 */
import { setTimeout as delay } from 'node:timers/promises';

const LEAST_MS = 20;
const MOST_MS = 1000;

/** Milliseconds until the next look, after one that took `tookMs`. */
export function pauseMs(tookMs: number): number {
  return Math.min(Math.max(LEAST_MS, tookMs * 10), MOST_MS);
}

export class Pace {
  #tookMs = 0;

  /** Asks once; gives the answer, or throws what asking threw. */
  async look<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    const began = performance.now();
    try {
      return await ask();
    } finally {
      this.#tookMs = performance.now() - began;
    }
  }

  pause(): Promise<void> {
    return delay(pauseMs(this.#tookMs));
  }
}
