/** An entry of the root that has the name by which an archive ends. */
import assert from 'node:assert/strict';
import { linkSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';

import { ALIGNED_LEAST } from '../../src/image/align.ts';
import type { ImageFormat } from '../../src/image/choices.ts';
import { Input } from '../../src/image/tools/input.ts';
import type { KernelTree, TreeNode } from '../../src/image/tools/kernel-tree.ts';
import { verifyImage } from '../../src/image/tools/verify-image.ts';
import { exportImage } from './export-image.ts';
import { recordsOf } from './records-of.ts';
import { openTree, planAll, put, run, sha256, temporaryFolder } from './support.ts';

const NAME = 'TRAILER!!!';
const origin = { expression: 'session-1', sessions: ['session-1'], version: '1.2.3' };

/** Two names of a file, before and behind it in the archive. */
function makeRoot(folder: string, make: (path: string) => void): string {
  const root = join(folder, 'root');
  put(join(root, 'A/h'), 'h'.repeat(3000));
  mkdirSync(join(root, 'Z'));
  linkSync(join(root, 'A/h'), join(root, 'Z/h'));
  make(join(root, NAME));
  return root;
}

async function write(t: TestContext, root: string, more: object = {}): Promise<Buffer> {
  const tree = openTree(t, root);
  const plan = await planAll(root, tree, more);
  const output = join(root, '../out');
  const { bytes } = await exportImage({ plan, tree, output, origin, ...more });
  const written = readFileSync(output);
  assert.equal(bytes, written.length);
  return written;
}

async function unpacked(folder: string): Promise<KernelTree> {
  const input = Input.open(join(folder, 'out'));
  const { ok, findings, tree } = await verifyImage(input).finally(() => input.close());
  assert.deepEqual([ok, findings], [true, []]);
  return tree;
}

function at(tree: KernelTree, path: string): TreeNode {
  const node = new Map(tree.entries()).get(path);
  assert.ok(node !== undefined, path);
  return node;
}

describe('TRAILER!!! at the top of the root', () => {
  for (const [what, more] of [
    ['newc', {}],
    ['newc-crc', { format: 'newc-crc' satisfies ImageFormat }],
    ['aligned', { align: true }],
    ['compressed', { compress: { method: 'zstd', level: 1 } }],
  ] as const)
    it(`is a file like others: ${what}`, async (t) => {
      const folder = temporaryFolder(t);
      const content = Buffer.alloc(ALIGNED_LEAST + 1, 'content');
      await write(
        t,
        makeRoot(folder, (path) => put(path, content)),
        more,
      );
      const tree = await unpacked(folder);
      assert.equal(at(tree, NAME).content?.sha256, sha256(content));
      assert.equal(at(tree, 'A/h'), at(tree, 'Z/h'));
      assert.equal(at(tree, 'A/h').size, 3000);
    });

  it('has the checksum of its own bytes, and its data at a block', async (t) => {
    const root = makeRoot(temporaryFolder(t), (path) => put(path, 'sum'));
    const summed = await write(t, root, { format: 'newc-crc' });
    const sum = [...Buffer.from('sum')].reduce((all, byte) => all + byte, 0);
    assert.equal(recordsOf(summed).find(({ name }) => name === NAME)?.checksum, sum);
    put(join(root, NAME), Buffer.alloc(ALIGNED_LEAST));
    const aligned = recordsOf(await write(t, root, { align: true }));
    const { dataOffset = 1 } = aligned.find(({ name }) => name === NAME) ?? {};
    assert.equal(dataOffset % 4096, 0);
  });

  it('may be a directory, with things in it, or a link', async (t) => {
    const [one, other] = [temporaryFolder(t), temporaryFolder(t)];
    await write(
      t,
      makeRoot(one, (path) => put(join(path, NAME), 'inner')),
    );
    assert.equal(at(await unpacked(one), `${NAME}/${NAME}`).size, 5);
    await write(
      t,
      makeRoot(other, (path) => symlinkSync('A/h', path)),
    );
    assert.equal(at(await unpacked(other), NAME).target, 'A/h');
  });

  it('is one of the names of a file', async (t) => {
    const folder = temporaryFolder(t);
    await write(
      t,
      makeRoot(folder, (path) => linkSync(join(path, '../A/h'), path)),
    );
    const tree = await unpacked(folder);
    assert.equal(at(tree, NAME), at(tree, 'Z/h'));
    assert.equal(at(tree, NAME).links, 3);
  });

  it('has its path and hash in a manifest, and the name that works on gen_init_cpio’s list', async (t) => {
    const root = makeRoot(temporaryFolder(t), (path) => put(path, 'content'));
    const manifest = JSON.parse((await write(t, root, { format: 'manifest' })).toString()) as {
      entries: { path: string; sha256: string | null }[];
    };
    const hashes = new Map(manifest.entries.map(({ path, sha256: hash }) => [path, hash]));
    assert.equal(hashes.get(NAME), sha256(Buffer.from('content')));
    assert.equal(hashes.get('A/h'), sha256(Buffer.from('h'.repeat(3000))));
    put(join(root, 'init'), '');
    run('chmod', ['755', join(root, 'init')]);
    const list = await write(t, root, { format: 'gen-init-cpio', init: 'own' });
    assert.match(list.toString(), /^file \/\.\/TRAILER!!! \S+\/root\/TRAILER!!! 0644 /m);
  });
});
