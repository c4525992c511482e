/**
 * The inputs that made the code do something new, and the next ones, made of them. Owns what is kept,
 * and how a next one differs: by a choice of those it was made by, so that it still has the structure
 * of its kind, or by a byte. Must not know how it shows that something is new.
 */
import { mutate } from './mutate.ts';
import { Random } from './random.ts';
import type { Target } from './target.ts';

interface Kept {
  readonly input: Buffer;
  /** What it was made of; null if its bytes were changed. */
  readonly choices: readonly number[] | null;
}

/** Bytes. What is made of a long one is as long and takes as long, so that fewer are tried. */
const MOST_KEPT = 32 * 1024;

export class Corpus {
  readonly #target: Target;
  readonly #seed: number;
  readonly #kept: Kept[] = [];
  #last: Kept | null = null;

  constructor(target: Target, seed: number) {
    this.#target = target;
    this.#seed = seed;
  }

  get size(): number {
    return this.#kept.length;
  }

  /** The same for the same seed, turn and kept ones; a function of seed and turn while none is kept. */
  next(turn: number): Buffer {
    const how = new Random(this.#seed, -1 - turn);
    this.#last = this.#kept.length === 0 || how.once(4) ? this.#made(turn) : this.#of(turn, how);
    return this.#last.input;
  }

  /** The last one did something new. */
  keep(): void {
    const last = this.#last;
    if (last !== null && last.input.length <= MOST_KEPT) this.#kept.push(last);
  }

  #made(turn: number, first: readonly number[] = []): Kept {
    const random = new Random(this.#seed, turn, first);
    const input = this.#target.make(random);
    return { input, choices: random.taken };
  }

  #of(turn: number, how: Random): Kept {
    const { input, choices } = this.#pick(how);
    if (choices !== null && !how.once(3))
      return this.#made(turn, otherwise(how, choices, this.#pick(how).choices ?? choices));
    const whole = how.once(4) ? spliced(how, input, this.#pick(how).input) : input;
    return { input: mutate(how, whole), choices: null };
  }

  /** Rather a late one: it has come further. */
  #pick(how: Random): Kept {
    const { length } = this.#kept;
    return how.pick(this.#kept.slice(how.once(2) ? Math.max(0, length - 8) : 0));
  }
}

function spliced(how: Random, input: Buffer, other: Buffer): Buffer {
  const [end, start] = [how.below(input.length + 1), how.below(other.length + 1)];
  return Buffer.concat([input.subarray(0, end), other.subarray(start)]);
}

/** A few choices made anew, left out, made twice, or taken from another input's. */
function otherwise(how: Random, choices: readonly number[], other: readonly number[]): number[] {
  const made = [...choices];
  for (let times = 1 + how.few(4); times > 0; times--) {
    const at = how.below(made.length + 1);
    const length = 1 + how.few(how.pick([2, 8, 64]));
    const from = how.below(other.length + 1);
    if (how.once(2)) made.splice(at, 1, how.word());
    else if (how.once(3)) made.splice(at, length);
    else if (how.once(2)) made.splice(at, 0, ...made.slice(at, at + length));
    else made.splice(at, how.once(2) ? length : 0, ...other.slice(from, from + length));
  }
  return made;
}
