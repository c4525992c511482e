/** The list of an image: bytes, order, odd names. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { TraceError } from '../../src/common/errors.ts';
import { formatList, parseList } from '../../src/image/list.ts';

const paths = (...names: string[]): Buffer[] => names.map((name) => Buffer.from(name, 'latin1'));

describe('the file list', () => {
  it('is one relative path a line in bytewise order, each once, the root as a dot', () => {
    assert.equal(
      formatList(paths('b', 'a/x', 'a-', '', 'b', 'Z'), { nul: false }).toString(),
      '.\nZ\na-\na/x\nb\n',
    );
  });

  it('carries any byte with NUL ends', () => {
    const odd = paths('new\nline', '\xff', ' ');
    const list = formatList(odd, { nul: true });
    assert.equal(list.toString('latin1'), ' \0new\nline\0\xff\0');
    assert.deepEqual(parseList(list, { nul: true }), paths(' ', 'new\nline', '\xff'));
  });

  it('refuses a newline in a name without NUL ends, and says what to do', () => {
    assert.throws(
      () => formatList(paths('a\nb'), { nul: false }),
      (error: unknown) =>
        error instanceof TraceError &&
        error.code === 'newline-in-name' &&
        error.exit === 'data' &&
        error.hint?.includes('-0') === true,
    );
  });

  it('reads what find, strace and others write', () => {
    assert.deepEqual(
      parseList(Buffer.from('./b\n/a//c/\n\n.\nb\n/\nlast'), { nul: false }),
      paths('', 'a/c', 'b', 'last'),
    );
  });

  it('has what begins with a name of the root below it, and only what is absolute', () => {
    const roots = paths('/mnt', '/srv/sarge/');
    const listed = Buffer.from('/mnt/a\nmnt/b\n/mntx/c\n//srv//sarge/d/\n/mnt\n');
    assert.deepEqual(
      parseList(listed, { nul: false, roots }),
      paths('', 'a', 'd', 'mnt/b', 'mntx/c'),
    );
  });

  it('is empty for nothing', () => {
    assert.equal(formatList([], { nul: false }).length, 0);
    assert.deepEqual(parseList(Buffer.alloc(0), { nul: false }), []);
  });
});
