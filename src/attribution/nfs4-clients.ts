/**
 * What a moment in an NFSv4 client's life means: a boot, a client never seen, or nothing new.
 * Owns the identities, the machines behind each address and who shares a name with whom; must not
 * know sessions.
 */
import type { NfsMarker } from '../common/batches.ts';
import type { ClientIdentity } from '../common/boots.ts';
import { BoundedMap } from './bounded-map.ts';
import type { ClientRenewal, SessionEffect } from './boot-session-types.ts';
import {
  ClientIdentities,
  foldOwnerName,
  type IdentityBounds,
  type KnownIdentity,
} from './client-identities.ts';
import { Machines } from './machines.ts';

export type Verdict =
  /** The verifier of a known (address, owner name) changed. */
  | {
      readonly kind: 'reboot';
      readonly verifier: string;
      readonly previousVerifier: string;
      /** When the verifier before was learnt. */
      readonly knownUs: number;
      /** The server knew it already: the boot itself was not seen. */
      readonly unseen: boolean;
    }
  /** An (address, owner name) never seen. */
  | { readonly kind: 'new-client'; readonly verifier: string; readonly serverRestarted: boolean }
  /** The verifier that is known: a remount, or a boot with the clock where it was. */
  | { readonly kind: 'again'; readonly verifier: string; readonly serverRestarted: boolean };

export interface Judgement {
  readonly verdict: Verdict | null;
  /** The marker proved that several machines are behind its address. */
  readonly shared: boolean;
  readonly effects: readonly SessionEffect[];
}

const MOST_COLLISIONS = 4096;
/** After a server started anew its clients come back within a grace period and a lease. */
const SERVER_IS_NEW_US = 120_000_000;
/** Of whom only the verifier is known: it replaced one of a boot that nobody saw. */
const UNKNOWN_NAME = Buffer.alloc(0);
const NOTHING: Judgement = { verdict: null, shared: false, effects: [] };

export class Nfs4Clients {
  readonly #identities: ClientIdentities;
  readonly #machines = new Machines();
  /** Address → another one with the same owner name. */
  readonly #collisions = new BoundedMap<string, ClientIdentity>(MOST_COLLISIONS);
  readonly #isActive: (address: string, atUs: number) => boolean;
  /** `cl_boot` of the NFSv4 client ids handed out last: changes when the server starts anew. */
  #serverBoot = 0;
  #serverBootUs = -Infinity;

  /** @param options.isActive has the address an open session? */
  constructor(options: {
    readonly identities: readonly ClientIdentity[];
    readonly bounds?: IdentityBounds | undefined;
    readonly isActive: (address: string, atUs: number) => boolean;
  }) {
    this.#isActive = options.isActive;
    this.#identities = new ClientIdentities(options.identities, options.bounds);
    for (const { address, verifier, ownerName } of options.identities)
      this.#machines.recall(address, verifier, ownerName);
  }

  /** Identities that were forgotten to keep their bound. */
  get forgotten(): number {
    return this.#identities.forgotten;
  }

  judge(marker: NfsMarker): Judgement {
    const { kind } = marker;
    if (kind === 'fresh' || kind === 'confirmed_r') return this.#onIntroduction(marker);
    if (kind === 'verf_mismatch') return this.#onMismatch(marker);
    // The client id is gone; a clean unmount or a lapsed lease is not a boot.
    if (kind !== 'fsinfo' && kind !== 'confirmed' && kind !== 'reclaim_complete')
      this.#identities.forgetClientId(marker.clBoot, marker.clId);
    return NOTHING;
  }

