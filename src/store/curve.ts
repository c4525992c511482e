/**
 * How many came in each of the last seconds: a ring of counts. Owns its length. Pure.
 */
/** The last five minutes. */
export const CURVE_SECONDS = 300;

export class Curve {
  readonly #counts = new Float64Array(CURVE_SECONDS);
  /** Which second each place of the ring stands for. */
  readonly #seconds = new Float64Array(CURVE_SECONDS).fill(-1);

  /** The earliest moment that still counts. */
  fromUs(nowUs: number): number {
    return (secondOf(nowUs) - CURVE_SECONDS + 1) * 1e6;
  }

  /** @param atUs wall clock; what is older than the ring is forgotten */
  add(atUs: number, count: number): void {
    const second = secondOf(atUs);
    const place = second % CURVE_SECONDS;
    const there = this.#seconds[place] ?? -1;
    if (second < there) return;
    if (second > there) {
      this.#seconds[place] = second;
      this.#counts[place] = 0;
    }
    this.#counts[place] = (this.#counts[place] ?? 0) + count;
  }

  /** Everything happened so much later, by whole seconds: the clock was set. */
  shift(us: number): void {
    const by = Math.round(us / 1e6);
    const known = [...this.#seconds.entries()].filter(([, second]) => second >= 0);
    const moved = known.map(([place, second]) => [second + by, this.#counts[place] ?? 0] as const);
    this.#seconds.fill(-1);
    for (const [second, count] of moved) this.add(second * 1e6, count);
  }

  /** A count for each second up to that of `nowUs`, oldest first; {@link CURVE_SECONDS} of them. */
  until(nowUs: number): number[] {
    const last = secondOf(nowUs);
    // A clock that was set back: what is ahead of it now would keep its place for long.
    for (const [place, second] of this.#seconds.entries())
      if (second > last + 1) this.#seconds[place] = -1;
    return Array.from({ length: CURVE_SECONDS }, (_, index) => {
      const second = last - CURVE_SECONDS + 1 + index;
      const place = second % CURVE_SECONDS;
      return this.#seconds[place] === second ? (this.#counts[place] ?? 0) : 0;
    });
  }
}

function secondOf(us: number): number {
  return Math.max(0, Math.floor(us / 1e6));
}
