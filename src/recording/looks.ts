/**
 * What is new of objects, looked for at most once in some seconds: a thousand machines that boot at
 * once use the same files. Owns how long an answer holds. Must not know what is looked at.
 */
import { nowUs } from './clock.ts';

/** An answer holds for this long at least, and for twice as long at most. */
const HOLDS_US = 2_500_000;

export class Looks<News> {
  readonly #look: (object: number) => News;
  /** Those of a while, and those of the while before: what is older is forgotten. */
  #young = new Map<number, News>();
  #old = new Map<number, News>();
  #sinceUs = 0;

  constructor(look: (object: number) => News) {
    this.#look = look;
  }

  /** @param now not what it was some seconds ago */
  at(object: number, now: boolean): News {
    this.forgetOld();
    if (!now) {
      if (this.#young.has(object)) return this.#young.get(object) as News;
      if (this.#old.has(object)) return this.#old.get(object) as News;
    }
    const news = this.#look(object);
    this.#young.set(object, news);
    return news;
  }

  /** To be called now and then by who asks no more. */
  forgetOld(): void {
    const atUs = nowUs();
    if (atUs - this.#sinceUs < HOLDS_US) return;
    const isRecent = atUs - this.#sinceUs < 2 * HOLDS_US;
    this.#old = isRecent ? this.#young : new Map<number, News>();
    this.#young = new Map<number, News>();
    this.#sinceUs = atUs;
  }
}
