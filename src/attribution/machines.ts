/**
 * Which machines are behind an address: an NFSv4 boot verifier is one machine's boot, so two of
 * them that are alive in turns are two machines behind one address (NAT, or network namespaces of
 * one host). Owns what is known of each verifier's life; must not know sessions.
 */
import { BoundedMap } from './bounded-map.ts';
import { foldOwnerName } from './client-identities.ts';

export interface Machine {
  /** As {@link foldOwnerName} gives it. */
  readonly ownerName: Buffer;
  /** First and last sign of life; Infinity and -Infinity if there was none yet. */
  readonly firstUs: number;
  readonly lastUs: number;
}

interface Place {
  /** Verifier → machine. */
  readonly machines: BoundedMap<string, Machine>;
  shared: boolean;
  suspectUntilUs: number;
}

const MOST_ADDRESSES = 16_384;
const MOST_BEHIND_ONE = 64;
const MOST_WATCHED = 1024;
/** A client renews its lease (90 s, seldom more) when two thirds of it are over. */
const ALIVE_US = 180_000_000;

export class Machines {
  readonly #places = new BoundedMap<string, Place>(MOST_ADDRESSES);
  /** Addresses whose machines' lives are worth looking at. */
  readonly #watched = new BoundedMap<string, true>(MOST_WATCHED);

  /** Has this boot been seen at the address? */
  knows(address: string, verifier: string): boolean {
    return this.#places.get(address)?.machines.has(verifier) === true;
  }

  /**
   * The store knows this boot: when it began, and whether it is over, it cannot say. So its life
   * begins with its first sign: the server keeps a client that lost power for hours, with its last
   * renewal, and that may lie anywhere in the time that nobody saw.
   */
  recall(address: string, verifier: string, ownerName: Buffer): void {
    const { machines } = this.#place(address);
    const folded = foldOwnerName(ownerName);
    machines.set(verifier, { ownerName: folded, firstUs: Infinity, lastUs: -Infinity });
    if ([...machines.entries()].some(([, other]) => !other.ownerName.equals(folded)))
      this.#watched.set(address, true);
  }

  /**
   * A sign of life. True if it proves that the address is shared: another machine gave one after
   * this one had begun and before now.
   */
  saw(
    address: string,
    machine: { readonly verifier: string; readonly ownerName: Buffer },
    atUs: number,
  ): boolean {
    const place = this.#place(address);
    const { verifier } = machine;
    const ownerName = foldOwnerName(machine.ownerName);
    const known = place.machines.get(verifier);
    const firstUs = known === undefined || known.firstUs === Infinity ? atUs : known.firstUs;
    const lastUs = Math.max(known?.lastUs ?? atUs, atUs);
    place.machines.set(verifier, { ownerName: known?.ownerName ?? ownerName, firstUs, lastUs });
    const others = [...place.machines.entries()].filter(([other]) => other !== verifier);
    if (others.some(([, other]) => !other.ownerName.equals(ownerName))) {
      if (known === undefined) place.suspectUntilUs = atUs + ALIVE_US;
      this.#watched.set(address, true);
    }
    const alternates = others.some(([, other]) => firstUs < other.lastUs && other.lastUs < atUs);
    return alternates && this.share(address);
  }

  /** Its boot seems to be over; if it shows life again, it was not. */
  retire(address: string, verifier: string): void {
    const machines = this.#places.get(address)?.machines;
    const known = machines?.get(verifier);
    if (known !== undefined) machines?.set(verifier, { ...known, lastUs: -Infinity });
  }

  /** True if it was not known to be shared. */
  share(address: string): boolean {
    const place = this.#place(address);
    if (place.shared) return false;
    place.shared = true;
    this.#watched.set(address, true);
    return true;
  }

  /** The machines behind a shared address that showed life lately; none if it is not shared. */
  behind(address: string, atUs: number): ReadonlyMap<string, Machine> {
    const place = this.#places.get(address);
    if (place?.shared !== true) return new Map();
    const alive = [...place.machines.entries()].filter(
      ([, { lastUs }]) => atUs - lastUs < ALIVE_US,
    );
    return new Map(alive);
  }

  /** Is there an address at which the server's own view of its clients would tell more? */
  isCurious(nowUs: number): boolean {
    for (const address of [...this.#watched.keys()]) {
      const place = this.#places.get(address);
      if ((place?.suspectUntilUs ?? 0) > nowUs || this.behind(address, nowUs).size > 1) return true;
      this.#watched.delete(address);
    }
    return false;
  }

  isWatched(address: string): boolean {
    return this.#watched.has(address);
  }

  #place(address: string): Place {
    const known = this.#places.get(address);
    if (known !== undefined) return known;
    const place: Place = {
      machines: new BoundedMap(MOST_BEHIND_ONE),
      shared: false,
      suspectUntilUs: -Infinity,
    };
    this.#places.set(address, place);
    return place;
  }
}
