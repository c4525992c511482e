/**
 * Recordings whose root is not there: not mounted yet, unmounted, moved. Owns when to look again
 * and what the time without it is called. Must not open roots.
 */
import type { LossGrowth, LossUpdate, RecordingRow } from '../store/types.ts';
import { nowUs } from './clock.ts';
import type { Unwatched } from './volumes.ts';

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
  /**
   * Since when the store has it as a loss that grows, monotonic; null while nobody has looked for
   * the root since the daemon began.
   */
  readonly toldUs: number | null;
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

  /** The losses that the store has of roots that are still away, until now; monotonic. */
  growing(): LossGrowth[] {
    return this.all().flatMap(growthOf);
  }
}

/** What the store has of the loss goes on until now, monotonic; none if it has nothing. */
export function growthOf({ recording, toldUs }: AbsentRoot): LossGrowth[] {
  if (toldUs === null) return [];
  return [{ recordingId: recording.id, where: 'root-absent', fromUs: toldUs, toUs: nowUs() }];
}

/**
 * The time without the root, until now, to be looked into: what the store has of it already does
 * not count again.
 * @param toWall monotonic to wall-clock microseconds
 */
export function absenceOf(absent: AbsentRoot, toWall: (us: number) => number): LossUpdate {
  const told = absent.toldUs !== null;
  const where = told ? 'root-absent' : 'daemon-restart';
  const loss = lossOf(absent.recording.id, where, absent.fromUs, toWall);
  return { ...loss, count: told ? 0 : 1 };
}

/**
 * The loss that is told while the root is away: if the daemon were killed, nobody would know of it.
 * @param absent with the moment since when it is told
 */
export function beginningOf(
  absent: AbsentRoot & { readonly toldUs: number },
  toWall: (us: number) => number,
): LossUpdate {
  return lossOf(absent.recording.id, 'root-absent', absent.toldUs, toWall);
}

/**
 * Another mount is the root now: nobody watched it for a moment.
 * @param unwatched monotonic
 */
export function remountOf(
  recordingId: number,
  unwatched: Unwatched,
  toWall: (us: number) => number,
): LossUpdate {
  const detail = 'something was mounted on the root, or the root unmounted or mounted again';
  const loss = lossOf(recordingId, 'root-absent', unwatched.fromUs, toWall);
  return { ...loss, toUs: toWall(unwatched.toUs), detail };
}

function lossOf(
  recordingId: number,
  where: keyof typeof DETAILS,
  fromUs: number,
  toWall: (us: number) => number,
): LossUpdate {
  return {
    recordingId,
    sessionId: null,
    where,
    count: 1,
    fromUs: toWall(fromUs),
    toUs: toWall(nowUs()),
    detail: DETAILS[where],
  };
}
