/** A snapshot as a file: what can be written can be read, and what cannot be read is told. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { recordRoot, type RootRecord } from '../../src/content/root-record.ts';
import { decodeObjects, encodeSnapshot, type Snapshot } from '../../src/content/snapshot-file.ts';
import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { makeTree, temporaryFolder } from '../image/support.ts';

const snapshotOf = (record: RootRecord): Snapshot => ({
  head: {
    ...{
      snapshot: 1 as const,
      expression: 'session-1',
      root: Buffer.from('/srv/root').toString('base64'),
    },
    ...{ atUs: 1, place: null, version: '1', objects: record.size, files: 0, bytes: 0 },
  },
  record,
});

async function decode(file: Buffer): Promise<RootRecord> {
  const record: RootRecord = new Map();
  for await (const [path, object] of decodeObjects(file, 'session-1')) record.set(path, object);
  return record;
}

describe('a file of a snapshot', () => {
  it('has all of the record, and is refused before it is too long to be read', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    const tree = NativeTree.open(root);
    t.after(() => tree.close());
    const snapshot = snapshotOf(await recordRoot(tree));
    assert.deepEqual(await decode(await encodeSnapshot(snapshot)), snapshot.record);
    await assert.rejects(encodeSnapshot(snapshot, 1000), {
      code: 'root-too-large',
      message: 'the root /srv/root has too long a record for a snapshot',
    });
  });

  it('is damaged if its record cannot be unpacked, though the hash is right', async () => {
    const whole = Buffer.from('{}\nno zstd');
    const digest = createHash('sha256').update(whole).digest();
    await assert.rejects(decode(Buffer.concat([whole, digest])), { code: 'snapshot-damaged' });
  });
});
