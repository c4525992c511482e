/**
 * Which files and links a sweep looked at without reading them. A program that runs meanwhile may
 * look at some too, so it must have been nearly all of them: of the whole, or of a folder.
 * Owns that condition.
 */
import { parentOf } from '../resolve.ts';
import type { Entry } from './below.ts';
import { isWithin, type Span } from './burst.ts';
import type { Scene } from './scene.ts';
import { isOnlyLookedAt, type Touch } from './touch.ts';

/** Some attributes a client has already. */
const MOST = 0.9;
/** Of a folder with fewer, a program may well have looked at everything. */
const LEAST_IN_FOLDER = 20;

export function lookedAtBy(
  { others, leaves, byName, timeline }: Pick<Scene, 'others' | 'leaves' | 'byName' | 'timeline'>,
  burst: Span,
): Touch[] {
  const candidates = others.filter(
    (one) => isOnlyLookedAt(one) && timeline.isBrief(one) && isWithin(one, burst),
  );
  if (candidates.length === 0) return [];
  const whole = new Map<string, Share>();
  const folders = new Map<string, Share>();
  for (const leaf of leaves) {
    const touched = byName.has(leaf.path);
    count(whole, kindOf(leaf), touched);
    count(folders, `${kindOf(leaf)} ${parentOf(leaf.path)}`, touched);
  }
  return candidates.filter((one) => {
    const folder = `${kindOf(one)} ${parentOf(one.names[0] ?? '')}`;
    return (
      isNearlyAll(whole.get(kindOf(one)), 1) || isNearlyAll(folders.get(folder), LEAST_IN_FOLDER)
    );
  });
}

interface Share {
  all: number;
  touched: number;
}

/** `ls -l` looks at files, and asks links where they lead. */
const kindOf = ({ type }: Pick<Entry | Touch, 'type'>): string =>
  type === 'symlink' ? 'link' : 'file';

function count(shares: Map<string, Share>, key: string, touched: boolean): void {
  let share = shares.get(key);
  if (share === undefined) shares.set(key, (share = { all: 0, touched: 0 }));
  share.all++;
  if (touched) share.touched++;
}

function isNearlyAll(share: Share | undefined, least: number): boolean {
  return share !== undefined && share.all >= least && share.touched >= share.all * MOST;
}
