/**
 * One piece of work at a time; later callers wait for their turn. Owns the queue, and since when
 * the work under way goes on. A piece that fails is its caller's matter alone.
 */
import { nowUs } from './clock.ts';

export class Turns {
  #tail: Promise<unknown> = Promise.resolve();
  #since: number | null = null;

  /**
   * For how long the work under way has gone on, microseconds; 0 if there is none.
   * @param since what is to count, of work that began then (monotonic); null: nothing now
   */
  busyUs(since: (beganUs: number) => number | null = (beganUs) => beganUs): number {
    const countsUs = this.#since === null ? null : since(this.#since);
    return countsUs === null ? 0 : nowUs() - countsUs;
  }

  take<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(async () => {
      this.#since = nowUs();
      try {
        return await work();
      } finally {
        this.#since = null;
      }
    });
    this.#tail = result.catch(() => undefined);
    return result;
  }
}
