/**
 * How many sessions may be opened in a time: addresses are network input, and one IPv6 network has
 * 2^64 of them. Owns the two budgets, of all clients and of each; pure.
 */
import { BoundedMap } from './bounded-map.ts';

export interface BudgetOptions {
  /** Sessions at once, after a time without any. Default 8192: a site that gets its power back. */
  readonly burst?: number;
  /** Sessions a second that go on for ever. Default 2. */
  readonly perSecond?: number;
  /** Boots of one client at once. Default 30. */
  readonly bootsOfClient?: number;
  /** Boots of one client a minute that go on for ever. Default 2. */
  readonly bootsPerMinute?: number;
}

interface Bucket {
  left: number;
  atUs: number;
}

const SECOND = 1_000_000;
const MOST_CLIENTS = 16_384;

export class SessionBudget {
  readonly #all: Bucket;
  readonly #burst: number;
  readonly #perUs: number;
  readonly #clients = new BoundedMap<string, Bucket>(MOST_CLIENTS);
  readonly #boots: number;
  readonly #bootsPerUs: number;

  constructor(options: BudgetOptions = {}) {
    this.#burst = options.burst ?? 8192;
    this.#perUs = (options.perSecond ?? 2) / SECOND;
    this.#boots = options.bootsOfClient ?? 30;
    this.#bootsPerUs = (options.bootsPerMinute ?? 2) / (60 * SECOND);
    this.#all = { left: this.#burst, atUs: -Infinity };
  }

  mayOpen(atUs: number): boolean {
    return take(this.#all, { atUs, most: this.#burst, perUs: this.#perUs });
  }

  mayBoot(client: string, atUs: number): boolean {
    const bucket = this.#clients.get(client) ?? { left: this.#boots, atUs };
    this.#clients.set(client, bucket);
    return take(bucket, { atUs, most: this.#boots, perUs: this.#bootsPerUs });
  }
}

function take(
  bucket: Bucket,
  { atUs, most, perUs }: { atUs: number; most: number; perUs: number },
): boolean {
  // Events of two batches may come out of order; time does not run backwards for it.
  const passed = Math.max(0, atUs - bucket.atUs);
  bucket.left = Math.min(most, bucket.left + (passed === Infinity ? most : passed * perUs));
  bucket.atUs = Math.max(bucket.atUs, atUs);
  if (bucket.left < 1) return false;
  bucket.left -= 1;
  return true;
}
