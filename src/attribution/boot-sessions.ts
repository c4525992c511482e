/**
 * Which boot session an access belongs to: one state machine for all roots and clients.
 * Owns what opens and closes a session; pure, the caller brings the clock (CLOCK_MONOTONIC
 * microseconds). Must not know the store, file names or where rows come from.
 *
 * The rules and their reasons: docs/sessions.md.
 */
import type { NfsMarker } from '../common/batches.ts';
import type { BootEvidence, OpenSession } from '../common/boots.ts';
import type {
  AccessSeen,
  BootSessionsOptions,
  ClientRenewal,
  CloseReason,
  SessionDrops,
  SessionEffect,
} from './boot-session-types.ts';
import { BoundedMap } from './bounded-map.ts';
import { LiveSessions, type Live } from './live-sessions.ts';
import { Nfs4Clients, type Verdict } from './nfs4-clients.ts';
import { PendingBoots } from './pending-boots.ts';
import { RefusedAccesses } from './refused-accesses.ts';
import { SessionBudget } from './session-budget.ts';
import { collisionNote, mergedNote, sharingNote } from './session-notes.ts';

export type { BootEvidence, ClientIdentity, OpenSession } from '../common/boots.ts';
export type * from './boot-session-types.ts';

/** Marks of a session whose next boot will announce itself by a marker again. */
const BY_MARKER: ReadonlySet<BootEvidence['kind']> = new Set([
  'nfs4-verifier',
  'nfs4-new-client',
  'nfs3-mount',
]);

const SECOND = 1_000_000;
const MOST_MOUNTED = 16_384;

export class BootSessions {
  readonly #mountDebounceUs: number;
  readonly #rebootSilenceUs: number;
  readonly #initWithinUs: number;
  readonly #live: LiveSessions;
  readonly #nfs4: Nfs4Clients;
  readonly #pending: PendingBoots;
  readonly #budget: SessionBudget;
  /** `client root` → last FSINFO. */
  readonly #mounted = new BoundedMap<string, number>(MOST_MOUNTED);
  readonly #refused = new RefusedAccesses();
  #merged = 0;
  #nextId: number;

