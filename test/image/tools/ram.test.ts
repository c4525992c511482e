/** `trace image ram`: its pages are what a tmpfs of this kernel takes for the same files. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { lacks } from '../../capabilities.ts';
import { TraceSandbox } from '../../support/trace-sandbox.ts';
import { compressed } from './compressed.ts';
import { archive, directory, file, link, record } from './craft.ts';

let sandbox: TraceSandbox;
before(() => {
  sandbox = new TraceSandbox();
});
after(() => sandbox.remove());

const two = { ino: 7, nlink: 2 };
const plain = archive(
  directory('d'),
  ...Array.from({ length: 300 }, (_, index) => file(`d/${index}`, Buffer.alloc(index * 37, 'x'))),
  file('empty', ''),
  file('page', Buffer.alloc(4096)),
  link('short', 'x'.repeat(126)),
  link('long', 'x'.repeat(128)),
  record({ name: 'h1', ...two }),
  record({ name: 'h2', ...two, data: Buffer.alloc(9000) }),
);

type Estimate = Record<string, number>;

test('pages as tmpfs counts them', { skip: lacks('root') }, async () => {
  writeFileSync(sandbox.at('image'), plain);
  const estimate = await sandbox.json<Estimate>(['image', 'ram', sandbox.at('image')]);
  mkdirSync(sandbox.at('mounted'));
  const script = `mount -t tmpfs x "$1" && "$2" "$3" image extract "$0" -C "$1/files" >&2 &&
    stat -f -c '%b %f %S' "$1"`;
  const words = [script, sandbox.at('image'), sandbox.at('mounted'), ...sandbox.command([])];
  const { text } = await sandbox.execute(['unshare', '--mount', 'sh', '-c', ...words]);
  const [blocks = 0, free = 0, block = 0] = text.split(' ').map(Number);
  assert.equal(estimate['page_bytes'], (blocks - free) * block);
});

test('what it adds up to, whatever the compression', async () => {
  for (const bytes of [plain, compressed('zstd', plain)]) {
    writeFileSync(sandbox.at('image'), bytes);
    const of = await sandbox.json<Estimate>(['image', 'ram', sandbox.at('image')]);
    const get = (key: string): number => of[key] ?? NaN;
    assert.equal(get('image_bytes'), bytes.length);
    // 310 of the image; the root, /dev, /dev/console and /root besides.
    assert.deepEqual([get('names'), get('inodes')], [311, 310]);
    assert.equal(get('group_bytes'), 8192);
    assert.equal(get('unpacked_bytes'), get('page_bytes') + get('inode_bytes'));
    assert.equal(get('peak_bytes'), get('unpacked_bytes') + bytes.length + 8192);
    assert.equal(get('least_memory_bytes'), Math.max(2 * get('page_bytes'), get('peak_bytes')));
  }
  const { text } = await sandbox.ok(['image', 'ram', sandbox.at('image')]);
  assert.match(text, /^content, in whole pages +\d/);
});
