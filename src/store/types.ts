/**
 * What goes into the store and what comes out. Owns only types. Times are wall-clock microseconds
 * since 1970; paths are bytes relative to their root, as the handle index gives them.
 */
import type { FileHandle } from '../common/batches.ts';
import type {
  BootEvidence,
  ClientIdentity,
  OpenSession,
  PendingBoot,
  SessionNote,
} from '../common/boots.ts';
import type { Evidence, SessionTier } from '../common/words.ts';

/** What a file is. */
export interface FileState {
  /** With the S_IFMT bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly nlink: number;
  readonly ctimeNs: bigint;
  /** Where a symbolic link leads. */
  readonly target?: Buffer | undefined;
}

/** A file at its first sight. */
export interface NewFile extends Omit<FileState, 'ctimeNs' | 'target'> {
  /** From {@link NextIds.file} on, never used before. */
  readonly id: number;
  readonly rootId: number;
  /** null when it is not known by a handle (an imported list). */
  readonly handle: FileHandle | null;
  /** Where its file system is mounted, from the root; empty, or absent, for the root's own. */
  readonly mount?: Buffer;
  readonly dev: number;
  readonly inode: bigint;
  readonly generation?: number | null;
  /** null, or absent, when it had gone before it could be looked at. */
  readonly ctimeNs?: bigint | null;
  readonly target?: Buffer | null;
  readonly names: readonly Buffer[];
}

/** A file system below a root that is recorded with it. */
export interface RecordedMount {
  readonly rootId: number;
  /** Relative to the root. */
  readonly path: Buffer;
}

export interface NameChange {
  readonly fileId: number;
  readonly path: Buffer;
  readonly change: 'added' | 'removed';
}

/** Adds to the (session, file) row: bits and evidence are united, counts summed, times widened. */
export interface AccessUpdate {
  readonly sessionId: number;
  readonly fileId: number;
  /** Operation bits (src/common/words.ts). */
  readonly operations: number;
  readonly count: number;
  readonly bytes: number;
  readonly firstUs: number;
  readonly lastUs: number;
  readonly order: number;
  readonly evidence: Evidence;
  /** The session itself created the file. */
  readonly created?: boolean;
  /** What the file is at this use, if that may be new to the store: kept of a session's first use. */
  readonly state?: FileState | undefined;
}

/**
 * A loss with a session is that session's. Without one it is every session's that was open in the
 * recording between the two times; without a recording too, every active recording's.
 */
export interface LossUpdate {
  readonly recordingId: number | null;
  readonly sessionId: number | null;
  readonly where: string;
  readonly count: number;
  readonly fromUs: number;
  readonly toUs: number;
  readonly detail?: string | null;
  /** Of clients that have no session: a loss of the recording, and of no session's. */
  readonly alone?: boolean;
}

/** A loss of a recording that the store has by its beginning, and that goes on. */
export interface LossGrowth {
  readonly recordingId: number;
  readonly where: string;
  /** As the loss has it. */
  readonly fromUs: number;
  readonly toUs: number;
}

/** A session as the machine opened it; `tier` is the recording's when it is not given. */
export type SessionOpened = OpenSession & { readonly tier?: SessionTier };

/** A name that a session looked up in a directory without such a name; counts are summed. */
export interface MissingLookup {
  readonly sessionId: number;
  /** File id of the directory. */
  readonly directoryId: number;
  readonly name: Buffer;
  readonly count: number;
  readonly firstUs: number;
  readonly lastUs: number;
}

/** Lookups of a session that may have been of missing names and were not kept. */
export interface MissingDropped {
  readonly sessionId: number;
  readonly count: number;
}

export interface MissingTotal {
  /** Distinct names kept. */
  readonly names: number;
  /** Lookups not kept. */
  readonly dropped: number;
}

/** A missing name as a path. */
export interface MissingPath {
  /** Below the root; null when the directory's own name was never known. */
  readonly path: Buffer | null;
  readonly name: Buffer;
  readonly count: number;
  readonly firstUs: number;
  readonly lastUs: number;
}

export interface SessionClosed {
  readonly id: number;
  readonly reason: string;
  readonly atUs: number;
}

/** All the boot evidence of a client that waits now; it replaces what was there. */
export interface PendingChange {
  readonly client: string;
  readonly boots: readonly PendingBoot[];
}

/** What reverse lookup says of an address. */
export interface ClientName {
  readonly address: string;
  readonly name: string;
}

/** Which clock the times come from: a step while nothing is recorded shows in it. */
export interface ClockRow {
  /** Of the kernel that runs. */
  readonly bootId: string;
  /** Wall clock minus CLOCK_MONOTONIC. */
  readonly offsetUs: number;
}

/** One flush, one transaction. Written in the order of the fields below. */
export interface IngestBatch {
  /** Until when everything is in this batch or in one before: a gap that follows begins there. */
  readonly atUs: number;
  readonly clock?: ClockRow;
  /** The wall clock was stepped by this since the last batch. */
  readonly shiftUs?: number;
  readonly opened?: readonly SessionOpened[];
  /** Sessions whose evidence or `partial` turned out differently. */
  readonly revised?: readonly OpenSession[];
  readonly identities?: readonly ClientIdentity[];
  readonly forgotten?: readonly ClientIdentity[];
  readonly pending?: readonly PendingChange[];
  readonly notes?: readonly SessionNote[];
  readonly clientNames?: readonly ClientName[];
  readonly mounts?: readonly RecordedMount[];
  readonly files?: readonly NewFile[];
  readonly names?: readonly NameChange[];
  readonly accesses?: readonly AccessUpdate[];
  readonly missing?: readonly MissingLookup[];
  readonly missingDropped?: readonly MissingDropped[];
  readonly closed?: readonly SessionClosed[];
  readonly losses?: readonly LossUpdate[];
  readonly grown?: readonly LossGrowth[];
}