  constructor(options: BootSessionsOptions) {
    const { bounds = {} } = options;
    this.#nextId = options.nextSessionId;
    this.#mountDebounceUs = options.mountDebounceUs ?? 5 * SECOND;
    this.#rebootSilenceUs = options.rebootSilenceUs ?? 2 * SECOND;
    this.#initWithinUs = options.initWithinUs ?? 60 * SECOND;
    this.#live = new LiveSessions({
      quietUs: options.quietUs ?? 15 * 60 * SECOND,
      most: bounds.open ?? 16_384,
    });
    this.#budget = new SessionBudget(bounds.budget);
    this.#pending = new PendingBoots(options.pending ?? [], bounds.pending);
    this.#nfs4 = new Nfs4Clients({
      identities: options.identities ?? [],
      bounds,
      isActive: (address, atUs) => this.#live.isActive(address, atUs),
    });
    for (const session of options.open ?? []) this.#live.put(session, true);
  }

  set quietUs(quietUs: number) {
    this.#live.quietUs = quietUs;
  }

  get open(): OpenSession[] {
    return this.#live.open;
  }

  get drops(): SessionDrops {
    return {
      accesses: this.#refused.count,
      evidence: this.#pending.dropped,
      identities: this.#nfs4.forgotten,
      boots: this.#merged,
    };
  }

  /**
   * Boot evidence from before a root was recorded says nothing about what the client reads now.
   * Call it when a recording starts, and when it goes on, with the time at which it started.
   */
  openRoot(rootId: number, atUs: number): void {
    this.#pending.distrustBefore(rootId, atUs);
  }

  /**
   * A moment of the NFS server's trace that may begin a boot.
   * @param mountedRootId fsinfo: the recorded root whose export handle has the marker's hash
   */
  marker(marker: NfsMarker, mountedRootId: number | null): SessionEffect[] {
    const { client, atUs } = marker;
    const effects = this.#live.expire(client, atUs);
    if (marker.kind === 'fsinfo') {
      if (mountedRootId !== null) this.#onMount(marker, mountedRootId, effects);
      else if (marker.hash === 0) this.#onUnknownMount(marker, effects);
    } else {
      const { verdict, shared, effects: learnt } = this.#nfs4.judge(marker);
      effects.push(...learnt);
      for (const effect of learnt)
        if (effect.kind === 'collision')
          for (const address of [effect.address, effect.otherAddress])
            this.#noteCollision(address, atUs, effects);
      if (shared) this.#noteSharing(client, atUs, effects);
      if (verdict !== null) this.#act(marker, verdict, effects);
    }
    return this.#withPending(effects);
  }

  /** A client looked up a name in the NFSv4 server's root: on the way to an export that it mounts. */
  walked(client: string): void {
    this.#pending.walked(client);
  }

  /**
   * An access, or several of one kind between two moments: which session has it. null if there is
   * no room for one more session: {@link drops} counts it.
   */
  access(seen: AccessSeen): { sessionId: number | null; effects: SessionEffect[] } {
    const { client, rootId } = seen;
    const effects = this.#live.expire(client, seen.firstUs);
    let live = this.#live.get(client, rootId);
    if (live !== undefined && seen.firstUs - live.session.lastUs >= this.#rebootSilenceUs) {
      live.wokeUs = seen.firstUs;
      live.sinceWoke = 0;
    }
    if (live !== undefined && seen.readsInit === true) live = this.#onInitRead(live, seen, effects);
    live ??= this.#openNext(seen, effects);
    if (live === undefined) {
      this.#refused.note(keyOf(client, rootId), seen.lastUs);
      return { sessionId: null, effects };
    }
    live.session.lastUs = Math.max(live.session.lastUs, seen.lastUs);
    live.sinceWoke += 1;
    if (seen.readsInit === true) live.initRead = true;
    return { sessionId: live.session.id, effects: this.#withPending(effects) };
  }

  /** Closes what has been quiet for too long. */
  tick(nowUs: number): SessionEffect[] {
    return this.#live.clients.flatMap((client) => this.#live.expire(client, nowUs));
  }

  /** The number of a session that is opened elsewhere. */
  takeId(): number {
    this.#nextId += 1;
    return this.#nextId - 1;
  }

  /** Would the server's own view of its clients tell who shares an address? */
  isCurious(nowUs: number): boolean {
    return this.#nfs4.isCurious(nowUs);
  }

  /** The server's own view of its NFSv4 clients. */
  renewed(renewals: readonly ClientRenewal[], nowUs: number): SessionEffect[] {
    const effects: SessionEffect[] = [];
    for (const client of this.#nfs4.renewed(renewals)) this.#noteSharing(client, nowUs, effects);
    return effects;
  }

  /** The recording of a root ended. */
  closeRoot(rootId: number, atUs: number, reason: CloseReason): SessionEffect[] {
    const effects: SessionEffect[] = [];
    for (const client of this.#live.clients) {
      effects.push(...this.#live.expire(client, atUs));
      const live = this.#live.get(client, rootId);
      if (live !== undefined) this.#live.close(live, reason, atUs, effects);
    }
    this.#live.forgetRoot(rootId);
    for (const memory of [this.#mounted, this.#refused])
      for (const key of [...memory.keys()]) if (key.endsWith(` ${rootId}`)) memory.delete(key);
    this.#pending.forgetRoot(rootId);
    return this.#withPending(effects);
  }

  /** A boot announced by hand. @param rootId null = on every root */
  begin(client: string, rootId: number | null, atUs: number): SessionEffect[] {
    const effects = this.#live.expire(client, atUs);
    for (const live of this.#live.of(client))
      if (rootId === null || live.session.rootId === rootId)
        this.#live.close(live, 'manual', atUs, effects);
    this.#pending.expect({ client, rootId, evidence: { kind: 'manual' }, atUs });
    return this.#withPending(effects);
  }

  #onMount(marker: NfsMarker, rootId: number, effects: SessionEffect[]): void {
    const { client, atUs } = marker;
    if (this.#isSameMount(keyOf(client, rootId), atUs)) return;
    const live = this.#live.get(client, rootId);
    // A machine that reboots is silent before: else it is up, and this is one mount more.
    if (live !== undefined && !this.#closeSilent([live], atUs, effects)) return;
    this.#pending.expect({ client, rootId, evidence: { kind: 'nfs3-mount' }, atUs });
  }

  /** FSINFO on a file handle that is not known (tier `reads`): perhaps of another export. */
  #onUnknownMount({ client, atUs }: NfsMarker, effects: SessionEffect[]): void {
    if (this.#isSameMount(keyOf(client, 'any'), atUs)) return;
    this.#closeSilent(this.#live.of(client), atUs, effects);
    this.#expectEverywhere(client, { kind: 'nfs3-mount' }, atUs);
  }

  /** A Linux client sends FSINFO twice in one mount: the probe and the root's attributes. */
  #isSameMount(key: string, atUs: number): boolean {
    const before = this.#mounted.get(key);
    this.#mounted.set(key, atUs);
    return before !== undefined && atUs - before < this.#mountDebounceUs;
  }

  #act({ client, atUs }: NfsMarker, verdict: Verdict, effects: SessionEffect[]): void {
    if (verdict.kind === 'reboot') this.#onReboot(client, atUs, verdict, effects);
    else if (verdict.kind === 'new-client') this.#onNewClient(client, atUs, verdict, effects);
    else if (!verdict.serverRestarted)
      // No boot by itself: only if the first program is read next.
      for (const live of this.#live.of(client))
        if (this.#isSilent(live, atUs)) live.reintroducedUs = atUs;
  }

  /** The verifier of a known (address, owner name) changed: every session of the client ends. */
  #onReboot(
    client: string,
    atUs: number,
    boot: Verdict & { kind: 'reboot' },
    effects: SessionEffect[],
  ): void {
    const { verifier, previousVerifier } = boot;
    // A client with its root on v3 shows its reboot by FSINFO first and by the verifier only when
    // it mounts something over v4: the session opened in between is this boot's already.
    const startedByThisBoot = (live: Live) =>
      live.session.evidence.kind === 'nfs3-mount' &&
      live.session.openedUs > boot.knownUs &&
      !this.#isSilent(live, atUs);
    const before = this.#live.of(client).filter((live) => !startedByThisBoot(live));
    this.#closeForBoot(before, atUs, effects);
    const detail = { verifier, ...(previousVerifier === '' ? {} : { previousVerifier }) };
    this.#expectEverywhere(client, { kind: 'nfs4-verifier', detail }, atUs, boot.unseen);
  }

  /** An NFSv4 client never seen before: a boot, or one more mount of a client that is up. */
  #onNewClient(
    client: string,
    atUs: number,
    { verifier, serverRestarted }: Verdict & { kind: 'new-client' },
    effects: SessionEffect[],
  ): void {
    const lives = this.#live.of(client);
    // Who reads under another boot's verifier until now cannot have booted since.
    const isOther = ({ session: { evidence } }: Live) =>
      (evidence.detail?.verifier ?? verifier) !== verifier;
    if (lives.some((live) => isOther(live) && !this.#isSilent(live, atUs)))
      if (this.#nfs4.share(client)) this.#noteSharing(client, atUs, effects);
    // A client that is up runs its mount program from the root, which asks the server (close-to-
    // open consistency); one that reboots is silent before. When the server itself was away, its
    // clients were silent too.
    if (!serverRestarted) this.#closeSilent(lives, atUs, effects);
    this.#expectEverywhere(client, { kind: 'nfs4-new-client', detail: { verifier } }, atUs);
  }

  #isSilent(live: Live, atUs: number): boolean {
    return atUs - live.session.lastUs >= this.#rebootSilenceUs;
  }

  /** True if all are closed now. */
  #closeSilent(lives: readonly Live[], atUs: number, effects: SessionEffect[]): boolean {
    const silent = lives.filter((live) => this.#isSilent(live, atUs));
    return this.#closeForBoot(silent, atUs, effects) && silent.length === lives.length;
  }

  /** False if the sessions go on: what booted is not the only machine behind the address, or boots too often. */
  #closeForBoot(lives: readonly Live[], atUs: number, effects: SessionEffect[]): boolean {
    const client = lives[0]?.session.client;
    if (client === undefined) return true;
    if (this.#nfs4.sharing(client, atUs).length > 0) {
      this.#noteSharing(client, atUs, effects);
      return false;
    }
    if (!this.#budget.mayBoot(client, atUs)) {
      this.#merged += 1;
      for (const live of lives) {
        const boots = (live.notes.get('boots-merged') ?? 0) + 1;
        this.#live.note(live, { ...mergedNote(boots), atUs }, effects);
      }
      return false;
    }
    for (const live of lives) this.#live.close(live, 'boot', atUs, effects);
    return true;
  }

  /** The first program was read again after a silence: the boot of a client without markers. */
  #onInitRead(live: Live, seen: AccessSeen, effects: SessionEffect[]): Live | undefined {
    const { session } = live;
    // A clock that stands where it stood at the boot before gives the verifier that it gave then.
    const reintroduced = seen.firstUs - live.reintroducedUs <= this.#initWithinUs;
    if (BY_MARKER.has(session.evidence.kind) && !reintroduced) return live;
    if (seen.firstUs - live.wokeUs > this.#initWithinUs) return live;
    if (live.wokeUs === session.openedUs) {
      if (session.evidence.kind !== 'first-traffic' || live.initRead) return live;
      live.session = { ...session, evidence: { kind: 'init-read' }, partial: false };
      effects.push({ kind: 'revised', session: { ...live.session } });
      return live;
    }
    const strays = live.sinceWoke > 0;
    if (!this.#budget.mayOpen(seen.firstUs)) return live;
    if (!this.#closeForBoot([live], seen.firstUs, effects)) return live;
    // What came between the silence and this read stays with the session before.
    const evidence: BootEvidence = strays
      ? { kind: 'init-read', detail: { after: session.id } }
      : { kind: 'init-read' };
    return this.#openAs(seen, evidence, strays, effects);
  }

  #openNext(seen: AccessSeen, effects: SessionEffect[]): Live | undefined {
    const { client, rootId, firstUs } = seen;
    if (this.#live.isFull || !this.#budget.mayOpen(firstUs)) return undefined;
    const boot = this.#pending.take(seen);
    if (boot !== undefined) return this.#openAs(seen, boot.evidence, boot.partial, effects);
    const after = this.#live.quieted(client, rootId);
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
    const session: OpenSession = {
      id: this.takeId(),
      client,
      rootId,
      recordingId,
      evidence,
      partial: partial || this.#refused.take(keyOf(client, rootId), firstUs),
      openedUs: firstUs,
      lastUs: firstUs,
    };
    effects.push({ kind: 'opened', session });
    const live = this.#live.put(session, false);
    this.#noteCollision(client, firstUs, effects);
    this.#noteSharing(client, firstUs, effects);
    return live;
  }

  /** The next access on each root opens its session; roots with one still open have theirs. */
  #expectEverywhere(client: string, evidence: BootEvidence, atUs: number, partial = false): void {
    const except = this.#live.of(client).map((live) => live.session.rootId);
    this.#pending.expect({ client, rootId: null, evidence, atUs, partial, except });
  }

  #noteSharing(client: string, atUs: number, effects: SessionEffect[]): void {
    const names = this.#nfs4.sharing(client, atUs);
    if (names.length === 0) return;
    for (const live of this.#live.of(client))
      this.#live.note(live, { ...sharingNote(names), atUs }, effects);
  }

  #noteCollision(client: string, atUs: number, effects: SessionEffect[]): void {
    const other = this.#nfs4.collision(client);
    if (other === undefined) return;
    for (const live of this.#live.of(client))
      this.#live.note(live, { ...collisionNote(other), atUs }, effects);
  }

  #withPending(effects: SessionEffect[]): SessionEffect[] {
    if (!this.#pending.hasChanges) return effects;
    for (const [client, boots] of this.#pending.takeChanges())
      effects.push({ kind: 'pending', client, boots });
    return effects;
  }
}

function keyOf(client: string, rootId: number | 'any'): string {
  return `${client} ${rootId}`;
}
