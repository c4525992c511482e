/**
 * The two clocks of a recording. Sensors and the session machine use CLOCK_MONOTONIC, so that a
 * step of the wall clock neither splits nor merges sessions; the store keeps wall-clock times for
 * people. Owns the translation, measured anew at each flush.
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

/** Wall clock now, microseconds since 1970. */
export function wallNowUs(): number {
  return clock.wallMs() * 1000;
}

/** A translation from monotonic to wall-clock microseconds that holds at the moment of the call. */
export function wallTranslation(): (monotonic: number) => number {
  const offset = wallNowUs() - nowUs();
  return (monotonic) => Math.round(monotonic + offset);
}

/** The way back, for times that the store kept; never later than now. */
export function monotonicOf(): (wall: number) => number {
  const offset = wallNowUs() - nowUs();
  const now = nowUs();
  return (wall) => Math.min(now, wall - offset);
}
