/**
 * Recordings whose root is not there: not mounted yet, unmounted, moved. Owns when to look again
 * and what the time without it is called. Must not open roots.
 */
import type { LossUpdate, RecordingRow } from '../store/types.ts';
import { nowUs } from './clock.ts';

const RETRY_US = 2_000_000;

const DETAILS = {
  'daemon-restart': 'no daemon was running; what clients did meanwhile is not known',
  'root-absent': 'the root was not where it was recorded; what clients did meanwhile is not known',
} as const;

export interface AbsentRoot {
  /** Its times in the store move when the clock is set. */
  readonly recording: Omit<RecordingRow, 'startedUs' | 'stoppedUs' | 'lastUs'>;
  /** Monotonic. */
  readonly startedUs: number;
  /** Since when nothing is recorded, monotonic. */
  readonly fromUs: number;
  readonly where: keyof typeof DETAILS;
  readonly why: string;
}

export class AbsentRoots {
  readonly #roots = new Map<number, AbsentRoot>();
  #nextUs = 0;

  all(): AbsentRoot[] {
    return [...this.#roots.values()];
  }

  get(rootId: number): AbsentRoot | undefined {
    return this.#roots.get(rootId);
  }

  put(absent: AbsentRoot): void {
    this.#roots.set(absent.recording.rootId, absent);
    this.#nextUs = nowUs() + RETRY_US;
  }

  delete(rootId: number): void {
    this.#roots.delete(rootId);
  }

  /** Those to look for now: all, every two seconds. */
  due(atUs: number): AbsentRoot[] {
    if (atUs < this.#nextUs) return [];
    this.#nextUs = atUs + RETRY_US;
    return this.all();
  }

  /**
   * The time without the root, until now.
   * @param toWall monotonic to wall-clock microseconds
   */
  lossOf({ recording, fromUs, where }: AbsentRoot, toWall: (us: number) => number): LossUpdate {
    return {
      recordingId: recording.id,
      sessionId: null,
      where,
      count: 1,
      fromUs: toWall(fromUs),
      toUs: toWall(nowUs()),
      detail: DETAILS[where],
    };
  }
}
