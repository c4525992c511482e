/** Contents of files that the kernel unpacked, some of them cut off. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { Content } from '../../../src/image/tools/content.ts';

function contentOf(size: number, ...pieces: readonly string[]): Content {
  const content = new Content(size);
  for (const piece of pieces) content.take(Buffer.from(piece));
  content.end();
  return content;
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

test('in whatever pieces it comes', () => {
  const whole = contentOf(4, 'data');
  assert.equal(whole.sha256, sha256('data'));
  assert.ok(whole.equals(contentOf(4, 'd', '', 'ata')));
  assert.ok(!whole.equals(contentOf(4, 'date')));
  assert.equal(contentOf(0).sha256, sha256(''));
});

test('of one that is cut off, the rest is zeros', () => {
  const cut = contentOf(6, 'ab');
  const same = [contentOf(6, 'ab\0\0\0\0'), contentOf(6, 'ab\0'), contentOf(6, 'ab'), cut];
  for (const other of same) {
    assert.equal(other.sha256, sha256('ab\0\0\0\0'));
    assert.ok(cut.equals(other) && other.equals(cut));
  }
  const others = [
    contentOf(6, 'ab\0\0\0c'),
    contentOf(6, 'a'),
    contentOf(7, 'ab'),
    contentOf(2, 'ab'),
  ];
  for (const other of others) assert.ok(!cut.equals(other) && !other.equals(cut));
});

test('more zeros than anyone could read are compared without reading them', () => {
  const [size, more] = [Number.MAX_SAFE_INTEGER, 'a'.repeat(3 << 20)];
  const cut = contentOf(size, 'a');
  assert.ok(cut.equals(contentOf(size, 'a\0\0')));
  assert.ok(!cut.equals(contentOf(size, more)));
  assert.ok(contentOf(size, more).equals(contentOf(size, more, '\0')));
});
