/** What many processes have in common, against a look at each of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { wholePath, type Place, type Process } from '../../src/lists/place.ts';
import { ProcessGroup } from '../../src/lists/process-group.ts';

const PLACES: readonly (Place | null)[] = [
  null,
  { path: Buffer.from('/root/etc'), chroot: null },
  // The same one, as a process sees it whose root is that.
  { path: Buffer.from('/etc/'), chroot: Buffer.from('/root') },
  // Where this is, nobody knows.
  { path: Buffer.from('/a/..'), chroot: Buffer.from('/root') },
  { path: Buffer.from('/a/..'), chroot: Buffer.from('/root') },
];

function wordsOf(process: Process | null): string {
  if (process === null) return 'none';
  const { cwd, chroot, lost } = process;
  return `${PLACES.indexOf(cwd)} ${chroot?.toString() ?? '-'} ${lost ?? '-'}`;
}

function lookedAt(all: readonly Process[]): Process | null {
  const [first] = all;
  if (first === undefined) return null;
  const rooted = ({ chroot, lost }: Process): string => `${lost ?? ''} ${String(chroot)}`;
  if (all.some((one) => rooted(one) !== rooted(first)))
    return { cwd: null, chroot: null, lost: 'parent' };
  const placed = ({ cwd }: Process): unknown =>
    cwd === null ? null : (wholePath(cwd)?.toString() ?? cwd);
  return { ...first, cwd: all.every((one) => placed(one) === placed(first)) ? first.cwd : null };
}

test('what all of them have is known without a look at each', () => {
  let seed = 1;
  const any = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0;
    return Math.floor((seed / 2 ** 32) * below);
  };
  const anyWhere = (): Process => ({
    cwd: PLACES[any(PLACES.length)] ?? null,
    chroot: any(4) === 0 ? Buffer.from('/root') : null,
    lost: any(20) === 0 ? 'gone' : null,
  });
  const seen = new Set<string>();
  const group = new ProcessGroup();
  const all = new Map<string, Process>();
  for (let step = 0; step < 20_000; step += 1) {
    const number = String(any(4));
    const [other] = [...all.values()].slice(any(4));
    const known = all.get(number);
    if (any(3) === 0) {
      group.delete(number);
      all.delete(number);
    } else if (known !== undefined && any(2) === 0) {
      Object.assign(known, anyWhere());
      group.changed(known);
    } else {
      // Threads share it.
      const process = other !== undefined && any(4) === 0 ? other : anyWhere();
      group.set(number, process);
      all.set(number, process);
    }
    assert.equal(wordsOf(group.common()), wordsOf(lookedAt([...all.values()])));
    assert.equal(group.first(), [...all.keys()][0]);
    seen.add(wordsOf(group.common()));
  }
  assert.ok(seen.size > 10);
});

test('a hundred thousand that come and go, in any order, take moments and not minutes', () => {
  const began = performance.now();
  const group = new ProcessGroup();
  for (let number = 0; number < 200_000; number += 1) {
    const process = { ...group.common(), chroot: null, lost: null, cwd: PLACES[1] ?? null };
    group.set(String(number), process);
    Object.assign(process, { cwd: null });
    group.changed(process);
    if (number >= 100_000) group.delete(group.first() ?? '');
  }
  assert.equal(group.size, 100_000);
  assert.ok(performance.now() - began < 10_000);
});

test('many in one directory, below one root, have its path once', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  const chroot = Buffer.from(`/${'b'.repeat(4000)}`);
  const cwd = { path: Buffer.from(`/${'a'.repeat(4000)}`), chroot: null };
  const group = new ProcessGroup();
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let number = 0; number < 10_000; number += 1) {
    const one: Process = { cwd: null, chroot: null, lost: null };
    group.set(String(number), one);
    Object.assign(one, { cwd, chroot });
    group.changed(one);
  }
  collect();
  const used = process.memoryUsage().heapUsed - before;
  assert.equal(group.common()?.cwd, cwd);
  // Each with its own: 80 MB.
  assert.ok(used < 20_000_000, `${used} bytes`);
});
