/** What patterns match, and which are refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { matchPath, MAX_GLOB, parseGlob } from '../../../src/image/rules/glob.ts';

/** Whether a pattern matches a path; a path with a slash at its end is a directory. */
function matches(glob: string, path: string): boolean {
  const names = path.split('/').filter((name) => name !== '');
  return parseGlob(glob).some((one) => {
    const match = matchPath(one, names);
    return match === 'directory' ? path.endsWith('/') || path === '' : match;
  });
}

describe('a pattern', () => {
  const cases: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    // A name alone is one anywhere, a slash before the end or at the beginning anchors.
    ['motd', ['motd', 'etc/motd', 'a/b/motd'], ['etc/motd2', 'motd/x', 'Motd']],
    ['/motd', ['motd'], ['etc/motd']],
    ['etc/motd', ['etc/motd'], ['x/etc/motd', 'etc/motd/x']],
    ['**/etc/motd', ['etc/motd', 'x/etc/motd', 'x/y/etc/motd'], ['etc/x/motd']],
    // A tree is a directory and all that is in it, but never a file of that name.
    ['usr/share/man/', ['usr/share/man/', 'usr/share/man/a/b'], ['usr/share/man', 'usr/share/']],
    ['usr/share/man/**', ['usr/share/man/', 'usr/share/man/a/b'], ['usr/share/man', 'usr/share/']],
    ['test/', ['test/', 'a/test/', 'a/test/b', 'test/x'], ['usr/bin/test']],
    ['/', ['', 'a', 'a/b'], []],
    ['**', ['', 'a', 'a/b'], []],
    ['/**', ['', 'a', 'a/b'], []],
    ['a/**/b', ['a/b', 'a/x/b', 'a/x/y/b'], ['a/xb', 'b', 'a/b/c']],
    ['a/**/b/**/c', ['a/b/c', 'a/b/b/x/c'], ['a/c']],
    // Stars and marks are of one name, also of one that begins with a dot.
    ['*.la', ['x.la', 'usr/lib/x.la', '.la'], ['x.la/y', 'xla']],
    ['/etc/*', ['etc/a', 'etc/.hidden'], ['etc/a/b', 'etc/']],
    ['*', ['a', 'a/b', '.x'], ['']],
    ['/*', ['a', '.x'], ['a/b', '']],
    ['a?c', ['abc', 'a?c', 'x/a\xffc'], ['ac', 'abbc', 'a/c']],
    ['a**c', ['ac', 'abc'], ['a/c']],
    ['a*b*a', ['aba', 'axbxba'], ['aa', 'ab', 'aab', 'abab']],
    ['ab*ba', ['abba', 'ab.ba'], ['aba']],
    ['*a?*?b', ['xaxxb', 'aaab'], ['aab']],
    // Sets.
    ['[abc]x', ['ax', 'cx'], ['dx', '[abc]x', 'x']],
    ['[!abc]x', ['dx', '^x', '!x'], ['ax', 'x']],
    ['[^a-c]x', ['dx'], ['bx']],
    ['[]]x', [']x'], ['ax']],
    ['[[:digit:]]', ['7'], ['a', ':']],
    ['[\x80-\xff]*', ['\xe9t\xe9', '\xff'], ['a\xff']],
    ['a[.]b', ['a.b'], ['axb']],
    // Braces.
    ['/{usr/lib,lib}/x', ['usr/lib/x', 'lib/x'], ['usr/lib,lib/x']],
    ['x{,.gz,{.b,.x}z}', ['x', 'x.gz', 'x.bz', 'x.xz'], ['xz']],
    ['{a}', ['{a}'], ['a']],
    ['[{]a', ['{a'], ['a']],
    ['\\{a,b', ['{a,b'], ['a']],
    ['\\{a,b}', ['{a,b}'], ['a']],
    // What other languages of patterns give a meaning is itself.
    ['a+(b)', ['a+(b)'], ['ab', 'abb']],
    ['@(a|b)', ['@(a|b)'], ['a']],
    ['!a', ['!a'], ['b', 'a']],
    ['a.b$^"c"', ['a.b$^"c"'], ['axb$^"c"']],
    ['*+(b)"', ['x+(b)"'], ['xb', 'xb"']],
    ['?.b$^|c', ['x.b$^|c'], ['xxb$^|c']],
    ['\\*\\?\\[x', ['*?[x'], ['ab[x']],
    ['#x', ['#x'], []],
    ['a b ', ['a b '], ['a b']],
    // Names hold any byte.
    ['*\n*', ['\n', 'a\nb'], ['ab']],
    ['*.txt', ['\n.txt', '\r\n.txt'], []],
    ['caf\xe9', ['caf\xe9'], ['caf\xc3\xa9']],
    ['caf\xe9/*', ['caf\xe9/\xff'], []],
    ['caf\xe9?', ['caf\xe9\x01'], ['caf\xe9']],
  ];
  for (const [glob, yes, no] of cases)
    it(JSON.stringify(glob), () => {
      for (const path of yes) assert.ok(matches(glob, path), `${JSON.stringify(path)} matches`);
      for (const path of no) assert.ok(!matches(glob, path), `${JSON.stringify(path)} does not`);
    });
});

describe('no pattern', () => {
  for (const [glob, why] of [
    ['', /is empty/],
    ['a\0b', /NUL/],
    ['a//b', /two slashes/],
    ['//a', /two slashes/],
    ['a//', /two slashes/],
    ['../etc/passwd', /'\.\.' is no name/],
    ['./a', /'\.' is no name/],
    ['a/../b', /'\.\.' is no name/],
    ['a[bc', /']' is missing/],
    ['a[b/c]', /']' is missing/],
    ['[z-a]', /out of order/],
    ['a\\', /nothing to quote/],
    ['{a,b', /'}' is missing/],
    ['x/{a,{b,c}', /'}' is missing/],
    ['{a\\}', /'}' is missing/],
    ['a\\/b', /nothing to quote/],
    ['{a,b}'.repeat(9), /more than 256 patterns/],
    ['x'.repeat(MAX_GLOB + 1), /over 1024 bytes/],
    ['a/'.repeat(100), /more than 64 names/],
  ] as const)
    it(JSON.stringify(glob.slice(0, 30)), () => {
      assert.throws(
        () => parseGlob(glob),
        (error: { code?: string; exit?: string; message: string }) => {
          assert.deepEqual([error.code, error.exit], ['bad-glob', 'usage']);
          assert.match(error.message, why);
          return true;
        },
      );
    });

  it('is slow, whatever the name', () => {
    const name = 'a'.repeat(255);
    const start = process.cpuUsage().user;
    for (const glob of [
      '*a'.repeat(200) + '*b',
      'a*'.repeat(300),
      '**/*a*/**/*a*/**/*a*/**/b',
      `${'{a,}'.repeat(8)}b`,
      '[[:alpha:]]*[a]*[a-z]*b',
      '{'.repeat(500) + '}'.repeat(500),
      '['.repeat(1) + 'a'.repeat(1000) + ']',
    ])
      assert.ok(!matches(glob, `${name}/`.repeat(15) + name), glob);
    assert.ok(process.cpuUsage().user - start < 1_000_000);
  });
});
