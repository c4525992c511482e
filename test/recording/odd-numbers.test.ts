/**
 * Sizes and times that any client can give a file, on their way from the file system through the
 * index and the store to the plan: no number may stop the recorder, or look like a change.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { planImage } from '../../src/image/plan.ts';
import { namedFiles } from '../../src/sessions/evaluate.ts';
import { cannotMake, indexOf, liveTree, makeFileSystem } from '../index/file-systems.ts';
import { access, file, opened, recorded, T0 } from '../store/fixtures.ts';

describe('odd numbers', { skip: cannotMake('tmpfs') }, () => {
  let disk: ReturnType<typeof makeFileSystem>;
  before(() => {
    disk = makeFileSystem('tmpfs');
  });
  after(() => disk.remove());

  test('the largest file, and times before 1677 and after 2262', async (t) => {
    const times = { past: '1600-01-01', early: '1969-12-31 23:59:58.5', late: '2400-01-01' };
    for (const [name, time] of Object.entries(times))
      execFileSync('touch', ['-d', `${time} UTC`, `${disk.path}/${name}`]);
    execFileSync('truncate', ['-s', String(2n ** 63n - 1n), `${disk.path}/big`]);

    const recording = recorded(t);
    const index = await indexOf(disk.path);
    const ids = [...liveTree(index)].filter(([path]) => path !== '');
    const files = ids.map(([path, id]) => {
      const stat = index.statOf(id);
      assert.ok(stat, path);
      const { mode, size, mtimeNs, ctimeNs, inode } = stat;
      return { ...file(id, path), mode, size, mtimeNs, ctimeNs, inode };
    });
    index.close();
    recording.store.ingest({
      atUs: T0,
      opened: [opened(recording, { id: 1 })],
      files,
      accesses: ids.map(([, id]) => access(1, id)),
    });
    const rows = recording.store.files(1);
    const kept = new Map(rows.map((row) => [row.names[0]?.toString(), row]));
    assert.equal(kept.get('past')?.mtimeNs, -(2n ** 63n));
    assert.equal(kept.get('late')?.mtimeNs, 2n ** 63n - 1n);
    assert.equal(kept.get('early')?.mtimeNs, -1_500_000_000n);
    assert.equal(kept.get('big')?.size, 2 ** 63);

    const tree = NativeTree.open(disk.path);
    const { drift, entries } = await planImage({ files: namedFiles(rows), tree });
    tree.close();
    assert.deepEqual(drift, []);
    assert.ok(entries.some(({ path }) => path.toString() === 'late'));
  });
});
