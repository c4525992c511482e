/** Links that lead nowhere, and will not lead anywhere when the system runs, either. */
import { type Fault, type Linted, note } from './fault.ts';

/** What is there only while the system runs. */
const AT_RUN_TIME = /^(?:proc|sys|dev|run|var\/run|tmp)(?:\/|$)/;

export function* danglingLinks({ resolver }: Linted): Generator<Fault> {
  for (const link of resolver.links()) {
    if (AT_RUN_TIME.test(link)) continue;
    const { path } = resolver.follow(link);
    const target = resolver.target(link) ?? '';
    if (path === null)
      yield note('dangling-link', link, `it leads in a circle, to ${text(target)}`);
    else if (!AT_RUN_TIME.test(path) && resolver.lstat(path) === null)
      yield note('dangling-link', link, `there is no ${text(target)}`);
  }
}

const text = (bytes: string): string => Buffer.from(bytes, 'latin1').toString();
