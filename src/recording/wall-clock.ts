/**
 * The wall clock as the store has it: CLOCK_MONOTONIC and an offset that changes only when somebody
 * looks, by a step that the store is told of and moves what is open along by. So a time that is kept
 * as CLOCK_MONOTONIC and translated when it is written, or shown, is always the store's own.
 * Owns that offset and the step that the store does not know of yet.
 */
import { readFileSync } from 'node:fs';
import type { ClockRow } from '../store/types.ts';
import { nowUs, wallOffsetUs } from './clock.ts';

/** What is smaller would come from how well two clocks can be read. Both are slewed alike. */
const LEAST_STEP_US = 100_000;

export class WallClock {
  readonly #bootId: string;
  readonly #measure: () => number;
  #offsetUs: number;
  #untoldUs = 0;

  /**
   * @param options.known the clock of the last batch in the store
   * @param options.lastUs the time of that batch
   */
  constructor(options: {
    readonly known: ClockRow | null;
    readonly lastUs?: number | null;
    readonly bootId?: string;
    readonly offset?: () => number;
  }) {
    this.#bootId =
      options.bootId ?? readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    this.#measure = options.offset ?? wallOffsetUs;
    const { known, lastUs = null } = options;
    const offsetUs = this.#measure();
    this.#offsetUs = known?.bootId === this.#bootId ? known.offsetUs : offsetUs;
    this.look();
    // CLOCK_MONOTONIC begins anew with each boot of this machine. That the clock was set back while
    // it was off shows all the same: what is stored lies in the future.
    if (known?.bootId !== this.#bootId && lastUs !== null)
      this.#untoldUs += Math.min(0, this.nowUs - lastUs);
  }

  /**
   * Looks whether the clock was set. Between two calls all translations are the same.
   * @returns microseconds that it was set by since the last call; 0 if it was not
   */
  look(): number {
    const stepUs = Math.round(this.#measure() - this.#offsetUs);
    if (Math.abs(stepUs) < LEAST_STEP_US) return 0;
    this.#offsetUs += stepUs;
    this.#untoldUs += stepUs;
    return stepUs;
  }

  /** The step that the store must be told of before anything else. */
  takeStep(): number {
    const stepUs = this.#untoldUs;
    this.#untoldUs = 0;
    return stepUs;
  }

  get row(): ClockRow {
    return { bootId: this.#bootId, offsetUs: this.#offsetUs };
  }

  /** Now, wall clock, microseconds since 1970. */
  get nowUs(): number {
    return this.toWall(nowUs());
  }

  /** Monotonic microseconds as wall-clock ones. */
  readonly toWall = (us: number): number => Math.round(us + this.#offsetUs);

  /** The way back; never later than now. */
  readonly toMonotonic = (us: number): number => Math.min(nowUs(), us - this.#offsetUs);
}
