/**
 * What is known of NFSv4 clients: (address, owner name) → boot verifier, and which client id
 * belongs to whom. Owns that memory and its bound; must not decide what a change means.
 */
import { createHash } from 'node:crypto';
import type { ClientIdentity } from '../common/boots.ts';
import { BoundedMap } from './bounded-map.ts';

export interface KnownIdentity extends ClientIdentity {
  /** When the verifier was last learnt; -Infinity when it came from the store. */
  readonly seenUs: number;
}

export interface ClientOwner {
  readonly address: string;
  readonly ownerName: Buffer;
}

export interface IdentityBounds {
  /** (address, owner name) pairs. Default 16384. */
  readonly identities?: number;
  /** NFSv4 client ids. Default 32768. */
  readonly clientIds?: number;
}

/** Owner names are up to 1024 bytes of a client's choice (NFS4_OPAQUE_LIMIT). */
const LONGEST_NAME = 128;
const KEPT_OF_LONG = 64;
/** With one host name on a thousand clones, this many tell who else has it. */
const MOST_ELSEWHERE = 64;

/** A name as it is kept: what is long is its beginning and a digest, in readable bytes. */
export function foldOwnerName(name: Buffer): Buffer {
  if (name.length <= LONGEST_NAME) return name;
  const digest = createHash('sha256').update(name).digest('hex').slice(0, 32);
  return Buffer.concat([name.subarray(0, KEPT_OF_LONG), Buffer.from(`...${digest}`)]);
}

export class ClientIdentities {
  readonly #identities: BoundedMap<string, KnownIdentity>;
  readonly #byAddress = new Map<string, Map<string, KnownIdentity>>();
  readonly #byOwner = new Map<string, Map<string, KnownIdentity>>();
  readonly #byVerifier = new Map<string, Map<string, KnownIdentity>>();
  readonly #byClientId: BoundedMap<string, ClientOwner>;

  constructor(identities: readonly ClientIdentity[], bounds: IdentityBounds = {}) {
    this.#identities = new BoundedMap(bounds.identities ?? 16_384);
    this.#byClientId = new BoundedMap(bounds.clientIds ?? 32_768);
    for (const identity of identities) this.learn(identity, -Infinity);
  }

  get size(): number {
    return this.#identities.size;
  }

  /** Identities that were forgotten to keep the bound. */
  get forgotten(): number {
    return this.#identities.dropped;
  }

  get(address: string, ownerName: Buffer): KnownIdentity | undefined {
    return this.#identities.get(pairKey(address, foldOwnerName(ownerName)));
  }

  atAddress(address: string): KnownIdentity[] {
    return [...(this.#byAddress.get(address)?.values() ?? [])];
  }

  /** The same owner name at other addresses; not all of very many. */
  elsewhere(address: string, ownerName: Buffer): KnownIdentity[] {
    const found: KnownIdentity[] = [];
    const owners = this.#byOwner.get(textKey(foldOwnerName(ownerName)));
    for (const identity of owners?.values() ?? []) {
      if (identity.address !== address) found.push(identity);
      if (found.length === MOST_ELSEWHERE) break;
    }
    return found;
  }

  /** Who has this verifier: the address itself if it does, else the first other. */
  withVerifier(address: string, verifier: string): KnownIdentity | undefined {
    if (verifier === '') return undefined;
    const own = this.atAddress(address).find((identity) => identity.verifier === verifier);
    return own ?? this.#byVerifier.get(verifier)?.values().next().value;
  }

  /** Gives what had to be forgotten for it. */
  learn(identity: ClientIdentity, seenUs: number): KnownIdentity | undefined {
    const ownerName = foldOwnerName(identity.ownerName);
    const known = { ...identity, ownerName, seenUs };
    const key = pairKey(identity.address, ownerName);
    const before = this.#identities.get(key);
    if (before !== undefined) this.#unlink(key, before);
    put(this.#byAddress, known.address, key, known);
    put(this.#byOwner, textKey(ownerName), key, known);
    put(this.#byVerifier, known.verifier, key, known);
    const oldest = this.#identities.set(key, known);
    if (oldest !== undefined) this.#unlink(...oldest);
    return oldest?.[1];
  }

  learnClientId(clBoot: number, clId: number, owner: ClientOwner): void {
    if (clBoot === 0 && clId === 0) return;
    const ownerName = foldOwnerName(owner.ownerName);
    this.#byClientId.set(`${clBoot}:${clId}`, { address: owner.address, ownerName });
  }

  ofClientId(clBoot: number, clId: number): KnownIdentity | undefined {
    const owner = this.#byClientId.get(`${clBoot}:${clId}`);
    return owner === undefined ? undefined : this.get(owner.address, owner.ownerName);
  }

  forgetClientId(clBoot: number, clId: number): void {
    this.#byClientId.delete(`${clBoot}:${clId}`);
  }

  #unlink(key: string, { address, ownerName, verifier }: KnownIdentity): void {
    take(this.#byAddress, address, key);
    take(this.#byOwner, textKey(ownerName), key);
    take(this.#byVerifier, verifier, key);
  }
}

function textKey(ownerName: Buffer): string {
  return ownerName.toString('latin1');
}

function pairKey(address: string, ownerName: Buffer): string {
  return `${address} ${textKey(ownerName)}`;
}

type Index = Map<string, Map<string, KnownIdentity>>;

function put(index: Index, by: string, key: string, identity: KnownIdentity): void {
  const entries = index.get(by) ?? new Map<string, KnownIdentity>();
  index.set(by, entries.set(key, identity));
}

function take(index: Index, by: string, key: string): void {
  const entries = index.get(by);
  entries?.delete(key);
  if (entries?.size === 0) index.delete(by);
}
