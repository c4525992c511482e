/**
 * The live view's figures: begins to count with the first who looks, and ends when nobody has for
 * a while, so that a recorder that nobody watches does nothing for it. Whoever looks asks again
 * for each look; nothing is kept for him. Must not know HTTP or terminals.
 */
import { randomUUID } from 'node:crypto';
import type { SessionTally, Store } from '../store/store.ts';
import type { WatchBody, WatchedSession } from './api.ts';

/** Nobody looks any more. */
const IDLE_MS = 10_000;
/** How long one look may count sessions that were open before: commits wait meanwhile. */
const BUDGET_MS = 50;

type FeedStore = Pick<Store, 'tally' | 'endTally' | 'called'>;

export class WatchFeed {
  readonly #store: FeedStore;
  #timer: NodeJS.Timeout | null = null;
  #feed = '';

  constructor(options: { readonly store: FeedStore }) {
    this.#store = options.store;
  }

  /** @param most sessions to list */
  look(status: WatchBody['status'], most: number): WatchBody {
    if (this.#timer === null) this.#feed = randomUUID();
    else clearTimeout(this.#timer);
    // It keeps no daemon alive that wants to end.
    this.#timer = setTimeout(() => this.#end(), IDLE_MS).unref();
    const wallUs = Date.now() * 1000;
    const tally = this.#store.tally({ most, budgetMs: BUDGET_MS, wallUs });
    return {
      at: rfc3339(wallUs),
      feed: this.#feed,
      status,
      clients: tally.clients,
      open_sessions: tally.open,
      uncounted: tally.uncounted,
      total: tally.total,
      seen: tally.seen,
      new_files: tally.newFiles,
      sessions: tally.sessions.map((session) => this.#session(session)),
    };
  }

  #session(session: SessionTally): WatchedSession {
    const { label, name } = this.#store.called(session.client);
    return {
      session: `session-${session.id}`,
      client: session.client,
      client_label: label,
      client_name: name,
      recording: session.recordingId,
      partial: session.partial,
      opened: rfc3339(session.openedUs),
      last: rfc3339(session.lastUs),
      files: session.files,
      accesses: session.accesses,
      bytes: session.bytes,
      image_bytes: session.imageBytes,
      loss: session.loss,
    };
  }

  #end(): void {
    this.#timer = null;
    this.#store.endTally();
  }
}

function rfc3339(us: number): string {
  return new Date(us / 1000).toISOString();
}
