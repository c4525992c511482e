/** Links that lead nowhere, and will not lead anywhere when the system runs, either. */
import { type Fault, type Linted, note } from './fault.ts';

/** What is filled only while the system runs: all below these, not the places themselves. */
const PLACE = /^(?:proc|sys|dev|run|var\/run|tmp)$/;
const BELOW_PLACE = /^(?:proc|sys|dev|run|var\/run|tmp)\//;

export function* danglingLinks({ resolver }: Linted): Generator<Fault> {
  for (const link of resolver.links()) {
    if (BELOW_PLACE.test(link)) continue;
    const { path } = resolver.follow(link);
    const target = resolver.target(link) ?? '';
    if (path === null)
      yield note('dangling-link', link, `it leads in a circle, to ${text(target)}`);
    else if (!isMadeLater(link, path) && resolver.lstat(path) === null)
      yield note('dangling-link', link, `there is no ${text(target)}`);
  }
}

/** A place that is a link must lead to where something can be mounted, or into another place. */
function isMadeLater(link: string, end: string): boolean {
  return BELOW_PLACE.test(end) || (PLACE.test(end) && !PLACE.test(link));
}

const text = (bytes: string): string => Buffer.from(bytes, 'latin1').toString();
