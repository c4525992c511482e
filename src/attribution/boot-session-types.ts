/**
 * What goes into the boot-session machine and what comes out. Owns only types. Times are
 * CLOCK_MONOTONIC microseconds.
 */
import type { ClientIdentity, OpenSession } from '../common/boots.ts';

/** `stop`: the recording ended; `boot`, `manual`: another session of the same client follows. */
export type CloseReason = 'boot' | 'quiet' | 'stop' | 'manual';

export type SessionEffect =
  | { readonly kind: 'opened'; readonly session: OpenSession }
  | {
      readonly kind: 'closed';
      readonly id: number;
      readonly reason: CloseReason;
      readonly atUs: number;
    }
  /** A session turned out to begin with a boot: its evidence and `partial` change. */
  | { readonly kind: 'revised'; readonly session: OpenSession }
  | { readonly kind: 'identity'; readonly identity: ClientIdentity }
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
}

export interface AccessSeen {
  readonly client: string;
  readonly rootId: number;
  readonly recordingId: number;
  readonly firstUs: number;
  readonly lastUs: number;
  /** The root's first program (`/init`, `/sbin/init`) was read from its start. */
  readonly readsInit?: boolean;
}
