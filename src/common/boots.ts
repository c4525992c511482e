/**
 * The words that attribution and the store share about boot sessions. Owns only types.
 * Times are microseconds of the owner's clock: CLOCK_MONOTONIC in the session machine,
 * wall clock (since 1970) in the store.
 */

/** What made us believe that a client (re)booted; stored with the session (append only). */
export const BOOT_EVIDENCE = [
  'nfs4-verifier',
  'nfs4-new-client',
  'nfs3-mount',
  'init-read',
  'manual',
  'first-traffic',
  'quiet',
  'local',
  'import',
] as const;

export interface BootEvidence {
  readonly kind: (typeof BOOT_EVIDENCE)[number];
  readonly detail?: BootEvidenceDetail;
}

/** Small plain JSON, kept word for word in the store. */
export interface BootEvidenceDetail {
  /** NFSv4: the client's boot verifier, 8 bytes as hex. */
  readonly verifier?: string;
  /** NFSv4: the verifier known before, when it changed. */
  readonly previousVerifier?: string;
  /**
   * The session that holds what this boot touched earlier. A partial session together with the
   * one it continues is whole.
   */
  readonly after?: number;
}

export interface OpenSession {
  readonly id: number;
  /** Normalised address; '' when it could not be known. */
  readonly client: string;
  readonly rootId: number;
  readonly recordingId: number;
  readonly evidence: BootEvidence;
  /** The client was already up: its caches hide what it had read before. */
  readonly partial: boolean;
  readonly openedUs: number;
  /** Last access seen. */
  readonly lastUs: number;
}

/** An NFSv4 client as the server knows it; a new verifier for the same pair is a reboot. */
export interface ClientIdentity {
  readonly address: string;
  /** The owner name as sent; empty when only the verifier was seen. */
  readonly ownerName: Buffer;
  /** 8 bytes as hex. */
  readonly verifier: string;
}

/** Boot evidence that still waits for the first access it explains. */
export interface PendingBoot {
  readonly client: string;
  /** null = each root that is not in `spent`. */
  readonly rootId: number | null;
  readonly evidence: BootEvidence;
  /** The boot itself was not seen, only that there was one. */
  readonly partial: boolean;
  readonly atUs: number;
  /** Roots that have had it, or for which it came too late. */
  readonly spent: readonly number[];
}

/**
 * What a person should know of a session (append only):
 * - `shared-address`: several NFSv4 clients are behind the address; the session has what all did.
 * - `identity-collision`: another address uses the same NFSv4 owner name.
 * - `boots-merged`: boot evidence that came too often to open a session each time.
 * - `content-kept`, `content-failed`: what came of keeping the content that its image needs.
 */
type NoteKind =
  'shared-address' | 'identity-collision' | 'boots-merged' | 'content-kept' | 'content-failed';

export interface SessionNote {
  readonly sessionId: number;
  readonly kind: NoteKind;
  readonly atUs: number;
  /** Clients behind the address, addresses with the name, boots, files kept; only goes up. */
  readonly count: number;
  /** For a person; quotes names as clients sent them. */
  readonly detail: string;
}
