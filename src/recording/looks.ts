/**
 * What objects are, asked of the file system at most once in some seconds: a thousand machines that
 * boot at once use the same files. Owns how long an answer holds. Must not know what it is for.
 */
import type { ObjectStat } from '../fanotify-ts/handle-index.ts';
import { nowUs } from './clock.ts';

const HOLDS_US = 5_000_000;

interface Look {
  readonly atUs: number;
  readonly stat: ObjectStat | null;
}

export class Looks {
  readonly #statOf: (object: number) => ObjectStat | null;
  /** Those of a while, and those of the while before: what is older than that is forgotten. */
  #young = new Map<number, Look>();
  #old = new Map<number, Look>();
  #sinceUs = 0;

  constructor(statOf: (object: number) => ObjectStat | null) {
    this.#statOf = statOf;
  }

  /** null if none of its names leads to it. @param now not what it was some seconds ago */
  at(object: number, now: boolean): ObjectStat | null {
    const atUs = nowUs();
    if (atUs - this.#sinceUs >= HOLDS_US) {
      this.#old = this.#young;
      this.#young = new Map();
      this.#sinceUs = atUs;
    }
    const last = this.#young.get(object) ?? this.#old.get(object);
    if (!now && last !== undefined && atUs - last.atUs < HOLDS_US) return last.stat;
    const stat = this.#statOf(object);
    this.#young.set(object, { atUs, stat });
    return stat;
  }
}
