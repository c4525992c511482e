/** How often each of some keys is there, and how many are. */
export class Tally<K> {
  /** Those that are there no more stay for a while: V8 is slow with a key that comes and goes. */
  readonly #counts = new Map<K, number>();
  #kinds = 0;

  /** Keys that are there. */
  get kinds(): number {
    return this.#kinds;
  }

  add(key: K): void {
    const count = this.#counts.get(key) ?? 0;
    this.#counts.set(key, count + 1);
    if (count === 0) this.#kinds += 1;
  }

  /** @param key one that is there */
  remove(key: K): void {
    const count = (this.#counts.get(key) ?? 0) - 1;
    this.#counts.set(key, count);
    if (count > 0) return;
    this.#kinds -= 1;
    if (this.#counts.size > 2 * this.#kinds + 16)
      for (const [other, left] of this.#counts) if (left === 0) this.#counts.delete(other);
  }
}
