/**
 * The open sessions: at most one for a (client, root), and at most so many at all. Owns that
 * memory and that quiet time ends a session; must not decide when one begins.
 */
import type { OpenSession, SessionNote } from '../common/boots.ts';
import { BoundedMap } from './bounded-map.ts';
import type { CloseReason, SessionEffect } from './boot-session-types.ts';

export interface Live {
  /** Its own copy: the time of its last access moves in place, once for each row of the trace. */
  session: OpenSession & { lastUs: number };
  /** First access after the last silence that was long enough for a reboot. */
  wokeUs: number;
  /** Accesses since it woke. */
  sinceWoke: number;
  initRead: boolean;
  /** When, after a silence, the client introduced itself with the boot verifier it had. */
  reintroducedUs: number;
  readonly notes: Map<SessionNote['kind'], number>;
}

const MOST_QUIETED = 16_384;

export class LiveSessions {
  /** Silence after which a session is closed. */
  quietUs: number;
  readonly #most: number;
  /** client → root id → its open session. */
  readonly #live = new Map<string, Map<number, Live>>();
  /** `client root` → the session that quiet time closed. */
  readonly #quieted = new BoundedMap<string, number>(MOST_QUIETED);
  #size = 0;

  constructor(options: { readonly quietUs: number; readonly most: number }) {
    this.quietUs = options.quietUs;
    this.#most = options.most;
  }

  get isFull(): boolean {
    return this.#size >= this.#most;
  }

  get open(): OpenSession[] {
    return [...this.#live.values()].flatMap((roots) =>
      [...roots.values()].map(({ session }) => ({ ...session })),
    );
  }

  get clients(): string[] {
    return [...this.#live.keys()];
  }

  get(client: string, rootId: number): Live | undefined {
    return this.#live.get(client)?.get(rootId);
  }

  of(client: string): Live[] {
    return [...(this.#live.get(client)?.values() ?? [])];
  }

  /** Has the client a session that quiet time has not ended by now? */
  isActive(client: string, nowUs: number): boolean {
    return this.of(client).some(({ session }) => nowUs - session.lastUs < this.quietUs);
  }

  put(session: OpenSession, initRead: boolean): Live {
    const { client, rootId, lastUs } = session;
    const live: Live = {
      session: { ...session },
      wokeUs: lastUs,
      sinceWoke: 0,
      initRead,
      reintroducedUs: -Infinity,
      notes: new Map(),
    };
    const roots = this.#live.get(client) ?? new Map<number, Live>();
    if (!roots.has(rootId)) this.#size += 1;
    this.#live.set(client, roots.set(rootId, live));
    this.#quieted.delete(keyOf(client, rootId));
    return live;
  }

  close(live: Live, reason: CloseReason, atUs: number, effects: SessionEffect[]): void {
    const { id, client, rootId, openedUs } = live.session;
    const roots = this.#live.get(client);
    if (roots?.delete(rootId) === true) this.#size -= 1;
    if (roots?.size === 0) this.#live.delete(client);
    effects.push({ kind: 'closed', id, reason, atUs: Math.max(atUs, openedUs) });
  }

  /**
   * Quiet time ends a session at a moment that does not depend on when anybody looks, so that
   * the cut of batches never changes the sessions.
   */
  expire(client: string, nowUs: number): SessionEffect[] {
    const effects: SessionEffect[] = [];
    // Not of(), which copies: this is asked for each row. A map may lose entries in its own loop.
    for (const live of this.#live.get(client)?.values() ?? []) {
      const { id, rootId, lastUs } = live.session;
      if (nowUs - lastUs < this.quietUs) continue;
      this.close(live, 'quiet', lastUs + this.quietUs, effects);
      this.#quieted.set(keyOf(client, rootId), id);
    }
    return effects;
  }

  /** The session that quiet time closed last, if none came after it. */
  quieted(client: string, rootId: number): number | undefined {
    return this.#quieted.get(keyOf(client, rootId));
  }

  /** Says something of a session, unless that was said already. */
  note(
    live: Live,
    note: Pick<SessionNote, 'kind' | 'count' | 'detail' | 'atUs'>,
    effects: SessionEffect[],
  ): void {
    if ((live.notes.get(note.kind) ?? 0) >= note.count) return;
    live.notes.set(note.kind, note.count);
    effects.push({ kind: 'note', note: { sessionId: live.session.id, ...note } });
  }

  forgetRoot(rootId: number): void {
    for (const key of [...this.#quieted.keys()])
      if (key.endsWith(` ${rootId}`)) this.#quieted.delete(key);
  }
}

function keyOf(client: string, rootId: number): string {
  return `${client} ${rootId}`;
}
