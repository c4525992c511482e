/**
 * How long a starting daemon is waited for: as long as it gets on, since on a slow machine with many
 * roots that takes minutes. Owns what counts as getting on. Must not know what is waited for.
 */
import { fstatSync, readFileSync } from 'node:fs';

export interface PatienceOptions {
  /** Without progress for so long, milliseconds, it hangs. */
  readonly quietMs: number;
  /** Whatever it does, milliseconds. */
  readonly longestMs: number;
}

export class Patience {
  readonly #quietMs: number;
  readonly #last: number;
  #end: number;
  #seen = '';

  constructor({ quietMs, longestMs }: PatienceOptions) {
    this.#quietMs = quietMs;
    this.#last = Date.now() + longestMs;
    this.#end = Date.now() + quietMs;
  }

  /** @param log the descriptor of what it says */
  watch(pid: number, log: number): void {
    const now = `${processorTime(pid)} ${fstatSync(log).size}`;
    if (now === this.#seen) return;
    this.#seen = now;
    this.#end = Date.now() + this.#quietMs;
  }

  get isOver(): boolean {
    return Date.now() >= Math.min(this.#end, this.#last);
  }
}

/** Of all its threads, in whatever unit; proc(5), `stat`: utime and stime. */
function processorTime(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name before it may hold anything.
    const [, utime, stime] = /\) (?:\S+ ){11}(\d+) (\d+)/.exec(stat) ?? [];
    return `${utime} ${stime}`;
  } catch {
    return '';
  }
}
