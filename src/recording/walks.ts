/**
 * Looks at whole file systems that are under way: walks, and scans of access times. They take as
 * long as a tree is large, so nobody who waits for progress may take one for a standstill.
 * Owns their count. Must not know what is walked.
 */
import { nowUs } from './clock.ts';

let underWay = 0;
let endedUs = 0;

/** Counts a look for as long as it takes. */
export async function asWalk<T>(look: () => Promise<T>): Promise<T> {
  underWay += 1;
  try {
    return await look();
  } finally {
    underWay -= 1;
    endedUs = nowUs();
  }
}

/**
 * Since when work that began at `sinceUs` (monotonic) has gone on without a walk; null while there
 * is one.
 */
export function withoutWalkSince(sinceUs: number): number | null {
  return underWay > 0 ? null : Math.max(sinceUs, endedUs);
}
