/**
 * Waiting for the kernel's queues to be drained when that may be in vain. Owns for how long nobody
 * waits again after that, so that a reader that is late does not hold up each flush.
 */
import { TraceError } from '../common/errors.ts';
import { nowUs } from './clock.ts';
import type { Notice } from './effects.ts';
import type { SensorSet } from './sensors.ts';

const PAUSE_US = 60_000_000;
/** So often in a row, and what waits to be compared is let go of: it must not grow for ever. */
const MOST_IN_VAIN = 3;

export interface LateSyncsOptions {
  readonly sensors: Pick<SensorSet, 'sync' | 'syncFiles'>;
  readonly onNotice: (notice: Notice) => void;
}

export class LateSyncs {
  readonly #options: LateSyncsOptions;
  #pauseUntilUs = -Infinity;
  #inVain = 0;

  constructor(options: LateSyncsOptions) {
    this.#options = options;
  }

  /** Were the queues late so often that nobody should count on them? */
  get hopeless(): boolean {
    return this.#inVain >= MOST_IN_VAIN;
  }

  /** True if everything that happened before the call is in the next drains. */
  async all(): Promise<boolean> {
    try {
      return await this.#inTime(() => this.#options.sensors.sync());
    } catch (error) {
      if (!(error instanceof TraceError)) throw error;
      const then = this.hopeless
        ? 'what the two witnesses saw meanwhile is not compared'
        : 'the witnesses are compared later';
      const text = `${error.message}; recording goes on, ${then}`;
      this.#options.onNotice({ level: 'warn', text });
      return false;
    }
  }

  /** The same for file events. Throws if they are late now. */
  async files(): Promise<void> {
    await this.#inTime(() => this.#options.sensors.syncFiles());
  }

  async #inTime(sync: () => Promise<void>): Promise<boolean> {
    if (nowUs() < this.#pauseUntilUs) return false;
    try {
      await sync();
      this.#inVain = 0;
      return true;
    } catch (error) {
      this.#inVain += 1;
      this.#pauseUntilUs = nowUs() + PAUSE_US;
      throw error;
    }
  }
}
