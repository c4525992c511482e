/**
 * Which boot session an access belongs to: one state machine for all roots and clients.
 * Owns what opens and closes a session; pure, the caller brings the clock (CLOCK_MONOTONIC
 * microseconds). Must not know the store, file names or where rows come from.
 *
 * The rules and their reasons: docs/sessions.md.
 */
import type { NfsMarker } from '../common/batches.ts';
import type { BootEvidence, ClientIdentity, OpenSession } from '../common/boots.ts';
import type {
  AccessSeen,
  BootSessionsOptions,
  CloseReason,
  SessionEffect,
} from './boot-session-types.ts';
import { ClientIdentities, type KnownIdentity } from './client-identities.ts';
import { PendingBoots } from './pending-boots.ts';

export type { BootEvidence, ClientIdentity, OpenSession } from '../common/boots.ts';
export type * from './boot-session-types.ts';

interface Live {
  session: OpenSession;
  /** First access after the last silence that was long enough for a reboot. */
  wokeUs: number;
  /** Accesses since it woke. */
  sinceWoke: number;
  initRead: boolean;
}

/** Marks of a session whose next boot will announce itself by a marker again. */
const BY_MARKER: ReadonlySet<BootEvidence['kind']> = new Set([
  'nfs4-verifier',
  'nfs4-new-client',
  'nfs3-mount',
]);

const SECOND = 1_000_000;

export class BootSessions {
  readonly #quietUs: number;
  readonly #mountDebounceUs: number;
  readonly #rebootSilenceUs: number;
  readonly #initWithinUs: number;
  readonly #identities: ClientIdentities;
  readonly #pending = new PendingBoots();
  /** client → root id → its open session. */
  readonly #live = new Map<string, Map<number, Live>>();
  /** `client root` → the session that quiet time closed. */
  readonly #quieted = new Map<string, number>();
  /** `client root` → last FSINFO. */
  readonly #mounted = new Map<string, number>();
  readonly #collisions = new Set<string>();
  #nextId: number;
  /** `cl_boot` of the NFSv4 client ids handed out last: changes when the server starts anew. */
  #serverBoot = 0;

  constructor(options: BootSessionsOptions) {
    this.#nextId = options.nextSessionId;
    this.#quietUs = options.quietUs ?? 15 * 60 * SECOND;
    this.#mountDebounceUs = options.mountDebounceUs ?? 5 * SECOND;
    this.#rebootSilenceUs = options.rebootSilenceUs ?? 2 * SECOND;
    this.#initWithinUs = options.initWithinUs ?? 60 * SECOND;
    this.#identities = new ClientIdentities(options.identities ?? []);
    for (const session of options.open ?? [])
      this.#put({ session, wokeUs: session.lastUs, sinceWoke: 0, initRead: true });
  }

