/**
 * When a sweep went through things: from the first to the last of those that were used at one moment
 * only. What was used before is met again by it, and what is used afterwards has been met: both have
 * two moments. Pure. Must not know what the things are.
 */
import type { Touch } from './touch.ts';

/** Wall-clock microseconds, both ends within. */
export interface Span {
  readonly fromUs: number;
  readonly toUs: number;
}

/** Nearly everything: some has come since, and some a sweep is told to pass over. */
export const NEARLY_ALL = 0.98;
/** Longer without anything new, and it is not the same sweep any more. */
const IDLE_US = 5_000_000;
/** Slower on the average, it is none: programs use one thing now and another one then. */
const SLOWEST_US = 100_000;
/** Without a pause longer than this, what is new after the last thing is still the sweep's. */
const PAUSE_US = 500_000;

export interface Passed {
  /** What it goes through. */
  readonly things: readonly Touch[];
  /** What else it touches, maybe last. */
  readonly others: readonly Touch[];
  /** Whether a thing was used at one moment only. */
  readonly isBrief: (thing: Touch) => boolean;
}

/** Null if there was none. Where there were several, the one that had most. */
export function burstOf({ things, others, isBrief }: Passed): Span | null {
  const all = [...new Set([...things, ...others])];
  const brief = new Set(things.filter(isBrief));
  const [run = []] = runsOf(all)
    .map((touches) => touches.filter((one) => brief.has(one)))
    .sort((a, b) => b.length - a.length);
  const [first] = run;
  if (first === undefined) return null;
  const { firstUs: fromUs } = first;
  let toUs = run.reduce((last, one) => Math.max(last, one.lastUs), fromUs);
  for (const { firstUs } of inOrder(others))
    if (firstUs > toUs && firstUs - toUs <= PAUSE_US) toUs = firstUs;
  const span = { fromUs, toUs };
  const count = all.filter((one) => beganIn(one, span)).length;
  return toUs - fromUs <= SLOWEST_US * count ? span : null;
}

/** Cut where nothing was new for long. */
function runsOf(touches: readonly Touch[]): Touch[][] {
  const runs: Touch[][] = [];
  let lastUs = -Infinity;
  for (const one of inOrder(touches)) {
    if (one.firstUs - lastUs > IDLE_US) runs.push([]);
    runs.at(-1)?.push(one);
    lastUs = one.firstUs;
  }
  return runs;
}

function inOrder(touches: readonly Touch[]): Touch[] {
  return touches.toSorted((a, b) => a.firstUs - b.firstUs);
}

/** Whether nearly all of the things were touched then, be it again. */
export function meetsNearlyAll(things: readonly Touch[], span: Span): boolean {
  return things.filter((one) => meets(one, span)).length >= things.length * NEARLY_ALL;
}

/** Whether it may have been touched then: what lies between first and last nobody knows. */
export function meets({ firstUs, lastUs }: Touch, { fromUs, toUs }: Span): boolean {
  return firstUs <= toUs && lastUs >= fromUs;
}

/** New then. */
export function beganIn({ firstUs }: Touch, { fromUs, toUs }: Span): boolean {
  return firstUs >= fromUs && firstUs <= toUs;
}

/** Touched then and at no other time. */
export function isWithin({ firstUs, lastUs }: Touch, { fromUs, toUs }: Span): boolean {
  return firstUs >= fromUs && lastUs <= toUs;
}
