/**
 * Judges what comes of each input: what may come out, and how long it may take. Owns the count of it.
 * Must not know where inputs come from.
 */
import { TraceError } from '../../src/common/errors.ts';
import type { Target } from './target.ts';

/** What a series of inputs came to. */
export interface Said {
  readonly turns: number;
  readonly seconds: number;
  readonly found: Found | null;
  /** The turn that took longest, and its CPU time. */
  readonly slowest: { readonly turn: number; readonly ms: number };
  /** How often each error was the answer. */
  readonly answers: Readonly<Record<string, number>>;
  /** Of a guided series. */
  readonly learnt: Learnt | null;
}

export interface Learnt {
  /** Of the code, that inputs came to. */
  readonly blocks: number;
  /** Inputs that did something new. */
  readonly kept: number;
  /** By file: the lines with blocks that no input came to. */
  readonly missed: Readonly<Record<string, readonly number[]>>;
}

export interface Found {
  readonly turn: number;
  /** The same for the same defect, so that a smaller input can be told from another find. */
  readonly kind: string;
  readonly text: string;
}

/** CPU time, so that a busy machine finds nothing. */
const MOST_MS = 5000;

export class Tally {
  readonly #target: Target;
  readonly #mostMs: number;
  readonly #answers: Record<string, number> = {};
  readonly #started = performance.now();
  #slowest = { turn: 0, ms: 0 };

  constructor(target: Target, { mostMs = MOST_MS }: { readonly mostMs?: number } = {}) {
    this.#target = target;
    this.#mostMs = mostMs;
  }

  async take(turn: number, input: Buffer): Promise<Found | null> {
    const before = process.cpuUsage();
    const found = await this.#judge(turn, input);
    const { user, system } = process.cpuUsage(before);
    const ms = Math.round((user + system) / 1000);
    if (ms > this.#slowest.ms) this.#slowest = { turn, ms };
    if (found !== null || ms <= this.#mostMs) return found;
    return { turn, kind: 'slow', text: `${ms} ms of CPU time for ${input.length} bytes` };
  }

  async #judge(turn: number, input: Buffer): Promise<Found | null> {
    try {
      await this.#target.run(input);
      return null;
    } catch (error) {
      if (error instanceof TraceError && error.exit !== 'bug') {
        this.#answers[error.code] = (this.#answers[error.code] ?? 0) + 1;
        return null;
      }
      return { turn, ...describe(error) };
    }
  }

  said(turns: number, found: Found | null): Said {
    const seconds = (performance.now() - this.#started) / 1000;
    const [slowest, answers] = [this.#slowest, this.#answers];
    return { turns, seconds, found, slowest, answers, learnt: null };
  }
}

function describe(error: unknown): Omit<Found, 'turn'> {
  if (!(error instanceof Error)) return { kind: 'thrown', text: String(error) };
  const place = /\/(?:src|test)\/[^ )]+?\.ts:\d+/.exec(error.stack ?? '')?.[0] ?? '';
  return { kind: `${error.name} ${place}`, text: error.stack ?? error.message };
}
