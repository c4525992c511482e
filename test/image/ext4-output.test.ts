/** Images on ext4, where blocks are allocated before they are written. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';

import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import type { ImagePlan } from '../../src/image/plan.ts';
import { lacks } from '../capabilities.ts';
import { cannotMake, makeFileSystem } from '../index/file-systems.ts';
import { exportImage } from './export-image.ts';
import { planAll, put, run, temporaryFolder } from './support.ts';

const BLOCK = 4096;
/** More than is allocated at once, and no multiple of it. */
const LARGE = Buffer.alloc(37_000_001, 'some content, ');

interface Place {
  readonly mounted: string;
  readonly tree: NativeTree;
  readonly plan: ImagePlan;
  /** What the image is, written elsewhere. */
  readonly expected: Buffer;
}

async function place(t: TestContext): Promise<Place> {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  put(join(root, 'large'), LARGE);
  put(join(root, 'small'), 'small');
  const tree = NativeTree.open(root);
  t.after(() => tree.close());
  const plan = await planAll(root, tree);
  const made = makeFileSystem('ext4');
  t.after(() => made.remove());
  const elsewhere = makeFileSystem('tmpfs');
  const output = join(elsewhere.path, 'image');
  try {
    await exportImage({ plan, tree, output });
    return { mounted: made.path, tree, plan, expected: readFileSync(output) };
  } finally {
    elsewhere.remove();
  }
}

describe('an image on ext4', { skip: cannotMake('ext4') || lacks('mount') }, () => {
  it('has its blocks before it has its bytes, and no more of them', async (t) => {
    const { mounted, tree, plan, expected } = await place(t);
    const output = join(mounted, 'image');
    const fd = openSync(output, 'w');
    try {
      await exportImage({ plan, tree, output: fd });
      const extents = run('filefrag', ['-v', output]).toString();
      assert.match(extents, /unwritten/);
      assert.doesNotMatch(extents, /delalloc/);
    } finally {
      closeSync(fd);
    }
    assert.ok(readFileSync(output).equals(expected));
    run('sync', ['-f', output]);
    assert.ok(statSync(output).blocks * 512 - expected.length <= 2 * BLOCK);
  });

  it('leaves alone what stands before and behind it in a file', async (t) => {
    const { mounted, tree, plan, expected } = await place(t);
    const output = join(mounted, 'image');
    const old = Buffer.alloc(expected.length + 3 * BLOCK, 'old');
    writeFileSync(output, old);
    const fd = openSync(output, 'r+');
    try {
      writeSync(fd, 'new');
      await exportImage({ plan, tree, output: fd });
    } finally {
      closeSync(fd);
    }
    const found = readFileSync(output);
    assert.equal(found.length, old.length);
    assert.equal(found.toString('latin1', 0, 3), 'new');
    const end = 3 + expected.length;
    assert.ok(found.subarray(3, end).equals(expected));
    assert.ok(found.subarray(end).equals(old.subarray(end)));
  });
});
