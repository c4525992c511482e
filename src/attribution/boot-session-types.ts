/**
 * What goes into the boot-session machine and what comes out. Owns only types. Times are
 * CLOCK_MONOTONIC microseconds.
 */
import type { ClientIdentity, OpenSession, PendingBoot, SessionNote } from '../common/boots.ts';
import type { SessionTier } from '../common/words.ts';
import type { IdentityBounds } from './client-identities.ts';
import type { BudgetOptions } from './session-budget.ts';

/**
 * `stop`: the recording ended; `boot`, `manual`: another session of the same client follows;
 * `given`, `broken`: whoever gave the session has given all of it, or went away before.
 */
export type CloseReason = 'boot' | 'quiet' | 'stop' | 'manual' | 'given' | 'broken';

export type SessionEffect =
  | {
      readonly kind: 'opened';
      readonly session: OpenSession;
      /** Not that of the sensors: the session is given. */
      readonly tier?: SessionTier;
    }
  | {
      readonly kind: 'closed';
      readonly id: number;
      readonly reason: CloseReason;
      readonly atUs: number;
    }
  /** A session turned out to begin with a boot: its evidence and `partial` change. */
  | { readonly kind: 'revised'; readonly session: OpenSession }
  | { readonly kind: 'identity'; readonly identity: ClientIdentity }
  /** Forgotten for want of room. */
  | { readonly kind: 'identity-forgotten'; readonly identity: ClientIdentity }
  /** All the evidence of a client that waits for an access now. */
  | { readonly kind: 'pending'; readonly client: string; readonly boots: readonly PendingBoot[] }
  | { readonly kind: 'note'; readonly note: SessionNote }
  /** Two addresses share an NFSv4 owner name: clones with the same host name. */
  | {
      readonly kind: 'collision';
      readonly address: string;
      readonly otherAddress: string;
      readonly ownerName: Buffer;
    };

export interface BootSessionsOptions {
  readonly nextSessionId: number;
  /** A session without an access for this long is closed. Default 15 minutes. */
  readonly quietUs?: number;
  /** FSINFO calls closer together than this are one mount. Default 5 s. */
  readonly mountDebounceUs?: number;
  /** A client that reboots is silent at least this long. Default 2 s. */
  readonly rebootSilenceUs?: number;
  /** The first program is read within this time of a boot's first access. Default 60 s. */
  readonly initWithinUs?: number;
  /** Sessions and identities of the store, to go on after a restart. */
  readonly open?: readonly OpenSession[];
  readonly identities?: readonly ClientIdentity[];
  readonly pending?: readonly PendingBoot[];
  /** What clients can make us keep. */
  readonly bounds?: SessionBounds;
}

export interface SessionBounds extends IdentityBounds {
  /** Open sessions. Default 16384. */
  readonly open?: number;
  /** Clients whose boot evidence waits for an access. Default 16384. */
  readonly pending?: number;
  readonly budget?: BudgetOptions;
}

/** What the bounds made us drop, since start. */
export interface SessionDrops {
  /** Rows of accesses of clients that got no session. */
  readonly accesses: number;
  /** Clients whose boot evidence went before it was used: their sessions begin `partial`. */
  readonly evidence: number;
  /** NFSv4 identities: their next boot is one of a client never seen. */
  readonly identities: number;
  /** Boots that opened no session of their own, because they came too often. */
  readonly boots: number;
}

/** The server's own view of one of its NFSv4 clients. */
export interface ClientRenewal {
  readonly clBoot: number;
  readonly clId: number;
  /** Without a zone. */
  readonly address: string;
  readonly ownerName: Buffer;
  /** When it renewed its lease last, at the earliest. */
  readonly atUs: number;
}

export interface AccessSeen {
  readonly client: string;
  readonly rootId: number;
  readonly recordingId: number;
  readonly firstUs: number;
  readonly lastUs: number;
  /** The root's first program (`/init`, `/sbin/init`) was read from its start. */
  readonly readsInit?: boolean;
  /** The server's checks of handles are traced, so that {@link BootSessions.walked} would tell. */
  readonly checked?: boolean;
}
