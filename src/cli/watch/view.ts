/**
 * What the live view knows: the last look at the daemon, and what changed since the one before.
 * Pure; must not know terminals.
 */
import type { WatchBody } from '../../daemon/api.ts';

/** A second; null where there is nothing to compare with. */
export interface Rates {
  readonly events: number | null;
  readonly files: number | null;
  readonly accesses: number | null;
  readonly bytes: number | null;
}

export interface View {
  readonly body: WatchBody;
  readonly rates: Rates;
  /** By session: new files a second. */
  readonly newFiles: ReadonlyMap<string, number>;
  /** Why there is no newer look; null if the last one is fresh. */
  readonly trouble: { readonly since: string; readonly text: string } | null;
}

const NO_RATES: Rates = { events: null, files: null, accesses: null, bytes: null };

export function firstView(body: WatchBody): View {
  return { body, rates: NO_RATES, newFiles: new Map(), trouble: null };
}

/** @param elapsedMs between the two looks */
export function nextView({ body: before }: View, body: WatchBody, elapsedMs: number): View {
  const seconds = elapsedMs / 1000;
  // A daemon that was started anew counts anew.
  if (body.feed !== before.feed || seconds <= 0) return firstView(body);
  const rate = (now: number, then: number): number | null =>
    now < then ? null : (now - then) / seconds;
  const earlier = new Map(before.sessions.map(({ session, files }) => [session, files]));
  return {
    body,
    rates: {
      events: rate(eventsOf(body), eventsOf(before)),
      files: rate(body.seen.files, before.seen.files),
      accesses: rate(body.seen.accesses, before.seen.accesses),
      bytes: rate(body.seen.bytes, before.seen.bytes),
    },
    newFiles: new Map(
      body.sessions.flatMap(({ session, files }) => {
        const then = earlier.get(session);
        return then === undefined ? [] : [[session, (files - then) / seconds] as const];
      }),
    ),
    trouble: null,
  };
}

/** The view when the daemon does not answer. */
export function troubledView(view: View, text: string, at: string): View {
  return { ...view, trouble: { since: view.trouble?.since ?? at, text } };
}

function eventsOf({ status }: WatchBody): number {
  return status.nfsd.events + status.fanotify.events;
}
