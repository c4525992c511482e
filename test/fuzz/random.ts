/**
 * Choices that come again with the same numbers (sfc32 after splitmix32), or that were made before.
 * Owns the generator. Must not know what is chosen.
 */
export class Random {
  readonly #state: Uint32Array;
  readonly #first: readonly number[];
  /** The words that all choices so far were made of. */
  readonly taken: number[] = [];

  /** Each pair of numbers gives choices of its own, behind those of the words that come first. */
  constructor(seed: number, turn: number, first: readonly number[] = []) {
    this.#first = first;
    this.#state = Uint32Array.of(scramble(seed), scramble(turn), scramble(seed ^ turn), 1);
    for (let round = 0; round < 12; round++) this.#made();
  }

  /** From 0 to `below` - 1. */
  below(below: number): number {
    return Math.floor((this.word() / 2 ** 32) * below);
  }

  /** Once in so many times. */
  once(times: number): boolean {
    return this.below(times) === 0;
  }

  pick<T>(from: readonly [T, ...T[]] | readonly T[]): T {
    const chosen = from[this.below(from.length)];
    if (chosen === undefined) throw new Error('nothing to choose from');
    return chosen;
  }

  /** Mostly few, at most `most`. */
  few(most: number): number {
    return Math.min(this.below(most + 1), this.below(most + 1), this.below(most + 1));
  }

  bytes(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.below(256)));
  }

  /** 32 bits. */
  word(): number {
    const word = this.#first[this.taken.length] ?? this.#made();
    this.taken.push(word);
    return word;
  }

  #made(): number {
    const state = this.#state;
    const [a = 0, b = 0, c = 0, count = 0] = state;
    const sum = (a + b + count) >>> 0;
    state[0] = b ^ (b >>> 9);
    state[1] = c + (c << 3);
    state[2] = ((c << 21) | (c >>> 11)) + sum;
    state[3] = count + 1;
    return sum;
  }
}

function scramble(value: number): number {
  let word = (value + 0x9e3779b9) | 0;
  word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
  word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
  return word ^ (word >>> 15);
}
