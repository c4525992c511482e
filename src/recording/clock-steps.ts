/**
 * Steps of the wall clock: how far it was set since the last look, against CLOCK_MONOTONIC, which
 * nobody sets. Owns the memory of the offset between the two.
 */
import { readFileSync } from 'node:fs';
import type { ClockRow } from '../store/types.ts';
import { nowUs, wallNowUs } from './clock.ts';

/** Less is a clock that is being slewed, or read late. */
const LEAST_STEP_US = 1_000_000;

export class ClockSteps {
  readonly #bootId: string;
  readonly #offset: () => number;
  #offsetUs: number;

  /** @param options.known the clock of the last batch in the store */
  constructor(options: {
    readonly known: ClockRow | null;
    readonly bootId?: string;
    readonly offset?: () => number;
  }) {
    this.#bootId =
      options.bootId ?? readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    this.#offset = options.offset ?? (() => wallNowUs() - nowUs());
    const { known } = options;
    // CLOCK_MONOTONIC begins anew with each boot of this machine.
    this.#offsetUs = known?.bootId === this.#bootId ? known.offsetUs : this.#offset();
  }

  /** Microseconds that the wall clock was stepped by since the last call; 0 if it was not. */
  take(): number {
    const now = this.#offset();
    const stepUs = Math.round(now - this.#offsetUs);
    this.#offsetUs = now;
    return Math.abs(stepUs) < LEAST_STEP_US ? 0 : stepUs;
  }

  get row(): ClockRow {
    return { bootId: this.#bootId, offsetUs: Math.round(this.#offsetUs) };
  }
}
