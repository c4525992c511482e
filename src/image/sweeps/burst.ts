/**
 * When a sweep went through things that it all touched: around the shortest time in which many of
 * them were new. Pure. Must not know what the things are.
 */
import type { Touch } from './touch.ts';

/** Wall-clock microseconds, both ends within. */
export interface Span {
  readonly fromUs: number;
  readonly toUs: number;
}

export interface Burst extends Span {
  /** A longer time in which nothing was touched ends it. */
  readonly pauseUs: number;
}

/** So many of the things are in its midst; others were used before it, or are used after it. */
const CORE = 0.3;
/** Nearly everything: some has come since, and some a sweep is told to pass over. */
export const NEARLY_ALL = 0.98;
/** A pause is so many times the usual time from one thing to the next. */
const PAUSES = 20;
const LEAST_PAUSE_US = 20_000;
const MOST_PAUSE_US = 500_000;

/**
 * Null for no things at all.
 * @param others what it touches on its way, too
 */
export function burstOf(things: readonly Touch[], others: readonly Touch[] = []): Burst | null {
  const core = shortest(ascending(things.map(firstOf)), Math.ceil(things.length * CORE));
  if (core === null) return null;
  const pauseUs = clamp(core.meanUs * PAUSES, LEAST_PAUSE_US, MOST_PAUSE_US);
  const all = [...things, ...others];
  const times = ascending([...all.map(firstOf), ...all.map(({ lastUs }) => lastUs)]);
  let { fromUs, toUs } = core;
  for (const time of times) if (time > toUs && time - toUs <= pauseUs) toUs = time;
  for (const time of times.reverse()) if (time < fromUs && fromUs - time <= pauseUs) fromUs = time;
  // The last thing has an end, too.
  return { fromUs, toUs: toUs + pauseUs, pauseUs };
}

/** Whether nearly all of the things were touched then, be it again. */
export function meetsNearlyAll(things: readonly Touch[], burst: Burst): boolean {
  return things.filter((one) => meets(one, burst)).length >= things.length * NEARLY_ALL;
}

/** Whether it may have been touched then: what lies between first and last nobody knows. */
export function meets({ firstUs, lastUs }: Touch, { fromUs, toUs }: Span): boolean {
  return firstUs <= toUs && lastUs >= fromUs;
}

/** Touched then and at no other time. */
export function isWithin({ firstUs, lastUs }: Touch, { fromUs, toUs }: Span): boolean {
  return firstUs >= fromUs && lastUs <= toUs;
}

/** As briefly as one who goes through it all does it: with a microsecond for each byte. */
export function isBrief({ firstUs, lastUs, size }: Touch, { pauseUs }: Burst): boolean {
  return lastUs - firstUs <= pauseUs + size;
}

const firstOf = ({ firstUs }: Touch): number => firstUs;

function ascending(times: readonly number[]): number[] {
  return times.toSorted((a, b) => a - b);
}

/** The shortest time that has so many of the ascending times. */
function shortest(times: readonly number[], count: number): (Span & { meanUs: number }) | null {
  let best: Span | null = null;
  for (let at = 0; at + count <= times.length && count > 0; at++) {
    const [fromUs = 0, toUs = 0] = [times[at], times[at + count - 1]];
    if (best === null || toUs - fromUs < best.toUs - best.fromUs) best = { fromUs, toUs };
  }
  return best && { ...best, meanUs: (best.toUs - best.fromUs) / count };
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), most);
}
