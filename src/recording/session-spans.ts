/**
 * Which sessions were open when: those that are, and those that ended lately. Owns that memory, so
 * that a loss can be asked whose it may be while the store takes nothing. Times are wall-clock
 * microseconds. Must not know SQL.
 */
import type { IngestBatch } from '../store/types.ts';

/** A loss is found within a flush or two; a daemon's own gap asks for what was open before it. */
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

  constructor(open: readonly Omit<SessionSpan, 'closedUs'>[]) {
    for (const session of open) this.#open(session);
  }

  /** Follows what a flush decided. */
  follow({
    atUs,
    opened = [],
    closed = [],
  }: Pick<IngestBatch, 'atUs' | 'opened' | 'closed'>): void {
    for (const session of opened) this.#open(session);
    for (const { id, atUs: closedUs } of closed) {
      const span = this.#spans.get(id);
      if (span !== undefined) this.#spans.set(id, { ...span, closedUs });
    }
    for (const { id, closedUs } of this.#spans.values())
      if (closedUs !== null && closedUs < atUs - KEPT_US) this.#spans.delete(id);
  }

  /** The clock was set: open sessions move along, as in the store. */
  shift(us: number): void {
    for (const [id, span] of this.#spans)
      if (span.closedUs === null) this.#spans.set(id, { ...span, openedUs: span.openedUs + us });
  }

  recordingOf(session: number): number | null {
    return this.#spans.get(session)?.recordingId ?? null;
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
