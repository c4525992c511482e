/**
 * Which sessions were open when: those that are, and those that ended lately. Owns that memory, so
 * that a loss can be asked whose it may be while the store takes nothing. Times are CLOCK_MONOTONIC
 * microseconds. Must not know SQL.
 */
import type { SessionEffect } from '../attribution/boot-sessions.ts';

/** A loss is found within a flush or two; what was absent for longer may ask in vain. */
const KEPT_US = 600_000_000;

export interface SessionSpan {
  readonly id: number;
  readonly client: string;
  readonly recordingId: number;
  readonly openedUs: number;
  /** null while it is open. */
  readonly closedUs: number | null;
}

export class SessionSpans {
  readonly #spans = new Map<number, SessionSpan>();
  /** By recording: the end of the last session that is not remembered any more. */
  readonly #forgottenUs = new Map<number, number>();

  constructor(open: readonly Omit<SessionSpan, 'closedUs'>[]) {
    for (const session of open) this.#open(session);
  }

  /** Follows what a flush decided. */
  follow(effects: readonly SessionEffect[], nowUs: number): void {
    for (const effect of effects)
      if (effect.kind === 'opened') this.#open(effect.session);
      else if (effect.kind === 'closed') {
        const span = this.#spans.get(effect.id);
        if (span !== undefined) this.#spans.set(effect.id, { ...span, closedUs: effect.atUs });
      }
    for (const { id, recordingId, closedUs } of this.#spans.values())
      if (closedUs !== null && closedUs < nowUs - KEPT_US) {
        this.#spans.delete(id);
        const before = this.#forgottenUs.get(recordingId) ?? -Infinity;
        this.#forgottenUs.set(recordingId, Math.max(before, closedUs));
      }
  }

  recordingOf(session: number): number | null {
    return this.#spans.get(session)?.recordingId ?? null;
  }

  /** Is every session known that was open in a recording at some time from then on? */
  remembers(recordingId: number, fromUs: number): boolean {
    return fromUs > (this.#forgottenUs.get(recordingId) ?? -Infinity);
  }

  /** Sessions of a recording that were open at some time between the two. */
  during(recordingId: number, fromUs: number, toUs: number): SessionSpan[] {
    return [...this.#spans.values()].filter(
      (span) =>
        span.recordingId === recordingId &&
        span.openedUs <= toUs &&
        (span.closedUs === null || span.closedUs >= fromUs),
    );
  }

  #open({ id, client, recordingId, openedUs }: Omit<SessionSpan, 'closedUs'>): void {
    this.#spans.set(id, { id, client, recordingId, openedUs, closedUs: null });
  }
}
