/** What a reader makes of a list, in words. */
import { operationsOf } from '../../src/common/words.ts';
import type { ListReader, ListedUse, Sink } from '../../src/lists/use.ts';

export interface ReadList {
  /** `read+getattr /etc/motd`: with `@ROOT` for a process that has a root of its own, `created`. */
  readonly uses: readonly string[];
  readonly all: readonly ListedUse[];
  /** Words of what was refused or passed, in order. */
  readonly refused: readonly string[];
  readonly passed: readonly string[];
}

export function readList(
  lines: readonly (string | Buffer)[],
  readerOf: (sink: Sink) => ListReader,
): ReadList {
  const all: ListedUse[] = [];
  const [refused, passed]: [string[], string[]] = [[], []];
  const reader = readerOf({
    use: (use) => void all.push(use),
    refuse: (why) => void refused.push(why),
    pass: (what) => void passed.push(what),
  });
  for (const line of lines)
    reader.read(typeof line === 'string' ? Buffer.from(line, 'latin1') : line);
  reader.end();
  return { uses: all.map(wordsOf), all, refused, passed };
}

function wordsOf({ path, chroot, operations, follow, created }: ListedUse): string {
  return [
    operationsOf(operations).join('+') || 'any',
    path.toString('latin1'),
    ...(chroot === null ? [] : [`@${chroot.toString('latin1')}`]),
    ...(follow ? [] : ['itself']),
    ...(created ? ['created'] : []),
  ].join(' ');
}
