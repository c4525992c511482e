/** Which sessions used what is in an image. */
import assert from 'node:assert/strict';
import { test } from 'node:test';

import { seenByOf } from '../../../src/image/formats/seen-by.ts';
import { MemoryTree } from '../memory-tree.ts';

test('sessions and evidence go with the object, by whatever path it was used', async () => {
  const tree = new MemoryTree({ lib: { to: 'usr/lib' }, 'usr/lib/x': { size: 1 } });
  const row = (path: string, sessions: readonly number[], evidence: readonly string[]) => ({
    path: Buffer.from(path),
    operations: 1,
    seenBy: { sessions, evidence },
  });
  const found = await seenByOf(
    [
      row('usr/lib/x', [10], ['nfsd']),
      row('lib/x', [9, 10], ['fanotify', 'nfsd']),
      { path: Buffer.from('lib'), operations: 1 },
    ],
    tree,
  );
  assert.deepEqual(
    [...found],
    [['usr/lib/x', { sessions: [9, 10], evidence: ['fanotify', 'nfsd'] }]],
  );
});