  /** The server's own word on who is alive. Gives the addresses that it proves to be shared. */
  renewed(renewals: readonly ClientRenewal[]): string[] {
    return renewals.flatMap(({ clBoot, clId, address, ownerName, atUs }) => {
      // A client id from before this daemon is known by its name, unless a machine without a known
      // name is there: it may be that one's, and the name has then the verifier of an older boot.
      const unnamed = this.#identities.get(address, UNKNOWN_NAME) !== undefined;
      const identity =
        this.#identities.ofClientId(clBoot, clId) ??
        (unnamed ? undefined : this.#identities.get(address, ownerName));
      if (identity === undefined || !this.#machines.isWatched(identity.address)) return [];
      return this.#machines.saw(identity.address, identity, atUs) ? [identity.address] : [];
    });
  }

  /** Would {@link renewed} tell more? */
  isCurious(nowUs: number): boolean {
    return this.#machines.isCurious(nowUs);
  }

  /** Two machines use the address at once although no marker says so. True if that is new. */
  share(address: string): boolean {
    return this.#machines.share(address);
  }

  /** Owner names behind a shared address, one for each machine that is alive; else none. */
  sharing(address: string, atUs: number): Buffer[] {
    const machines = this.#machines.behind(address, atUs);
    return machines.size < 2 ? [] : [...machines.values()].map(({ ownerName }) => ownerName);
  }

  /** The other address that uses this one's owner name. */
  collision(address: string): ClientIdentity | undefined {
    return this.#collisions.get(address);
  }

  /** EXCHANGE_ID or SETCLIENTID. */
  #onIntroduction(marker: NfsMarker): Judgement {
    const { client, atUs, verifier, clBoot, clId, kind } = marker;
    const effects: SessionEffect[] = [];
    const ownerName = marker.name ?? Buffer.alloc(0);
    const serverRestarted = this.#noteServerBoot(clBoot, atUs);
    this.#identities.learnClientId(clBoot, clId, { address: client, ownerName });
    const known = this.#identities.get(client, ownerName);
    const sameBoot = this.#isBoot(client, verifier);
    const shared = this.#machines.saw(client, { verifier, ownerName }, atUs);
    const elsewhere = known === undefined ? this.#identities.elsewhere(client, ownerName) : [];
    if (known?.verifier !== verifier)
      this.#learn({ address: client, ownerName, verifier }, atUs, effects);
    // One boot may use several owner names (NFSv4.0 and 4.1 differ), all with its one verifier.
    if (sameBoot) return { verdict: { kind: 'again', verifier, serverRestarted }, shared, effects };
    const unseen = kind === 'confirmed_r';
    if (known !== undefined) {
      const before = { previousVerifier: known.verifier, knownUs: known.seenUs };
      this.#machines.retire(client, known.verifier);
      return { verdict: { kind: 'reboot', verifier, ...before, unseen }, shared, effects };
    }
    // The server knew it: it is news to us alone.
    if (unseen) return { verdict: null, shared, effects };
    const other = elsewhere.find(({ address }) => this.#isActive(address, atUs));
    if (other !== undefined) this.#collide(client, other, effects);
    return { verdict: { kind: 'new-client', verifier, serverRestarted }, shared, effects };
  }

  #onMismatch(marker: NfsMarker): Judgement {
    const { client, atUs, verifier, oldVerifier } = marker;
    const effects: SessionEffect[] = [];
    this.#noteServerBoot(marker.clBoot, atUs);
    const holder =
      this.#identities.ofClientId(marker.clBoot, marker.clId) ??
      this.#identities.withVerifier(client, oldVerifier);
    const ownerName = holder?.ownerName ?? UNKNOWN_NAME;
    const known = this.#identities.get(client, ownerName);
    const sameBoot = this.#isBoot(client, verifier);
    const shared = this.#machines.saw(client, { verifier, ownerName }, atUs);
    if (holder !== undefined && holder.address !== client) this.#collide(client, holder, effects);
    if (sameBoot) return { verdict: null, shared, effects };
    this.#learn({ address: client, ownerName, verifier }, atUs, effects);
    if (holder === undefined || holder.address === client || known !== undefined) {
      const previousVerifier = oldVerifier === '' ? (known?.verifier ?? '') : oldVerifier;
      const before = { previousVerifier, knownUs: known?.seenUs ?? -Infinity };
      this.#machines.retire(client, previousVerifier);
      return { verdict: { kind: 'reboot', verifier, ...before, unseen: false }, shared, effects };
    }
    const verdict = { kind: 'new-client', verifier, serverRestarted: false } as const;
    return { verdict, shared, effects };
  }

  /** Is it the verifier of a boot that the address has had already? */
  #isBoot(address: string, verifier: string): boolean {
    return (
      this.#machines.knows(address, verifier) ||
      this.#identities.atAddress(address).some((identity) => identity.verifier === verifier)
    );
  }

  #learn(named: ClientIdentity, atUs: number, effects: SessionEffect[]): void {
    const identity = { ...named, ownerName: foldOwnerName(named.ownerName) };
    const forgotten = this.#identities.learn(identity, atUs);
    effects.push({ kind: 'identity', identity });
    if (forgotten === undefined) return;
    const { address, ownerName, verifier } = forgotten;
    effects.push({ kind: 'identity-forgotten', identity: { address, ownerName, verifier } });
  }

  /** Once for each newcomer: with one name on a thousand clones, not for each pair. */
  #collide(address: string, other: KnownIdentity, effects: SessionEffect[]): void {
    const { address: otherAddress, ownerName, verifier } = other;
    if (this.#collisions.get(address)?.ownerName.equals(ownerName) === true) return;
    const known = this.#collisions.get(otherAddress);
    this.#collisions.set(address, { address: otherAddress, ownerName, verifier });
    if (known?.address === address && known.ownerName.equals(ownerName)) return;
    if (known === undefined)
      this.#collisions.set(otherAddress, { address, ownerName, verifier: '' });
    effects.push({ kind: 'collision', address, otherAddress, ownerName });
  }

  /** True while the server's clients come back to a server that started anew. */
  #noteServerBoot(clBoot: number, atUs: number): boolean {
    const before = this.#serverBoot;
    if (clBoot !== 0) this.#serverBoot = clBoot;
    if (before !== 0 && clBoot !== 0 && before !== clBoot) this.#serverBootUs = atUs;
    return atUs - this.#serverBootUs < SERVER_IS_NEW_US;
  }
}
