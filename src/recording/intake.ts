/**
 * What came out of the sensors and has not gone on. Owns that a batch which comes twice counts once,
 * that every index follows the file events, and how much there was, if nothing becomes of it. Must
 * not know clients or sessions.
 */
import type { FileBatch, FileEvent, LossCount, NfsBatch } from '../common/batches.ts';
import { nowUs } from './clock.ts';
import { drained } from './drained.ts';
import type { RootRecording } from './root-recording.ts';
import type { SensorSet } from './sensors.ts';

export interface IntakeOptions {
  readonly sensors: SensorSet;
  readonly roots: ReadonlyMap<number, RootRecording>;
}

export class Intake {
  readonly #options: IntakeOptions;
  #events: FileEvent[] = [];
  #fileLosses: LossCount[] = [];
  /** Nothing is watched before. */
  #filesUntilUs = nowUs();
  #filesFromUs = this.#filesUntilUs;
  /** Of the last batches taken. */
  #traceSequence = 0;
  #fileSequence = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
  }

  /** Until when the file events are all there, monotonic. */
  get filesUntilUs(): number {
    return this.#filesUntilUs;
  }

  /**
   * The earliest moment that a file event which was taken can be of, monotonic: it has no time of its
   * own, and the sensor's thread can be later than the drain that ought to have had it.
   */
  get filesFromUs(): number {
    return this.#filesFromUs;
  }

  /** File events that were taken; their losses are told by {@link losses}. */
  get files(): FileBatch {
    return { events: this.#events, losses: [], untilUs: this.#filesUntilUs };
  }

  /** Nothing of a batch that was taken before: its counts would be doubled. */
  takeTrace(): NfsBatch {
    const batch = this.#options.sensors.drainTrace();
    if (batch.sequence === undefined) return batch;
    if (batch.sequence <= this.#traceSequence)
      return { rows: [], markers: [], losses: [], untilUs: batch.untilUs };
    this.#traceSequence = batch.sequence;
    return batch;
  }

  /** Drains the file side and lets every index follow it. */
  takeFiles(): void {
    const batch = this.#options.sensors.drainFiles();
    if (batch.sequence !== undefined) {
      if (batch.sequence <= this.#fileSequence) return;
      this.#fileSequence = batch.sequence;
    }
    if (this.#events.length === 0) this.#filesFromUs = this.#filesUntilUs;
    // Not push(...): as arguments a full table's 262,144 rows overflow the stack.
    this.#events = this.#events.concat(batch.events);
    this.#fileLosses.push(...batch.losses);
    this.#filesUntilUs = batch.untilUs;
    for (const root of this.#options.roots.values()) root.followNames(batch.events);
  }

  /** The file events went on. */
  clearFiles(): void {
    this.#events = [];
  }

  /** Nothing becomes of a trace's batch and of the file events: how many there were, and since when. */
  abandon(trace: NfsBatch): { readonly count: number; readonly fromUs: number } {
    const all = drained(trace, this.#events, this.#filesFromUs);
    this.#events = [];
    return all;
  }

  /** What the sensors lost themselves; each is given once. */
  losses(trace: NfsBatch): LossCount[] {
    const all = [...trace.losses, ...this.#fileLosses];
    this.#fileLosses = [];
    return all;
  }
}
