/** Any stretch of an archive is the same as in the written one. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';

import { ArchiveWindow } from '../../src/fanotify-ts/archive-window.ts';
import { encodeArchive } from '../../src/image/archive.ts';
import { exportImage } from './export-image.ts';
import { makeTree, openTree, planAll, temporaryFolder } from './support.ts';

async function scene(t: TestContext) {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  makeTree(root);
  const tree = openTree(t, root);
  const plan = await planAll(root, tree);
  const { head, files, bytes } = encodeArchive(plan.entries);
  const output = join(folder, 'image');
  await exportImage({ tree, plan, output });
  const window = new ArchiveWindow({ tree, head, files });
  return { root, window, bytes, image: readFileSync(output) };
}

describe('a window into an archive', () => {
  it('is the archive, at every byte and over every edge', async (t) => {
    const { window, image } = await scene(t);
    assert.ok((await window.read(0, image.length)).equals(image));
    // A step that meets every offset within a record's padding.
    for (const length of [1, 3, 4, 111, 5000])
      for (let from = 0; from + length <= image.length; from += length > 100 ? 397 : 1009)
        if (!(await window.read(from, length)).equals(image.subarray(from, from + length)))
          assert.fail(`${length} bytes from ${from}`);
    assert.equal((await window.read(image.length, 0)).length, 0);
  });

  it('opens many at once', async (t) => {
    const { window, image } = await scene(t);
    const reads = Array.from({ length: 50 }, (_, i) => window.read(i * 6000, 6000));
    for (const [i, bytes] of (await Promise.all(reads)).entries())
      assert.ok(bytes.equals(image.subarray(i * 6000, (i + 1) * 6000)), String(i));
  });

  it('ends where the archive ends', async (t) => {
    const { window, bytes } = await scene(t);
    for (const [from, length] of [
      [bytes, 1],
      [-1, 1],
      [NaN, 1],
      [0, bytes + 1],
    ] as const)
      await assert.rejects(window.read(from, length), /Invalid argument/);
  });

  it('shows no file that is not the planned one', async (t) => {
    const { root, window, image } = await scene(t);
    appendFileSync(join(root, 'usr/bin/tool'), 'more');
    await assert.rejects(window.read(0, image.length), { code: 'drift' });
    await assert.rejects(window.sums(), { code: 'drift' });
    assert.ok((await window.read(0, 200)).equals(image.subarray(0, 200)));
  });
});
