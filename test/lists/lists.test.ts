/** Lists of paths, find's output, telling formats apart, and whose paths they are. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { AuditReader } from '../../src/lists/audit.ts';
import { wayInto } from '../../src/lists/bytes.ts';
import { FindReader } from '../../src/lists/find.ts';
import { guessFormat } from '../../src/lists/guess-format.ts';
import { linesOf, MOST_LINE, type Line } from '../../src/lists/lines.ts';
import { PlainReader } from '../../src/lists/plain.ts';
import { RootPaths, type PathView } from '../../src/lists/root-paths.ts';
import { StraceReader } from '../../src/lists/strace/reader.ts';
import type { ListReader, Sink } from '../../src/lists/use.ts';
import { readList } from './read-list.ts';

const AUDIT = readFileSync(join(import.meta.dirname, '../fixtures/lists/audit-6.18.log'));
const ALL: readonly ((sink: Sink) => ListReader)[] = [
  (sink) => new PlainReader(sink),
  (sink) => new FindReader(sink),
  (sink) => new AuditReader(sink),
  (sink) => new StraceReader({ sink, rootNamed: () => null }),
];

describe('lists', () => {
  test('a plain list: each line is a path, whatever is in it', () => {
    const lines = ['./a b', '', '/c "d" # e', '\xff\t', 'x'.repeat(4097)];
    const { uses, refused } = readList(lines, (sink) => new PlainReader(sink));
    assert.deepEqual(uses, ['any ./a b itself', 'any /c "d" # e itself', 'any \xff\t itself']);
    assert.deepEqual(refused, ['too-long']);
  });

  test('find -ls: escapes, arrows, devices, what is no line of it', () => {
    const lines = [
      '  4250754      4 -rw-r--r--   1 root     root            1 Nov 28 19:56 ./od\\ d/n\\nl\\377\\"\\\\',
      '  4250744      0 lrwxrwxrwx   1 root     root            7 Nov 28  2019 ./bin/sh\\ ->\\ x -> bus -> y',
      '        5      0 crw-rw-rw-   1 root     root       1,   3 Nov  8 19:56 ./dev/null',
      ' 12345678901  1234567 drwsr-sr-t+ 12 0 nfs-group 123456789012 Jan  1  1970 /srv/x',
      'find: ‘./proc’: Permission denied',
    ];
    const { all, refused } = readList(lines, (sink) => new FindReader(sink));
    assert.deepEqual(
      all.map(({ path }) => path.toString('latin1')),
      ['./od d/n\nl\xff"\\', './bin/sh -> x', './dev/null', '/srv/x'],
    );
    assert.deepEqual(refused, ['not-understood']);
  });

  test('the longest lines there are, of anything, take moments and not hours', () => {
    const size = '  12   4 -rw-r--r--   1 root root 1';
    const heads = ['', 'open("', 'open(3<', 'type=PATH msg=audit(1.123:1): name=', size];
    const began = performance.now();
    for (const head of heads)
      for (const part of [' ', ')', 'a', '\\', '<', '1 ', ' -> '])
        for (const reader of ALL) {
          const line = Buffer.from(head + part.repeat(MOST_LINE / part.length), 'latin1');
          readList([line], reader);
        }
    assert.ok(performance.now() - began < 60_000);
  });

  test('which format it is', () => {
    const guess = (...lines: string[]): string => guessFormat(Buffer.from(lines.join('\n')));
    assert.equal(guess('bin/sh', './etc', '/lib/x'), 'plain');
    assert.equal(guess(''), 'plain');
    assert.equal(guess('bin/sh\0etc'), 'null');
    assert.equal(guess('a program says something', '12 open("/a", O_RDONLY) = 3'), 'strace');
    assert.equal(guess('  12   4 -rw-r--r--   1 root root 1 Nov 28 19:56 ./a'), 'find');
    assert.equal(guessFormat(AUDIT.subarray(0, 65_536)), 'audit');
  });

  test('whose paths they are', () => {
    const seen = (view: PathView, path: string, chroot: string | null = null): string | null => {
      const names = [Buffer.from('/nfsroots/sarge'), Buffer.from('/srv/real')];
      const paths = new RootPaths({ names, view, cwd: Buffer.from('/nfsroots') });
      const of = chroot === null ? null : Buffer.from(chroot);
      return paths.inRoot(Buffer.from(path), of)?.toString() ?? null;
    };
    assert.equal(seen('auto', '/etc/motd'), '/etc/motd');
    assert.equal(seen('auto', './etc/motd'), './etc/motd');
    assert.equal(seen('auto', '/nfsroots/sarge/etc/'), '/etc/');
    assert.equal(seen('auto', '/nfsroots/sarge'), '/');
    assert.equal(seen('auto', '/srv/real//etc/./motd'), '/etc/motd');
    assert.equal(seen('auto', '/nfsroots/sarge2/etc'), '/nfsroots/sarge2/etc');
    assert.equal(seen('server', '/nfsroots/sarge2/etc'), null);
    assert.equal(seen('server', '/nfsroots/sarge/../etc'), null);
    assert.equal(seen('server', 'sarge/etc'), '/etc');
    assert.equal(seen('server', '/etc/motd'), null);
    assert.equal(seen('inside', '/nfsroots/sarge/etc'), '/nfsroots/sarge/etc');
    assert.equal(seen('auto', '/etc/motd', '/nfsroots/sarge'), '/etc/motd');
    assert.equal(seen('auto', '/../../x', '/nfsroots/sarge'), '/x');
    assert.equal(seen('auto', '/sarge/etc', '/nfsroots'), '/etc');
    assert.equal(seen('auto', '/etc', '/nfsroots'), null);
    assert.equal(seen('server', '/etc', '/elsewhere'), null);
    assert.equal(seen('auto', '/etc/motd', '/'), '/etc/motd');
  });

  test('what `..` leads to is for whoever follows the links before it', () => {
    const seen = (view: PathView, path: string, chroot: string | null = null): string | null => {
      const paths = new RootPaths({
        ...{ names: [Buffer.from('/nfsroots/sarge')], view },
        cwd: Buffer.from('/nfsroots/sarge/lib'),
      });
      const of = chroot === null ? null : Buffer.from(chroot);
      return paths.inRoot(Buffer.from(path), of)?.toString() ?? null;
    };
    const root = '/nfsroots/sarge';
    assert.equal(seen('server', '/bin/../share/x', root), '/bin/../share/x');
    assert.equal(seen('server', '/bin/../../../x', root), '/bin/../../../x');
    assert.equal(seen('server', `${root}/bin/.././share//x`), '/bin/../share/x');
    assert.equal(seen('server', '../bin/..'), '/lib/../bin/..');
    assert.equal(seen('inside', '/bin/../share/x'), '/bin/../share/x');
    // Before the root, and at it, the names are all there is.
    assert.equal(seen('server', `/nfsroots/x/../sarge/../sarge/bin/../x`), '/bin/../x');
    for (const view of ['server', 'auto'] as const) {
      assert.equal(seen(view, `${root}/../sarge2/x`), null);
      assert.equal(seen(view, `${root}/bin/../../x`), null);
      assert.equal(seen(view, '/bin/../x', `${root}/run`), '/run/bin/../x');
      assert.equal(seen(view, '/../x', `${root}/run`), '/run/x');
      assert.equal(seen(view, '/bin/../../x', `${root}/run`), null);
    }
    assert.deepEqual(wayInto(Buffer.from('/a/b'), Buffer.from('/a/')), Buffer.from('/b'));
    // What ends as a directory does is followed to it.
    assert.equal(seen('server', `${root}/bin/.`), '/bin/');
  });

  test('a chroot that is not to the root is a directory in it, as seen from inside', () => {
    const seen = (view: PathView, path: string, chroot: string): string | null => {
      const names = [Buffer.from('/nfsroots/sarge')];
      const paths = new RootPaths({ names, view, cwd: Buffer.from('/') });
      return paths.inRoot(Buffer.from(path), Buffer.from(chroot))?.toString() ?? null;
    };
    for (const view of ['inside', 'auto'] as const) {
      assert.equal(seen(view, '/etc/motd', '/run/sshd'), '/run/sshd/etc/motd');
      assert.equal(seen(view, '/../etc', '/run/sshd'), '/run/sshd/etc');
      assert.equal(seen(view, '/etc/../../x', '/run/sshd'), null);
      assert.equal(seen(view, '/etc/motd', '/nfsroots/sarge'), '/etc/motd');
      assert.equal(seen(view, '/etc', '/nfsroots/sarge/run'), '/run/etc');
    }
    assert.equal(seen('server', '/etc/motd', '/run/sshd'), null);
  });

  test('lines of any length, in pieces of any size', async () => {
    const text = Buffer.from('a\nbb\n\nccccccc\nd');
    for (let size = 1; size <= text.length; size += 1) {
      const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, i) =>
        text.subarray(i * size, (i + 1) * size),
      );
      const lines: Line[] = [];
      for await (const line of linesOf(stream(pieces), 0x0a, 4)) lines.push(line);
      assert.deepEqual(
        lines.map(({ bytes, number, cut }) => `${number}${bytes.toString()}${cut ? '!' : ''}`),
        ['1a', '2bb', '3', '4cccc!', '5d'],
      );
    }
  });
});

async function* stream(pieces: readonly Buffer[]): AsyncGenerator<Buffer> {
  for (const piece of pieces) yield await Promise.resolve(piece);
}
