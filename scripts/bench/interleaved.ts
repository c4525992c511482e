/**
 * Ways of doing one thing, measured in turns. Owns the order of the runs and the columns of their
 * table: ratios are medians of each run's own, so that what else the machine does meanwhile counts
 * for all of them.
 */
import { median } from './figures.ts';

export interface Way {
  readonly name: string;
  readonly run: () => Promise<unknown> | OwnTime | undefined;
}

/** What a run took by a clock that was nearer to it. */
export interface OwnTime {
  readonly ownMs: number;
}

export interface Measured {
  readonly name: string;
  readonly ms: number;
  /** How many times as fast as the first. */
  readonly speed: number;
}

/** Each once before, to warm up, then `runs` times in turns. */
export async function interleaved(options: {
  readonly ways: readonly Way[];
  readonly runs: number;
  /** Before and after each, outside of the time. */
  readonly before?: () => Promise<void> | undefined;
  readonly after?: (way: Way) => void;
}): Promise<Measured[]> {
  const { ways, runs, before, after } = options;
  const times: number[][] = ways.map(() => []);
  for (let run = -1; run < runs; run++)
    for (const [index, way] of ways.entries()) {
      await before?.();
      const start = performance.now();
      const told = await way.run();
      const tookMs = isOwnTime(told) ? told.ownMs : performance.now() - start;
      if (run >= 0) times[index]?.push(tookMs);
      after?.(way);
    }
  return ways.map(({ name }, index) => {
    const own = times[index] ?? [];
    const ratios = own.map((time, run) => (times[0]?.[run] ?? NaN) / time);
    return { name, ms: median(own), speed: median(ratios) };
  });
}

function isOwnTime(told: unknown): told is OwnTime {
  return typeof told === 'object' && told !== null && 'ownMs' in told;
}

/** `822 ms`, `8.2 ×`. */
export function columns({ ms, speed }: Measured): string[] {
  return [`${ms.toFixed(ms < 10 ? 1 : 0)} ms`, `${speed.toFixed(1)} ×`];
}
