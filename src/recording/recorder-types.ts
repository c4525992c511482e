/**
 * What is asked of the recorder and what it answers, and the shapes of a recording in its states.
 * Owns only types and translations.
 */
import type { OpenSession, SessionDrops, SessionEffect } from '../attribution/boot-sessions.ts';
import type { TraceError } from '../common/errors.ts';
import type { LossTotal, OnLoss } from '../store/types.ts';
import type { AbsentRoot } from './absent-roots.ts';
import type { Notice } from './effects.ts';
import type { ExportReader } from './export-table.ts';
import type { PipeOptions } from './pipe.ts';
import type { RootRecording } from './root-recording.ts';
import type { SensorSet, SensorsOptions, SensorsStatus } from './sensors.ts';
import type { RootIndex } from './volume.ts';

export type RecorderOptions = SensorsOptions &
  Omit<PipeOptions, 'sensors' | 'roots' | 'exports' | 'growing'> & {
    /** Instead of this machine's kernel and trees. */
    readonly replay?: ReplayParts | undefined;
  };

/** What a replay puts in the place of the kernel. */
export interface ReplayParts {
  readonly sensors: SensorSet;
  readonly exports: ExportReader;
  readonly root: (path: Buffer) => RootIndex | undefined;
}

export interface StartRequest {
  readonly path: Buffer;
  readonly label: string | null;
  readonly clients: readonly string[];
  readonly onLoss?: OnLoss | undefined;
  /** The content of its sessions is to be kept; by whoever sees to that. */
  readonly keepContent?: boolean | undefined;
}

/** What became of a recording that ended. */
export interface StoppedRecording {
  readonly recordingId: number;
  /** Sessions that this ended. */
  readonly sessions: readonly number[];
  readonly onLoss: OnLoss;
  readonly losses: readonly LossTotal[];
}

export interface RecordingStatus {
  readonly rootId: number;
  readonly recordingId: number;
  readonly path: Buffer;
  readonly label: string | null;
  readonly objects: number;
  /** Its first listing is under way: what clients do is taken, and gets its names afterwards. */
  readonly walking: boolean;
  /** Why a file system of it could not be listed, which is tried again; null if all could be. */
  readonly unlisted: string | null;
  /** Wall clock, microseconds. */
  readonly startedUs: number;
  /** Directories that the last walk could not list: handles from there have no name. */
  readonly unreadable: number;
  /** Mounts below the root that are not recorded with it. */
  readonly mountsBelow: number;
  /** Objects that share the hash of their NFS handle with another. */
  readonly collisions: number;
  /** Objects and names that there was no room for. */
  readonly refused: number;
  /** Why it does not record now: the root is not there. null while it does. */
  readonly waiting: string | null;
}

export interface RecorderStatus extends SensorsStatus {
  readonly recordings: readonly RecordingStatus[];
  /** Calls whose file handle nothing explained. */
  readonly unresolved: number;
  /** Calls on exports that are not recorded. */
  readonly outside: number;
  /** Wall clock, microseconds. */
  readonly lastCommitUs: number;
  /** Why the last flush failed; null if it did not. */
  readonly failure: string | null;
  /** Flushes that the store has not taken yet. */
  readonly uncommitted: number;
  /** Sessions that are open now. */
  readonly open: readonly OpenSession[];
  /** What bounds on clients made us drop, since start. */
  readonly drops: SessionDrops;
}

/** @param toWall monotonic to wall-clock microseconds, as for {@link describeAbsent} */
export function describe(root: RootRecording, toWall: (us: number) => number): RecordingStatus {
  const { rootId, recordingId, label, startedUs } = root.options;
  return {
    rootId,
    recordingId,
    path: root.path,
    label,
    objects: root.objects,
    walking: root.summary === null && root.unlisted === null,
    unlisted: root.unlisted,
    startedUs: toWall(startedUs),
    unreadable: root.summary?.unreadable ?? 0,
    mountsBelow: root.mountsBelow,
    collisions: root.summary?.collisions ?? 0,
    refused: root.refused,
    waiting: null,
  };
}

export function describeAbsent(
  { recording, startedUs: sinceUs, why }: AbsentRoot,
  toWall: (us: number) => number,
): RecordingStatus {
  const { rootId, id, root, label } = recording;
  const startedUs = toWall(sinceUs);
  const counts = { objects: 0, unreadable: 0, mountsBelow: 0, collisions: 0, refused: 0 };
  const nothing = { ...counts, walking: false, unlisted: null };
  return { rootId, recordingId: id, path: root, label, startedUs, waiting: why, ...nothing };
}

export function closedIn(effects: readonly SessionEffect[]): number[] {
  return effects.flatMap((effect) => (effect.kind === 'closed' ? [effect.id] : []));
}

export function noticeOfTier({ message, hint = '' }: TraceError): Notice {
  return { level: 'warn', text: `${message}; tier sole-client. ${hint}` };
}
