/**
 * The moments at which things of a session were first and last used, in order. Owns what counts as
 * one moment: not a length of time, as any server may stand still for a while, but that hardly
 * anything else went on from the first use of a thing to its last.
 */
import type { Touch } from './touch.ts';

/** Whoever opens, reads and closes a file is at it alone, but for some reading ahead. */
const FEW = 10;

export class Timeline {
  readonly #touches: readonly Touch[];
  #sorted: Float64Array | undefined;

  constructor(touches: readonly Touch[]) {
    this.#touches = touches;
  }

  /** Only when it is asked for: most sessions have nothing that looks like a sweep. */
  get #times(): Float64Array {
    this.#sorted ??= Float64Array.from(
      this.#touches.flatMap(({ firstUs, lastUs }) => [firstUs, lastUs]),
    ).sort();
    return this.#sorted;
  }

  /** Used at one moment only, as far as its times tell. */
  readonly isBrief = ({ firstUs, lastUs }: Touch): boolean => this.isClose(firstUs, lastUs);

  /** Whether the one time comes before the other, and hardly anything happened between. */
  isClose(fromUs: number, toUs: number): boolean {
    return fromUs <= toUs && this.#before(toUs) - this.#before(fromUs + 1) <= FEW;
  }

  /** How many moments are before a time: whole microseconds. */
  #before(timeUs: number): number {
    const times = this.#times;
    let [low, high] = [0, times.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((times[middle] ?? 0) < timeUs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
