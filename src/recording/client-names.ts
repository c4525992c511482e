/**
 * Names of client addresses, by reverse lookup: one question at a time, beside everything else.
 * Owns the queue and its bounds. A resolver that fails, hangs or lies costs only the name.
 */
import { lookupService } from 'node:dns/promises';
import type { ClientName } from '../store/types.ts';
import { nowUs } from './clock.ts';

export interface ClientNamesOptions {
  /** Default: what the system's resolver says (/etc/hosts, DNS, whatever nsswitch.conf names). */
  readonly lookup?: (address: string) => Promise<string>;
}

const MOST_WAITING = 1024;
const MOST_KNOWN = 16_384;
/** An answer, or none, holds so long. */
const HOLDS_US = 3_600_000_000;
/** The name of a host: anything else in an answer is somebody's joke. */
const HOST_NAME = /^[a-z0-9_]([a-z0-9_.-]{0,251}[a-z0-9_])?$/i;

export class ClientNames {
  readonly #lookup: (address: string) => Promise<string>;
  readonly #waiting = new Set<string>();
  /** Address → until when it need not be asked again. */
  readonly #asked = new Map<string, number>();
  #found: ClientName[] = [];
  #busy = false;

  constructor(options: ClientNamesOptions = {}) {
    this.#lookup =
      options.lookup ?? (async (address) => (await lookupService(address, 0)).hostname);
  }

  /** Asks for an address's name some time, unless it was asked for lately. Never waits. */
  want(address: string): void {
    if ((this.#asked.get(address) ?? 0) > nowUs()) return;
    // What does not fit is wanted again with the client's next session.
    if (this.#waiting.size >= MOST_WAITING) return;
    this.#waiting.add(address);
    if (!this.#busy) void this.#work();
  }

  /** What was found since the last call. */
  take(): ClientName[] {
    const found = this.#found;
    this.#found = [];
    return found;
  }

  /** One after the other: the resolver has few threads, and others need them too. */
  async #work(): Promise<void> {
    this.#busy = true;
    for (const address of this.#waiting) {
      this.#waiting.delete(address);
      this.#remember(address);
      try {
        const name = await this.#lookup(address);
        if (HOST_NAME.test(name)) this.#found.push({ address, name });
      } catch {
        // It has no name, or nobody answers.
      }
    }
    this.#busy = false;
  }

  #remember(address: string): void {
    this.#asked.delete(address);
    this.#asked.set(address, nowUs() + HOLDS_US);
    const oldest = this.#asked.keys().next();
    if (this.#asked.size > MOST_KNOWN && oldest.done !== true) this.#asked.delete(oldest.value);
  }
}
