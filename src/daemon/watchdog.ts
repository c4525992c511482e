/**
 * Proves that recording makes progress, again and again, and tells nobody when it cannot. Owns what
 * progress is: the event loop turns, both reader threads answer, flushes end. Must not know systemd.
 *
 * A disk that refuses (full, locked, read-only) is progress: what was recorded waits in memory, and
 * a daemon that is killed for it would lose just that. A writer that does not come back is none.
 */
import type { Recorder } from '../recording/recorder.ts';

export interface WatchdogOptions {
  readonly recorder: Pick<Recorder, 'probe' | 'busyMs'>;
  /** Within how long somebody wants to hear of progress. */
  readonly withinMs: number;
  readonly onProgress: () => void;
  /** Called when progress is missed, once until there is some again. */
  readonly onMissed: (why: string) => void;
}

/** Chances within the time that somebody waits. */
const CHANCES = 3;
/** A flush may take this many times as long, before it is stuck: it may walk a large root. */
const PATIENCE = 2;

export class Watchdog {
  readonly #options: WatchdogOptions;
  #timer: NodeJS.Timeout | null = null;
  #asking = false;
  #missed = false;

  constructor(options: WatchdogOptions) {
    this.#options = options;
  }

  start(): void {
    const everyMs = this.#options.withinMs / CHANCES;
    this.#timer = setInterval(() => void this.#ask(), everyMs);
    void this.#ask();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  async #ask(): Promise<void> {
    if (this.#asking) return;
    this.#asking = true;
    const why = await this.#trouble();
    this.#asking = false;
    if (this.#timer === null) return;
    if (why === null) this.#options.onProgress();
    else if (!this.#missed) this.#options.onMissed(why);
    this.#missed = why !== null;
  }

  async #trouble(): Promise<string | null> {
    const { recorder, withinMs } = this.#options;
    if (recorder.busyMs > PATIENCE * withinMs)
      return `a flush has not ended for ${Math.round(recorder.busyMs / 1000)} s`;
    try {
      await recorder.probe(withinMs);
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  }
}
