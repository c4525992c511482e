/**
 * When a sweep went through things: from the first to the last of those that were used at one moment
 * only. What was used before is met again by it, and what is used afterwards has been met: both have
 * two moments. Pure. Must not know what the things are.
 */
import type { Timeline } from './timeline.ts';
import type { Touch } from './touch.ts';

/** Wall-clock microseconds, both ends within. */
export interface Span {
  readonly fromUs: number;
  readonly toUs: number;
}

/** Nearly everything: some has come since, and some a sweep is told to pass over. */
export const NEARLY_ALL = 0.98;
/** What a sweep passed over lies apart from it by more than this, where anything does. */
const APART_US = 1_000_000;
/** Without a pause longer than this, what is new after the last thing is still the sweep's. */
const PAUSE_US = 500_000;
/** Slower on the average, it is no sweep: programs use one thing now and another one then. */
const SLOWEST_US = 200_000;

export interface Passed {
  /** What it goes through. */
  readonly things: readonly Touch[];
  /** What else it touches, maybe last. */
  readonly others: readonly Touch[];
  readonly timeline: Timeline;
}

/** Null if there was none. */
export function burstOf({ things, others, timeline }: Passed): Span | null {
  const brief = things.filter((one) => timeline.isBrief(one)).sort((a, b) => a.firstUs - b.firstUs);
  const most = Math.floor(brief.length * (1 - NEARLY_ALL));
  const inner = brief.slice(apart(brief, most), brief.length - apart(brief.toReversed(), most));
  const [first] = inner;
  if (first === undefined) return null;
  const { firstUs: fromUs } = first;
  let toUs = inner.reduce((last, one) => Math.max(last, one.lastUs), fromUs);
  for (const { firstUs } of others.toSorted((a, b) => a.firstUs - b.firstUs))
    if (firstUs > toUs && firstUs - toUs <= PAUSE_US) toUs = firstUs;
  const span = { fromUs, toUs };
  const count = [...things, ...others].filter((one) => isWithin(one, span)).length;
  return toUs - fromUs <= SLOWEST_US * count ? span : null;
}

/** How many things, of so many at most, lie apart from those that follow. */
function apart(things: readonly Touch[], most: number): number {
  for (let count = most; count > 0; count--) {
    const [one, next] = [things[count - 1], things[count]];
    if (one !== undefined && next !== undefined)
      if (Math.abs(next.firstUs - one.firstUs) > APART_US) return count;
  }
  return 0;
}

/** Whether nearly all of the things were touched then, be it again. */
export function meetsNearlyAll(things: readonly Touch[], span: Span): boolean {
  return things.filter((one) => meets(one, span)).length >= things.length * NEARLY_ALL;
}

/** Whether it may have been touched then: what lies between first and last nobody knows. */
export function meets({ firstUs, lastUs }: Touch, { fromUs, toUs }: Span): boolean {
  return firstUs <= toUs && lastUs >= fromUs;
}

/** Touched then and at no other time. */
export function isWithin({ firstUs, lastUs }: Touch, { fromUs, toUs }: Span): boolean {
  return firstUs >= fromUs && lastUs <= toUs;
}
