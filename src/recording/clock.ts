/**
 * The clocks of this machine. Sensors, the session machine and everything that a recording keeps in
 * memory use CLOCK_MONOTONIC, which nobody sets; wall-clock times are made when they are written
 * (wall-clock.ts). Owns access to both.
 */
import { monotonicUs } from '../fanotify-ts/system.ts';

export interface Clock {
  /** CLOCK_MONOTONIC, microseconds. */
  readonly monotonicUs: () => number;
  /** Wall clock, milliseconds since 1970. */
  readonly wallMs: () => number;
}

const SYSTEM: Clock = { monotonicUs, wallMs: () => Date.now() };
let clock = SYSTEM;

/** For replay, whose times are of another machine's life; null = the real clocks again. */
export function useClock(other: Clock | null): void {
  clock = other ?? SYSTEM;
}

/** CLOCK_MONOTONIC now, microseconds. */
export function nowUs(): number {
  return clock.monotonicUs();
}

/** The two reads may be apart by as long as others have the processor. */
const READS = 3;

/** Microseconds that the wall clock is ahead of CLOCK_MONOTONIC now; to the millisecond. */
export function wallOffsetUs(): number {
  const read = (): number => Math.round(clock.wallMs() * 1000 - clock.monotonicUs());
  return Math.max(...Array.from({ length: READS }, read));
}
