/**
 * A curve in characters: counts of seconds become columns, the newest at the right. Pure.
 */
const BLOCKS = ' ▁▂▃▄▅▆▇█';
const PLAIN = ' .:-=+*#@';

export interface SparklineOptions {
  /** One for each second, oldest first. */
  readonly counts: readonly number[];
  /** The second that the last count is of: columns that stand for several do not flicker. */
  readonly lastSecond: number;
  readonly width: number;
  /** Lines. */
  readonly height: number;
  readonly unicode: boolean;
}

export interface Sparkline {
  /** From the top. */
  readonly lines: readonly string[];
  /** The highest column, a second. */
  readonly peak: number;
  readonly seconds: number;
}

/** Whatever is not zero shows, however small it is beside the peak. */
export function sparkline(options: SparklineOptions): Sparkline {
  const { counts, lastSecond, width, height, unicode } = options;
  const step = Math.max(1, Math.ceil(counts.length / Math.max(1, width)));
  const columns = columnsOf(counts, lastSecond, step).slice(-Math.max(0, width));
  const peak = columns.reduce((most, value) => Math.max(most, value), 0);
  const signs = unicode ? BLOCKS : PLAIN;
  const full = signs.length - 1;
  const levels = columns.map((value) =>
    value === 0 || peak === 0 ? 0 : Math.max(1, Math.round((value / peak) * full * height)),
  );
  const lines = Array.from({ length: height }, (_, row) => {
    const below = (height - 1 - row) * full;
    const line = levels.map((level) => signs[Math.max(0, Math.min(full, level - below))] ?? ' ');
    return line.join('').padStart(width);
  });
  return { lines, peak, seconds: Math.min(counts.length, columns.length * step) };
}

/** Means of `step` seconds each, cut at multiples of it. */
function columnsOf(counts: readonly number[], lastSecond: number, step: number): number[] {
  const sums = new Map<number, { sum: number; seconds: number }>();
  for (const [index, count] of counts.entries()) {
    const key = Math.floor((lastSecond - counts.length + 1 + index) / step);
    const column = sums.get(key) ?? { sum: 0, seconds: 0 };
    column.sum += count;
    column.seconds += 1;
    sums.set(key, column);
  }
  return [...sums.values()].map(({ sum, seconds }) => sum / seconds);
}
