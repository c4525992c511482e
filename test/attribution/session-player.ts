/** Plays markers and accesses into the session machine and keeps what became of them. */
import type { NfsMarker } from '../../src/common/batches.ts';
import {
  BootSessions,
  type BootSessionsOptions,
  type OpenSession,
  type SessionEffect,
} from '../../src/attribution/boot-sessions.ts';
import { SECOND } from './trace-sequences.ts';

export interface Played {
  readonly session: OpenSession;
  closed: string | null;
  closedUs: number | null;
}

export const ROOT = 1;

export class Player {
  readonly machine: BootSessions;
  readonly effects: SessionEffect[] = [];
  readonly sessions = new Map<number, Played>();

  constructor(options: Partial<BootSessionsOptions> = {}) {
    this.machine = new BootSessions({ nextSessionId: 41, ...options });
  }

  play(markers: readonly NfsMarker[]): this {
    for (const marker of markers)
      this.keep(this.machine.marker(marker, marker.kind === 'fsinfo' ? ROOT : null));
    return this;
  }

  /** Session number of an access; 0 if it got none. */
  read(
    client: string,
    atUs: number,
    more: { rootId?: number; lastUs?: number; readsInit?: boolean; checked?: boolean } = {},
  ): number {
    const { rootId = ROOT, lastUs = atUs, readsInit = false, checked = false } = more;
    const recordingId = 100 + rootId;
    const { sessionId, effects } = this.machine.access({
      client,
      rootId,
      recordingId,
      firstUs: atUs,
      lastUs,
      readsInit,
      checked,
    });
    this.keep(effects);
    return sessionId ?? 0;
  }

  /** A boot's traffic: a few accesses within a second, the first program among them. */
  boot(client: string, atUs: number, rootId = ROOT): number[] {
    const seen = [
      this.read(client, atUs, { rootId }),
      this.read(client, atUs + 100_000, { rootId, readsInit: true }),
      this.read(client, atUs + SECOND, { rootId }),
    ];
    return [...new Set(seen)];
  }

  keep(effects: readonly SessionEffect[]): this {
    this.effects.push(...effects);
    for (const effect of effects) {
      if (effect.kind === 'opened' || effect.kind === 'revised')
        this.sessions.set(effect.session.id, {
          session: effect.session,
          closed: null,
          closedUs: null,
        });
      if (effect.kind !== 'closed') continue;
      const played = this.sessions.get(effect.id);
      if (played === undefined) continue;
      played.closed = effect.reason;
      played.closedUs = effect.atUs;
    }
    return this;
  }

  /** `41 10.0.0.7 nfs3-mount closed:boot`, `partial` where it is so. */
  get story(): string[] {
    return [...this.sessions.values()]
      .sort((a, b) => a.session.id - b.session.id)
      .map(({ session, closed }) => {
        const words = [`${session.id}`, session.client, session.evidence.kind];
        if (session.rootId !== ROOT) words.push(`root:${session.rootId}`);
        if (session.partial) words.push('partial');
        if (closed !== null) words.push(`closed:${closed}`);
        return words.join(' ');
      });
  }

  kinds(kind: SessionEffect['kind']): SessionEffect[] {
    return this.effects.filter((effect) => effect.kind === kind);
  }
}

/** `session kind count` of each thing that was noted. */
export function notes(player: Player): string[] {
  return player.effects.flatMap((effect) =>
    effect.kind === 'note'
      ? [`${effect.note.sessionId} ${effect.note.kind} ${effect.note.count}`]
      : [],
  );
}
