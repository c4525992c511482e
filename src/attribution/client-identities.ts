/**
 * What is known of NFSv4 clients: (address, owner name) → boot verifier, and which client id
 * belongs to whom. Owns that memory; must not decide what a change means.
 */
import type { ClientIdentity } from '../common/boots.ts';

export interface KnownIdentity extends ClientIdentity {
  /** When the verifier was last learnt; -Infinity when it came from the store. */
  readonly seenUs: number;
}

export interface ClientOwner {
  readonly address: string;
  readonly ownerName: Buffer;
}

/** Client ids are forgotten oldest first: a server with more live NFSv4 clients is not known. */
const MAX_CLIENT_IDS = 65_536;

export class ClientIdentities {
  /** address → owner name (hex) → identity. */
  readonly #byAddress = new Map<string, Map<string, KnownIdentity>>();
  readonly #byClientId = new Map<string, ClientOwner>();

  constructor(identities: readonly ClientIdentity[]) {
    for (const identity of identities) this.learn(identity, -Infinity);
  }

  get(address: string, ownerName: Buffer): KnownIdentity | undefined {
    return this.#byAddress.get(address)?.get(ownerName.toString('hex'));
  }

  atAddress(address: string): KnownIdentity[] {
    return [...(this.#byAddress.get(address)?.values() ?? [])];
  }

  /** The same owner name at other addresses. */
  elsewhere(address: string, ownerName: Buffer): KnownIdentity[] {
    const owner = ownerName.toString('hex');
    return [...this.#byAddress.entries()]
      .filter(([other]) => other !== address)
      .flatMap(([, owners]) => owners.get(owner) ?? []);
  }

  /** Who has this verifier: the address itself if it does, else the first other. */
  withVerifier(address: string, verifier: string): KnownIdentity | undefined {
    if (verifier === '') return undefined;
    const has = (identity: KnownIdentity) => identity.verifier === verifier;
    const own = this.atAddress(address).find(has);
    if (own !== undefined) return own;
    for (const owners of this.#byAddress.values())
      for (const identity of owners.values()) if (has(identity)) return identity;
    return undefined;
  }

  learn(identity: ClientIdentity, seenUs: number): void {
    const owners = this.#byAddress.get(identity.address) ?? new Map<string, KnownIdentity>();
    owners.set(identity.ownerName.toString('hex'), { ...identity, seenUs });
    this.#byAddress.set(identity.address, owners);
  }

  learnClientId(clBoot: number, clId: number, owner: ClientOwner): void {
    if (clBoot === 0 && clId === 0) return;
    this.#byClientId.set(`${clBoot}:${clId}`, owner);
    const oldest = this.#byClientId.keys().next();
    if (this.#byClientId.size > MAX_CLIENT_IDS && oldest.done !== true)
      this.#byClientId.delete(oldest.value);
  }

  ofClientId(clBoot: number, clId: number): KnownIdentity | undefined {
    const owner = this.#byClientId.get(`${clBoot}:${clId}`);
    return owner === undefined ? undefined : this.get(owner.address, owner.ownerName);
  }

  forgetClientId(clBoot: number, clId: number): void {
    this.#byClientId.delete(`${clBoot}:${clId}`);
  }
}
