/**
 * The moments at which things of a session were first and last used, in order. Owns what counts as
 * one moment: not a length of time, as any server may stand still for a while, but that hardly
 * anything else went on from the first use of a thing to its last.
 */
import type { Touch } from './touch.ts';

/** Whoever opens, reads and closes a file is at it alone, but for some reading ahead. */
const FEW = 10;

export class Timeline {
  readonly #times: Float64Array;

  constructor(touches: readonly Touch[]) {
    const times = touches.flatMap(({ firstUs, lastUs }) => [firstUs, lastUs]);
    this.#times = Float64Array.from(times).sort();
  }

  /** Used at one moment only, as far as its times tell. */
  readonly isBrief = ({ firstUs, lastUs }: Touch): boolean => this.isClose(firstUs, lastUs);

  /** Whether the one time comes before the other, and hardly anything happened between. */
  isClose(fromUs: number, toUs: number): boolean {
    return fromUs <= toUs && this.#before(toUs) - this.#before(fromUs + 1) <= FEW;
  }

  /** How many moments are before a time: whole microseconds. */
  #before(timeUs: number): number {
    let [low, high] = [0, this.#times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#times[middle] ?? 0) < timeUs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
