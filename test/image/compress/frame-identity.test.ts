/** What a frame is made from: the same for the same files, another for anything else. */
import assert from 'node:assert/strict';
import { appendFileSync, chmodSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { NativeTree } from '../../../src/fanotify-ts/tree.ts';
import { encodeArchive } from '../../../src/image/archive.ts';
import { cutFrames } from '../../../src/image/compress/cut-frames.ts';
import { identifyFrames } from '../../../src/image/compress/frame-identity.ts';
import { FileIdentity } from '../../../src/image/identity.ts';
import { lacks } from '../../capabilities.ts';
import { planAll, put, temporaryFolder } from '../support.ts';

async function identities(root: string, settledSeconds?: number): Promise<(string | null)[]> {
  await sleep(30);
  const tree = NativeTree.open(root);
  try {
    const { entries } = await planAll(root, tree);
    const identity = FileIdentity.now(tree, settledSeconds);
    assert.ok(identity !== null);
    return identifyFrames(cutFrames(entries), encodeArchive(entries), identity);
  } finally {
    tree.close();
  }
}

describe('what a frame is made from', { skip: lacks('mounts') }, () => {
  it('is told for each, and changes with its own files alone', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    for (let i = 0; i < 600; i++)
      put(join(root, `d${100 + (i % 7)}/f${1000 + i}`), Buffer.alloc(70_000 + i, `file ${i} `));
    const before = await identities(root, 0);
    assert.ok(before.length > 3, String(before.length));
    assert.equal(new Set(before).size, before.length);
    assert.deepEqual(await identities(root, 0), before);
    const kept = async (): Promise<number> => {
      const now = await identities(root, 0);
      return now.filter((one) => before.includes(one)).length;
    };
    // The last frame is the archive's end, whose padding may or may not be another now.
    const path = join(root, 'd100/f1000');
    writeFileSync(path, Buffer.alloc(70_000, 'other'));
    assert.equal(await kept(), before.length - 1);
    appendFileSync(path, 'more than there was');
    assert.ok((await kept()) >= before.length - 2);
    chmodSync(join(root, 'd106/f1006'), 0o600);
    assert.ok((await kept()) >= before.length - 3 && (await kept()) <= before.length - 2);
  });

  it('is another if one file takes the place of one like it', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'a'), 'one');
    put(join(root, 'b'), 'two');
    const before = await identities(root, 0);
    renameSync(join(root, 'a'), join(root, 'c'));
    renameSync(join(root, 'b'), join(root, 'a'));
    renameSync(join(root, 'c'), join(root, 'b'));
    assert.notEqual((await identities(root, 0))[0], before[0]);
  });

  it('is not told where a file changed a moment ago, of other frames it is', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'a'), 'x');
    assert.equal((await identities(root))[0], null);
    rmSync(join(root, 'a'));
    assert.notEqual((await identities(root))[0], null);
  });
});
