/**
 * What the session machine decided, in the store's shape and in words for the log.
 * Owns that translation; pure.
 */
import type { SessionEffect } from '../attribution/boot-sessions.ts';
import type { Tier } from '../common/words.ts';
import type { IngestBatch, LossUpdate, PendingChange } from '../store/types.ts';

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
): Pick<
  IngestBatch,
  'opened' | 'revised' | 'identities' | 'forgotten' | 'pending' | 'notes' | 'closed'
> {
  const atWall = <T extends { openedUs: number; lastUs: number }>(session: T): T => ({
    ...session,
    openedUs: toWall(session.openedUs),
    lastUs: toWall(session.lastUs),
  });
  return {
    opened: effects.flatMap((effect) =>
      effect.kind === 'opened'
        ? [{ ...atWall(effect.session), tier: effect.tier ?? tierOf(effect.session.id) }]
        : [],
    ),
    revised: effects.flatMap((effect) =>
      effect.kind === 'revised' ? [atWall(effect.session)] : [],
    ),
    ...identityChanges(effects),
    pending: pendingChanges(effects, toWall),
    notes: effects.flatMap((effect) =>
      effect.kind === 'note' ? [{ ...effect.note, atUs: toWall(effect.note.atUs) }] : [],
    ),
    closed: effects.flatMap((effect) =>
      effect.kind === 'closed'
        ? [{ id: effect.id, reason: effect.reason, atUs: toWall(effect.atUs) }]
        : [],
    ),
  };
}

/** The last word on each: learnt, or forgotten. */
function identityChanges(
  effects: readonly SessionEffect[],
): Required<Pick<IngestBatch, 'identities' | 'forgotten'>> {
  const last = new Map<string, SessionEffect & { kind: 'identity' | 'identity-forgotten' }>();
  for (const effect of effects)
    if (effect.kind === 'identity' || effect.kind === 'identity-forgotten') {
      const { address, ownerName } = effect.identity;
      const key = `${address} ${ownerName.toString('latin1')}`;
      last.delete(key);
      last.set(key, effect);
    }
  const of = (kind: string) =>
    [...last.values()].flatMap((effect) => (effect.kind === kind ? [effect.identity] : []));
  return { identities: of('identity'), forgotten: of('identity-forgotten') };
}

/** Each client's evidence as it is in the end. */
function pendingChanges(
  effects: readonly SessionEffect[],
  toWall: (us: number) => number,
): PendingChange[] {
  const last = new Map<string, PendingChange>();
  for (const effect of effects) if (effect.kind === 'pending') last.set(effect.client, effect);
  return [...last.values()].map(({ client, boots }) => ({
    client,
    boots: boots.map((boot) => ({ ...boot, atUs: toWall(boot.atUs) })),
  }));
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
      case 'note': {
        const { sessionId, kind, detail } = effect.note;
        return [{ level: 'warn', text: `session-${sessionId}: ${kind}: ${detail}` }];
      }
      default:
        return [];
    }
  });
}

export function noticeOfStep(us: number): Notice {
  const seconds = (us / 1_000_000).toFixed(1);
  return { level: 'warn', text: `the clock was set by ${seconds} s; open sessions move along` };
}

export function stallOf(count: number, fromUs: number, toUs: number): LossUpdate {
  return {
    recordingId: null,
    sessionId: null,
    where: 'daemon-stall',
    count,
    fromUs,
    toUs,
    detail: 'the daemon stood still; the client of these file events is only known as of the end',
  };
}

export function noticeOfLoss({ where, count, detail }: LossUpdate): Notice {
  const about = detail === undefined || detail === null ? '' : `: ${detail}`;
  return { level: 'warn', text: `loss (${where}, ${count})${about}` };
}
