/**
 * Accesses that got no session, as there was no room for one more. Owns what is remembered of them:
 * the session that opens later has not all. Must not know why there was no room.
 */
import { BoundedMap } from './bounded-map.ts';

const MOST = 16_384;
const FORGOTTEN_FOR_US = 60_000_000;

export class RefusedAccesses {
  count = 0;
  /** By client and root, the last one. */
  readonly #last = new BoundedMap<string, number>(MOST);
  /** The last one that is not remembered any more. */
  #forgottenUs = -Infinity;

  note(key: string, lastUs: number): void {
    this.count += 1;
    const oldest = this.#last.set(key, lastUs);
    if (oldest !== undefined) this.#forgottenUs = Math.max(this.#forgottenUs, oldest[1]);
  }

  /** Were there any before? In doubt yes. They are forgotten with this. */
  take(key: string, atUs: number): boolean {
    const known = this.#last.has(key);
    this.#last.delete(key);
    return known || atUs <= this.#forgottenUs + FORGOTTEN_FOR_US;
  }

  keys(): Iterable<string> {
    return this.#last.keys();
  }

  delete(key: string): void {
    this.#last.delete(key);
  }
}