  get open(): OpenSession[] {
    return [...this.#live.values()].flatMap((roots) => [...roots.values()].map((l) => l.session));
  }

  /**
   * Boot evidence from before a root was recorded says nothing about what the client reads now.
   * Call it when a recording starts.
   */
  openRoot(rootId: number, atUs: number): void {
    this.#pending.distrustBefore(rootId, atUs);
  }

  /**
   * A moment of the NFS server's trace that may begin a boot.
   * @param mountedRootId fsinfo: the recorded root whose export handle has the marker's hash
   */
  marker(marker: NfsMarker, mountedRootId: number | null): SessionEffect[] {
    const effects = this.#expire(marker.client, marker.atUs);
    if (marker.kind === 'fsinfo') {
      if (mountedRootId !== null) this.#onMount(marker, mountedRootId, effects);
      else if (marker.hash === 0) this.#onUnknownMount(marker, effects);
    } else if (marker.kind === 'fresh') {
      this.#onFresh(marker, effects);
    } else if (marker.kind === 'confirmed_r') {
      this.#onConfirmedAgain(marker, effects);
    } else if (marker.kind === 'verf_mismatch') {
      this.#onVerifierMismatch(marker, effects);
    } else if (marker.kind !== 'confirmed' && marker.kind !== 'reclaim_complete') {
      // The client id is gone; a clean unmount or a lapsed lease is not a boot.
      this.#identities.forgetClientId(marker.clBoot, marker.clId);
    }
    return effects;
  }

  /** An access, or several of one kind between two moments: which session has it. */
  access(seen: AccessSeen): { sessionId: number; effects: SessionEffect[] } {
    const { client, rootId } = seen;
    const effects = this.#expire(client, seen.firstUs);
    let live = this.#live.get(client)?.get(rootId);
    if (live !== undefined && seen.firstUs - live.session.lastUs >= this.#rebootSilenceUs) {
      live.wokeUs = seen.firstUs;
      live.sinceWoke = 0;
    }
    if (live !== undefined && seen.readsInit === true) live = this.#onInitRead(live, seen, effects);
    live ??= this.#openNext(seen, effects);
    live.session = { ...live.session, lastUs: Math.max(live.session.lastUs, seen.lastUs) };
    live.sinceWoke += 1;
    if (seen.readsInit === true) live.initRead = true;
    return { sessionId: live.session.id, effects };
  }

  /** Closes what has been quiet for too long. */
  tick(nowUs: number): SessionEffect[] {
    return [...this.#live.keys()].flatMap((client) => this.#expire(client, nowUs));
  }

  /** The recording of a root ended. */
  closeRoot(rootId: number, atUs: number, reason: CloseReason): SessionEffect[] {
    const effects: SessionEffect[] = [];
    for (const [client, roots] of this.#live) {
      effects.push(...this.#expire(client, atUs));
      const live = roots.get(rootId);
      if (live !== undefined) this.#close(live, reason, atUs, effects);
    }
    const ofRoot = (key: string) => key.endsWith(` ${rootId}`);
    for (const memory of [this.#quieted, this.#mounted])
      for (const key of [...memory.keys()].filter(ofRoot)) memory.delete(key);
    this.#pending.forgetRoot(rootId);
    return effects;
  }

  /** A boot announced by hand. @param rootId null = on every root */
  begin(client: string, rootId: number | null, atUs: number): SessionEffect[] {
    const effects = this.#expire(client, atUs);
    for (const live of this.#sessionsOf(client))
      if (rootId === null || live.session.rootId === rootId)
        this.#close(live, 'manual', atUs, effects);
    this.#pending.expect({ client, rootId, evidence: { kind: 'manual' }, atUs });
    return effects;
  }

  #onMount(marker: NfsMarker, rootId: number, effects: SessionEffect[]): void {
    const { client, atUs } = marker;
    if (this.#isSameMount(keyOf(client, rootId), atUs)) return;
    const live = this.#live.get(client)?.get(rootId);
    if (live !== undefined) {
      const byNfs4 = live.session.evidence.kind.startsWith('nfs4-');
      // An NFSv4 boot announces itself as such: without a silence this is one mount more.
      if (byNfs4 && atUs - live.session.lastUs < this.#rebootSilenceUs) return;
      this.#close(live, 'boot', atUs, effects);
    }
    this.#pending.expect({ client, rootId, evidence: { kind: 'nfs3-mount' }, atUs });
  }

  /** FSINFO on a file handle that is not known (tier `reads`): perhaps of another export. */
  #onUnknownMount({ client, atUs }: NfsMarker, effects: SessionEffect[]): void {
    if (this.#isSameMount(keyOf(client, 'any'), atUs)) return;
    this.#closeSilent(client, atUs, effects);
    this.#expectEverywhere(client, { kind: 'nfs3-mount' }, atUs);
  }

  /** A Linux client sends FSINFO twice in one mount: the probe and the root's attributes. */
  #isSameMount(key: string, atUs: number): boolean {
    const before = this.#mounted.get(key);
    this.#mounted.set(key, atUs);
    return before !== undefined && atUs - before < this.#mountDebounceUs;
  }

  #onFresh(marker: NfsMarker, effects: SessionEffect[]): void {
    const { client, atUs, verifier } = marker;
    const ownerName = marker.name ?? Buffer.alloc(0);
    const serverRestarted = this.#noteServerBoot(marker.clBoot);
    this.#identities.learnClientId(marker.clBoot, marker.clId, { address: client, ownerName });
    const known = this.#identities.get(client, ownerName);
    const sameBoot = this.#identities.atAddress(client).some((id) => id.verifier === verifier);
    if (known?.verifier === verifier) return;
    const elsewhere = known === undefined ? this.#identities.elsewhere(client, ownerName) : [];
    this.#learn({ address: client, ownerName, verifier }, atUs, effects);
    // One boot may use several owner names (NFSv4.0 and 4.1 differ), all with its one verifier.
    if (sameBoot) return;
    if (known !== undefined) {
      this.#onReboot({ client, verifier, atUs, known }, effects);
      return;
    }
    for (const other of elsewhere) {
      effects.push(...this.#expire(other.address, atUs));
      if (this.#sessionsOf(other.address).length > 0) this.#collide(client, other, effects);
    }
    this.#onNewClient({ client, verifier, atUs, serverRestarted }, effects);
  }

  /** The server knew the client and its verifier: a remount, or news to us alone. */
  #onConfirmedAgain(marker: NfsMarker, effects: SessionEffect[]): void {
    const { client, atUs, verifier, clBoot, clId } = marker;
    const ownerName = marker.name ?? Buffer.alloc(0);
    this.#noteServerBoot(clBoot);
    this.#identities.learnClientId(clBoot, clId, { address: client, ownerName });
    const known = this.#identities.get(client, ownerName);
    const sameBoot = this.#identities.atAddress(client).some((id) => id.verifier === verifier);
    if (known?.verifier === verifier) return;
    this.#learn({ address: client, ownerName, verifier }, atUs, effects);
    // It rebooted while nobody looked: what it read since its boot was not seen.
    if (known !== undefined && !sameBoot)
      this.#onReboot({ client, verifier, atUs, known, unseen: true }, effects);
  }

  #onVerifierMismatch(marker: NfsMarker, effects: SessionEffect[]): void {
    const { client, atUs, verifier, oldVerifier } = marker;
    this.#noteServerBoot(marker.clBoot);
    const holder =
      this.#identities.ofClientId(marker.clBoot, marker.clId) ??
      this.#identities.withVerifier(client, oldVerifier);
    const sameBoot = this.#identities.atAddress(client).some((id) => id.verifier === verifier);
    if (holder !== undefined && holder.address !== client) this.#collide(client, holder, effects);
    if (sameBoot) return;
    const ownerName = holder?.ownerName ?? Buffer.alloc(0);
    const known = this.#identities.get(client, ownerName);
    this.#learn({ address: client, ownerName, verifier }, atUs, effects);
    if (holder === undefined || holder.address === client || known !== undefined)
      this.#onReboot({ client, verifier, atUs, known, oldVerifier }, effects);
    else this.#onNewClient({ client, verifier, atUs, serverRestarted: false }, effects);
  }

  /** The verifier of a known (address, owner name) changed: every session of the client ends. */
  #onReboot(
    boot: {
      client: string;
      verifier: string;
      atUs: number;
      known: KnownIdentity | undefined;
      oldVerifier?: string;
      unseen?: boolean;
    },
    effects: SessionEffect[],
  ): void {
    const { client, verifier, atUs, known } = boot;
    // A client with its root on v3 shows its reboot by FSINFO first and by the verifier only when
    // it mounts something over v4: the session opened in between is this boot's already.
    const startedByThisBoot = ({ session }: Live) =>
      session.evidence.kind === 'nfs3-mount' &&
      session.openedUs > (known?.seenUs ?? -Infinity) &&
      atUs - session.lastUs < this.#rebootSilenceUs;
    for (const live of this.#sessionsOf(client))
      if (!startedByThisBoot(live)) this.#close(live, 'boot', atUs, effects);
    const previousVerifier = boot.oldVerifier ?? known?.verifier ?? '';
    const evidence: BootEvidence = {
      kind: 'nfs4-verifier',
      detail: { verifier, ...(previousVerifier === '' ? {} : { previousVerifier }) },
    };
    this.#expectEverywhere(client, evidence, atUs, boot.unseen);
  }

  /** An NFSv4 client never seen before: a boot, or one more mount of a client that is up. */
  #onNewClient(
    boot: { client: string; verifier: string; atUs: number; serverRestarted: boolean },
    effects: SessionEffect[],
  ): void {
    const { client, verifier, atUs } = boot;
    // A client that is up runs its mount program from the root, which asks the server (close-to-
    // open consistency); one that reboots is silent before. When the server itself was away, its
    // clients were silent too.
    if (!boot.serverRestarted) this.#closeSilent(client, atUs, effects);
    this.#expectEverywhere(client, { kind: 'nfs4-new-client', detail: { verifier } }, atUs);
  }

  #closeSilent(client: string, atUs: number, effects: SessionEffect[]): void {
    for (const live of this.#sessionsOf(client))
      if (atUs - live.session.lastUs >= this.#rebootSilenceUs)
        this.#close(live, 'boot', atUs, effects);
  }

  /** The first program was read again after a silence: the boot of a client without markers. */
  #onInitRead(live: Live, seen: AccessSeen, effects: SessionEffect[]): Live | undefined {
    const { session } = live;
    if (BY_MARKER.has(session.evidence.kind)) return live;
    if (seen.firstUs - live.wokeUs > this.#initWithinUs) return live;
    if (live.wokeUs === session.openedUs) {
      if (session.evidence.kind !== 'first-traffic' || live.initRead) return live;
      live.session = { ...session, evidence: { kind: 'init-read' }, partial: false };
      effects.push({ kind: 'revised', session: live.session });
      return live;
    }
    const strays = live.sinceWoke > 0;
    this.#close(live, 'boot', seen.firstUs, effects);
    // What came between the silence and this read stays with the session before.
    const evidence: BootEvidence = strays
      ? { kind: 'init-read', detail: { after: session.id } }
      : { kind: 'init-read' };
    return this.#openAs(seen, evidence, strays, effects);
  }

  #openNext(seen: AccessSeen, effects: SessionEffect[]): Live {
    const { client, rootId } = seen;
    const boot = this.#pending.take(client, rootId);
    if (boot !== undefined) return this.#openAs(seen, boot.evidence, boot.partial, effects);
    const after = this.#quieted.get(keyOf(client, rootId));
    if (after !== undefined)
      return this.#openAs(seen, { kind: 'quiet', detail: { after } }, true, effects);
    if (seen.readsInit === true) return this.#openAs(seen, { kind: 'init-read' }, false, effects);
    return this.#openAs(seen, { kind: 'first-traffic' }, true, effects);
  }

  #openAs(
    seen: AccessSeen,
    evidence: BootEvidence,
    partial: boolean,
    effects: SessionEffect[],
  ): Live {
    const { client, rootId, recordingId, firstUs } = seen;
    const id = this.#nextId;
    this.#nextId += 1;
    const session: OpenSession = {
      id,
      client,
      rootId,
      recordingId,
      evidence,
      partial,
      openedUs: firstUs,
      lastUs: firstUs,
    };
    this.#quieted.delete(keyOf(client, rootId));
    effects.push({ kind: 'opened', session });
    return this.#put({ session, wokeUs: firstUs, sinceWoke: 0, initRead: false });
  }

  #put(live: Live): Live {
    const { client, rootId } = live.session;
    const roots = this.#live.get(client) ?? new Map<number, Live>();
    this.#live.set(client, roots.set(rootId, live));
    return live;
  }

  #sessionsOf(client: string): Live[] {
    return [...(this.#live.get(client)?.values() ?? [])];
  }

  #close(live: Live, reason: CloseReason, atUs: number, effects: SessionEffect[]): void {
    const { id, client, rootId } = live.session;
    const roots = this.#live.get(client);
    roots?.delete(rootId);
    if (roots?.size === 0) this.#live.delete(client);
    effects.push({ kind: 'closed', id, reason, atUs: Math.max(atUs, live.session.openedUs) });
  }

  /**
   * Quiet time ends a session at a moment that does not depend on when anybody looks, so that
   * the cut of batches never changes the sessions.
   */
  #expire(client: string, nowUs: number): SessionEffect[] {
    const effects: SessionEffect[] = [];
    for (const live of this.#sessionsOf(client)) {
      const { id, rootId, lastUs } = live.session;
      if (nowUs - lastUs < this.#quietUs) continue;
      this.#close(live, 'quiet', lastUs + this.#quietUs, effects);
      this.#quieted.set(keyOf(client, rootId), id);
    }
    return effects;
  }

  /** The next access on each root opens its session; roots with one still open have theirs. */
  #expectEverywhere(client: string, evidence: BootEvidence, atUs: number, partial = false): void {
    const except = this.#sessionsOf(client).map((live) => live.session.rootId);
    this.#pending.expect({ client, rootId: null, evidence, atUs, partial, except });
  }

  #learn(identity: ClientIdentity, atUs: number, effects: SessionEffect[]): void {
    this.#identities.learn(identity, atUs);
    effects.push({ kind: 'identity', identity });
  }

  #collide(address: string, other: ClientIdentity, effects: SessionEffect[]): void {
    const pair = [address, other.address].sort().join(' ');
    const key = `${pair} ${other.ownerName.toString('hex')}`;
    if (this.#collisions.has(key)) return;
    this.#collisions.add(key);
    const { address: otherAddress, ownerName } = other;
    effects.push({ kind: 'collision', address, otherAddress, ownerName });
  }

  #noteServerBoot(clBoot: number): boolean {
    const before = this.#serverBoot;
    if (clBoot !== 0) this.#serverBoot = clBoot;
    return before !== 0 && clBoot !== 0 && before !== clBoot;
  }
}

function keyOf(client: string, rootId: number | 'any'): string {
  return `${client} ${rootId}`;
}
