/**
 * What the sensors hand to the pipe: plain rows, de-duplicated and counted.
 * Owns only types. All times are CLOCK_MONOTONIC microseconds.
 */

/** A file handle as name_to_handle_at(2) and fanotify give it; its identity within a file system. */
export interface FileHandle {
  /** `handle_type`: 1 = FILEID_INO32_GEN, 2 = FILEID_INO32_GEN_PARENT, 0x81 XFS, 0x4d btrfs, ... */
  readonly type: number;
  readonly bytes: Buffer;
}

/** Whose thread caused a file event: kernel NFS server, userspace NFS server, traced command, us. */
export type PidClass = 'nfsd' | 'server' | 'traced' | 'self' | 'other';

/** One de-duplicated fanotify record. `mask` holds FAN_* bits. */
export interface FileEvent {
  readonly mask: number;
  readonly pidClass: PidClass;
  /** `fsid` of the file system as fanotify reports it (8 bytes). */
  readonly fsid: Buffer;
  readonly object: FileHandle | null;
  readonly parent: FileHandle | null;
  /** Name within `parent`; null if the kernel gave none; `.` means the directory itself. */
  readonly name: Buffer | null;
  readonly count: number;
}

/** Something that may have been missed. */
export interface LossCount {
  /** Which hop dropped: `fanotify-queue`, `fanotify-table`, `trace-ring`, `trace-table`, ... */
  readonly where: string;
  readonly count: number;
  readonly fromUs: number;
  readonly toUs: number;
}

export interface FileBatch {
  /** Runs up with each drain of one source; a batch that comes again is not taken again. */
  readonly sequence?: number;
  readonly events: readonly FileEvent[];
  readonly losses: readonly LossCount[];
  /** Everything that happened before this moment is in this batch or an earlier one. */
  readonly untilUs: number;
}

/** What kind of tracepoint a row stands for. */
export type NfsRowKind = 'verify' | 'verify-error' | 'read' | 'write';

/** One aggregated row of the NFS server's trace: (epoch, client, hash, kind, type, access). */
export interface NfsRow {
  /** Runs up at every marker; rows of one epoch happened between two markers of this stream. */
  readonly epoch: number;
  /** Normalised address: `10.0.0.7`, `2001:db8::7`, `fe80::7%3`; '' when it could not be known. */
  readonly client: string;
  /** CRC-32 of the NFS file handle, unsigned. */
  readonly hash: number;
  readonly kind: NfsRowKind;
  /** verify: the S_IFMT asked for (0 = any); else 0. */
  readonly type: number;
  /** verify: the NFSD_MAY_* bits; else 0. */
  readonly access: number;
  readonly count: number;
  /** read, write: bytes really moved; else 0. */
  readonly bytes: number;
  /** read: the smallest offset; else 0. */
  readonly minOffset: number;
  readonly firstUs: number;
  readonly lastUs: number;
  /** Running number of the row's first event in the stream. */
  readonly order: number;
}

/** A moment in a client's life that may begin a boot session. It opens the epoch it carries. */
export interface NfsMarker {
  readonly epoch: number;
  /**
   * `fsinfo`: an NFSv3 FSINFO call, `hash` is its file handle's. The rest are the nfsd_clid_*
   * tracepoints by their name without the prefix; `confirmed_r` is an EXCHANGE_ID of a client that
   * was confirmed before, with the verifier it had.
   */
  readonly kind:
    | 'fsinfo'
    | 'fresh'
    | 'confirmed'
    | 'confirmed_r'
    | 'destroyed'
    | 'verf_mismatch'
    | 'replaced'
    | 'stale'
    | 'expire_unconf'
    | 'purged'
    | 'reclaim_complete';
  readonly atUs: number;
  /** '' when the event carries no address. */
  readonly client: string;
  /** fsinfo: handle hash, 0 in tier `reads`, where it cannot be known; else 0. */
  readonly hash: number;
  /** NFSv4 client id halves; 0 when the event carries none. */
  readonly clBoot: number;
  readonly clId: number;
  /** fresh, confirmed_r: the verifier; verf_mismatch: the new one; 8 bytes as hex; '' otherwise. */
  readonly verifier: string;
  /** verf_mismatch: the verifier that was known; '' otherwise. */
  readonly oldVerifier: string;
  /** fresh, confirmed_r: the client's owner name as sent, bytes; null otherwise. */
  readonly name: Buffer | null;
}

/** A name that a client looked up in a directory, there or not: tier `exact+names` only. */
export interface NfsLookup {
  readonly epoch: number;
  readonly client: string;
  /** Hash of the directory's handle. */
  readonly directory: number;
  /** From the network: any bytes but `/` and NUL are to be expected, and those too. */
  readonly name: Buffer;
  readonly count: number;
  readonly firstUs: number;
  readonly lastUs: number;
  /** In the numbering of {@link NfsRow.order}. */
  readonly order: number;
}

export interface NfsBatch {
  /** As in {@link FileBatch}. */
  readonly sequence?: number;
  readonly rows: readonly NfsRow[];
  readonly markers: readonly NfsMarker[];
  readonly losses: readonly LossCount[];
  /** Empty or absent below the tier `exact+names`. */
  readonly lookups?: readonly NfsLookup[];
  /** Lookups beyond what a batch keeps, by client. No loss: what exists shows by its own rows. */
  readonly lookupsDropped?: readonly { readonly client: string; readonly count: number }[];
  /**
   * By the kprobe only: hash of a handle → hash of all but its last 8 bytes, which are the signature
   * of one that is signed (`sign_fh`).
   */
  readonly unsigned?: ReadonlyMap<number, number>;
  /** The next drain has the rest of this one: what is late must not be judged yet. */
  readonly more?: boolean;
  readonly untilUs: number;
}
