/** SQLite's largest; the largest file's 2^63 - 1 bytes are one more as a floating-point number. */
const MOST = 2n ** 63n - 1n;

/** A size as SQLite can take it. */
export function integer(value: number): number | bigint {
  return value < 2 ** 63 ? value : MOST;
}
