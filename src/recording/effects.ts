/**
 * What the session machine decided, in the store's shape and in words for the log.
 * Owns that translation; pure.
 */
import type { SessionEffect } from '../attribution/boot-sessions.ts';
import type { Tier } from '../common/words.ts';
import type { IngestBatch } from '../store/types.ts';

/** Something a person should know. */
export interface Notice {
  readonly level: 'info' | 'warn';
  readonly text: string;
}

/**
 * @param toWall monotonic to wall-clock microseconds
 * @param tierOf how well the accesses of a session that opens are attributed
 */
export function batchOfEffects(
  effects: readonly SessionEffect[],
  toWall: (us: number) => number,
  tierOf: (sessionId: number) => Tier,
): Pick<IngestBatch, 'opened' | 'revised' | 'identities' | 'closed'> {
  const atWall = <T extends { openedUs: number; lastUs: number }>(session: T): T => ({
    ...session,
    openedUs: toWall(session.openedUs),
    lastUs: toWall(session.lastUs),
  });
  return {
    opened: effects.flatMap((effect) =>
      effect.kind === 'opened'
        ? [{ ...atWall(effect.session), tier: tierOf(effect.session.id) }]
        : [],
    ),
    revised: effects.flatMap((effect) =>
      effect.kind === 'revised' ? [atWall(effect.session)] : [],
    ),
    identities: effects.flatMap((effect) => (effect.kind === 'identity' ? [effect.identity] : [])),
    closed: effects.flatMap((effect) =>
      effect.kind === 'closed'
        ? [{ id: effect.id, reason: effect.reason, atUs: toWall(effect.atUs) }]
        : [],
    ),
  };
}

export function noticesOfEffects(effects: readonly SessionEffect[]): Notice[] {
  return effects.flatMap((effect): Notice[] => {
    switch (effect.kind) {
      case 'opened': {
        const { id, client, evidence } = effect.session;
        return [{ level: 'info', text: `session-${id} of ${client}: ${evidence.kind}` }];
      }
      case 'closed':
        return [{ level: 'info', text: `session-${effect.id} ended: ${effect.reason}` }];
      case 'collision':
        return [
          {
            level: 'warn',
            text:
              `${effect.address} and ${effect.otherAddress} use the same NFSv4 owner name` +
              ` ${JSON.stringify(effect.ownerName.toString('utf8'))}: clones with one host name?`,
          },
        ];
      default:
        return [];
    }
  });
}
