/** Which sessions used what is in an image. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { seenByOf } from '../../../src/image/formats/seen-by.ts';
import { planImage } from '../../../src/image/plan.ts';
import type { TreeLink } from '../../../src/image/tree.ts';
import { MemoryTree } from '../memory-tree.ts';

/** Looking for the links of a large root takes seconds: whoever has a plan has them. */
class WalkedOnce extends MemoryTree {
  #walked = false;

  override symlinks(): Promise<TreeLink[]> {
    assert.equal(this.#walked, false);
    this.#walked = true;
    return super.symlinks();
  }
}

test('sessions and evidence go with the object, by whatever path it was used', async () => {
  const tree = new WalkedOnce({ lib: { to: 'usr/lib' }, 'usr/lib/x': { size: 1 } });
  const row = (path: string, sessions: readonly number[], evidence: readonly string[]) => ({
    path: Buffer.from(path),
    operations: 1,
    seenBy: { sessions, evidence },
  });
  const files = [
    row('usr/lib/x', [10], ['nfsd']),
    row('lib/x', [9, 10], ['fanotify', 'nfsd']),
    { path: Buffer.from('lib'), operations: 1 },
  ];
  const plan = await planImage({ files, tree });
  const found = seenByOf(files, { plan, tree });
  assert.deepEqual(
    [...found],
    [['usr/lib/x', { sessions: [9, 10], evidence: ['fanotify', 'nfsd'] }]],
  );
});