export interface NextIds {
  readonly session: number;
  readonly file: number;
}

/** What the daemon needs of a file to know it again after a restart. */
export interface KnownFile {
  readonly id: number;
  readonly handle: FileHandle;
  /** As {@link NewFile.mount}. */
  readonly mount: Buffer;
  /** Names that still hold. */
  readonly names: readonly Buffer[];
  /** The latest that is known of it; null when that is nothing. */
  readonly ctimeNs: bigint | null;
}

export interface RootRow {
  readonly id: number;
  readonly path: Buffer;
}

/** What a loss makes of a recording: `fail` = its end is a failure. */
export type OnLoss = 'warn' | 'fail';

export interface NewRecording {
  readonly rootId: number;
  readonly label: string | null;
  /** Addresses and ranges; none is every client. */
  readonly clients: readonly string[];
  readonly tier: SessionTier;
  readonly onLoss?: OnLoss;
  readonly keepContent?: boolean;
  readonly atUs: number;
}

export interface RecordingRow {
  readonly id: number;
  readonly rootId: number;
  readonly root: Buffer;
  readonly label: string | null;
  readonly clients: readonly string[];
  readonly tier: SessionTier;
  readonly onLoss: OnLoss;
  readonly startedUs: number;
  readonly stoppedUs: number | null;
  /** Last access of any of its sessions; its start if there is none. */
  readonly lastUs: number;
}

export interface SessionRow {
  readonly id: number;
  readonly rootId: number;
  readonly root: Buffer;
  readonly recordingId: number;
  readonly label: string | null;
  readonly client: string;
  /** What a person calls the client, and the name of its address. */
  readonly clientLabel: string | null;
  readonly clientName: string | null;
  readonly tier: SessionTier;
  readonly evidence: BootEvidence;
  readonly partial: boolean;
  readonly openedUs: number;
  readonly lastUs: number;
  /** null while it is open. */
  readonly closedUs: number | null;
  readonly closeReason: string | null;
  /** Objects touched. */
  readonly files: number;
  /** Operations seen. */
  readonly accesses: number;
  /** Bytes that READ and WRITE moved. */
  readonly bytes: number;
  /** Sum of its losses' counts. */
  readonly loss: number;
  readonly marks: readonly MarkRow[];
  readonly notes: readonly NoteRow[];
}

export interface NoteRow {
  readonly kind: SessionNote['kind'];
  readonly atUs: number;
  readonly count: number;
  readonly detail: string;
}

export interface ClientRow {
  readonly address: string;
  readonly label: string | null;
  readonly name: string | null;
  readonly sessions: number;
  /** Sessions that are open now. */
  readonly open: number;
  readonly lastSession: number | null;
  /** Last access; null if it has no session. */
  readonly lastUs: number | null;
}

export interface MarkRow {
  readonly id: number;
  readonly sessionId: number;
  readonly atUs: number;
  readonly text: string;
}

export interface LossRow {
  readonly id: number;
  readonly recordingId: number | null;
  readonly sessionId: number | null;
  readonly where: string;
  readonly count: number;
  readonly fromUs: number;
  readonly toUs: number;
  readonly detail: string | null;
}

/** What a recording lost at one place. */
export interface LossTotal {
  readonly where: string;
  readonly count: number;
}

/** One object that a session touched; metadata as this session first saw it. */
export interface FileAccessRow extends Omit<FileState, 'ctimeNs' | 'target'> {
  readonly fileId: number;
  /** S_IFMT part of `mode`. */
  readonly type: number;
  /** null when it is not known. */
  readonly ctimeNs: bigint | null;
  /** Of a symbolic link; null when it is not known. */
  readonly target: Buffer | null;
  readonly dev: number;
  readonly inode: bigint;
  readonly operations: number;
  readonly count: number;
  readonly bytes: number;
  readonly firstUs: number;
  readonly lastUs: number;
  readonly order: number;
  readonly evidence: readonly Evidence[];
  readonly created: boolean;
  /** Batch of the session's first use: of several sessions' rows, the one with the higher came later. */
  readonly firstBatch: number;
  /** Names that held while the session ran, bytewise order; empty if none was ever known. */
  readonly names: readonly Buffer[];
}

/** An open session as it stands now. */
export interface SessionTally {
  readonly id: number;
  readonly client: string;
  readonly recordingId: number;
  readonly partial: boolean;
  readonly openedUs: number;
  /** Last access. */
  readonly lastUs: number;
  /** Distinct objects. */
  readonly files: number;
  /** Operations. */
  readonly accesses: number;
  /** Bytes that READ and WRITE moved. */
  readonly bytes: number;
  /** Sizes of the regular files among them that an image would carry, without its closure. */
  readonly imageBytes: number;
  /** Sum of its losses' counts. */
  readonly loss: number;
}

export interface TallySnapshot {
  /** Open sessions. */
  readonly open: number;
  /** Distinct clients of the open sessions. */
  readonly clients: number;
  /** Open sessions that are in none of the figures below yet. */
  readonly uncounted: number;
  /** Sums over the open sessions. */
  readonly total: { files: number; accesses: number; bytes: number; loss: number };
  /** What came since the tally began: only goes up. */
  readonly seen: { files: number; accesses: number; bytes: number; loss: number };
  /** New (session, file) pairs in each of the last seconds, oldest first. */
  readonly newFiles: readonly number[];
  /** The most active first. */
  readonly sessions: readonly SessionTally[];
}
