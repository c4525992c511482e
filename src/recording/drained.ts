/**
 * What a drain of the sensors held: until when it is all of it, and how much it was, for the loss
 * that it becomes when nothing is made of it. Pure.
 */
import type { FileEvent, NfsBatch } from '../common/batches.ts';

/**
 * Until when everything that happened has been drained: a sensor's thread that is held up has not
 * filed what waits in the kernel. Monotonic.
 * @param traceUntilUs 0 before the kernel's server runs: no moment that its trace is known up to
 */
export function coveredUs(beganUs: number, filesUntilUs: number, traceUntilUs: number): number {
  return Math.min(beganUs, filesUntilUs, traceUntilUs > 0 ? traceUntilUs : Infinity);
}

/**
 * @param sinceUs the earliest moment of the file events, which have no time of their own
 * @returns how many calls and events there were, and the earliest moment that one can be of
 */
export function drained(
  { rows, markers, lookups = [], lookupsDropped = [] }: NfsBatch,
  events: readonly FileEvent[],
  sinceUs: number,
): { readonly count: number; readonly fromUs: number } {
  const counted = [rows, lookups, lookupsDropped, events].flat();
  const firsts = [...rows, ...lookups].map(({ firstUs }) => firstUs);
  return {
    count: counted.reduce((sum, { count }) => sum + count, markers.length),
    fromUs: [...firsts, ...markers.map(({ atUs }) => atUs)].reduce(
      (least, us) => Math.min(least, us),
      sinceUs,
    ),
  };
}
