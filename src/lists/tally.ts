/** How often each of some keys is there, and how many are. */
export class Tally<K> {
  /** Those that are there no more stay for a while: V8 is slow with a key that comes and goes. */
  readonly #counts = new Map<K, { readonly key: K; count: number }>();
  #kinds = 0;

  /** Keys that are there. */
  get kinds(): number {
    return this.#kinds;
  }

  /** @returns the key that it is counted by, to be kept: equal strings are one string then */
  add(key: K): K {
    let counted = this.#counts.get(key);
    if (counted === undefined) this.#counts.set(key, (counted = { key, count: 0 }));
    if (counted.count === 0) this.#kinds += 1;
    counted.count += 1;
    return counted.key;
  }

  /** @param key one that is there */
  remove(key: K): void {
    const counted = this.#counts.get(key);
    if (counted === undefined) return;
    counted.count -= 1;
    if (counted.count > 0) return;
    this.#kinds -= 1;
    if (this.#counts.size > 2 * this.#kinds + 16)
      for (const [other, { count }] of this.#counts) if (count === 0) this.#counts.delete(other);
  }
}
