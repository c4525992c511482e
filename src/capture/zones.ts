/**
 * The zone of a link-local address: the kernel's events have the number of an interface, which is
 * another one after the next boot; people and the store have its name. Owns that translation.
 */
import { networkInterfaces } from 'node:os';

/** An interface that is not there is looked for again at most this often. */
const LEAST_GAP_MS = 1000;

export class Zones {
  readonly #names = new Map<string, string>();
  readonly #interfaces: typeof networkInterfaces;
  #nextLookMs = 0;

  constructor(options: { readonly interfaces?: typeof networkInterfaces } = {}) {
    this.#interfaces = options.interfaces ?? networkInterfaces;
  }

  /** `fe80::7%3` as `fe80::7%eth0`; as it is if there is no such interface. */
  named(client: string): string {
    const at = client.indexOf('%');
    if (at < 0) return client;
    const zone = client.slice(at + 1);
    if (!this.#names.has(zone) && Date.now() >= this.#nextLookMs) this.#look();
    return `${client.slice(0, at)}%${this.#names.get(zone) ?? zone}`;
  }

  /** The first name that an interface is seen under stays, so that its clients stay the same. */
  #look(): void {
    this.#nextLookMs = Date.now() + LEAST_GAP_MS;
    for (const [name, addresses = []] of Object.entries(this.#interfaces()))
      for (const address of addresses)
        if (address.family === 'IPv6' && address.scopeid !== 0) {
          const zone = String(address.scopeid);
          if (!this.#names.has(zone)) this.#names.set(zone, name);
        }
  }
}
