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
