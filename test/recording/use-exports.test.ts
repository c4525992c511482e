/** Which objects of a root the handles of an export name, as exports come, change and go. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { handleHash } from '../../src/attribution/handle.ts';
import type { FileHandle } from '../../src/common/batches.ts';
import { MountTable, readMountinfo, type Place } from '../../src/recording/mounts.ts';
import { RootRecording } from '../../src/recording/root-recording.ts';
import {
  cannotMake,
  idOf,
  indexOf,
  makeFileSystem,
  type MountedFileSystem,
} from '../index/file-systems.ts';

const KEY = { fsidType: 1, fsid: Buffer.from([7, 0, 0, 0]) };

describe('exports of a root', { skip: cannotMake('ext4') }, () => {
  let disk: MountedFileSystem;
  let root: RootRecording;
  const handles = new Map<string, FileHandle>();
  before(async () => {
    disk = makeFileSystem('ext4');
    for (const name of ['root', 'root/sub', 'elsewhere']) mkdirSync(`${disk.path}/${name}`);
    writeFileSync(`${disk.path}/root/sub/file`, '');
    const index = await indexOf(disk.path);
    for (const name of ['', 'root', 'root/sub', 'root/sub/file', 'elsewhere'])
      handles.set(name, index.handleOf(idOf(index, name)));
    index.close();
  });
  after(() => disk.remove());
  beforeEach(async () => {
    root = new RootRecording({ path: Buffer.from(`${disk.path}/root`) });
    root.open();
    await root.rewalk();
  });
  afterEach(() => root.close());

  const handleOf = (name: string): FileHandle => handles.get(name) ?? assert.fail(name);
  const placeOf = (name: string): Place =>
    new MountTable(readMountinfo()).placeOf(
      Buffer.from(name === '' ? disk.path : `${disk.path}/${name}`),
    ) ?? assert.fail(name);
  /** An export of a directory; by default one that checks no subtrees. */
  const exported = (name: string, subtreeCheck = false) => ({
    key: KEY,
    place: placeOf(name),
    rootHandle: handleOf(name),
    subtreeCheck,
  });
  /** Names of what a handle of the export stands for; null: the export's own root. */
  const named = (handle: FileHandle | null): string[] =>
    root.objectsOfHash(handleHash({ ...KEY, handle })).map((one) => String(root.pathOf(one)));

  test('the root itself, a directory above it, one in it, and one beside it', () => {
    root.useExports([exported('root')]);
    assert.deepEqual([named(null), named(handleOf('root'))], [[''], []]);
    root.useExports([exported('')]);
    assert.deepEqual([named(null), named(handleOf('root'))], [[], ['']]);
    root.useExports([exported('root/sub')]);
    assert.deepEqual([named(null), named(handleOf('root/sub/file'))], [['sub'], ['sub/file']]);
    assert.equal(root.meets(placeOf('elsewhere')), false);
    assert.equal(root.covers(placeOf('root/sub')), true);
    assert.equal(root.covers(placeOf('')), false);
  });

  test('an fsid that became another directory’s: its root is not ours, old handles are', () => {
    root.useExports([exported('root')]);
    root.useExports([exported('elsewhere')]);
    assert.deepEqual([named(null), named(handleOf('root/sub/file'))], [[], ['sub/file']]);
    root.useExports([exported('root')]);
    assert.deepEqual(named(null), ['']);
  });

  test('one that the kernel forgot stays known; one for two clients is ours for one', () => {
    root.useExports([exported('root')]);
    root.useExports([]);
    assert.deepEqual(named(null), ['']);
    for (const order of [
      ['root', 'elsewhere', ''],
      ['', 'elsewhere', 'root'],
    ]) {
      root.useExports(order.map((name) => exported(name)));
      assert.deepEqual(named(null), ['']);
    }
  });

  test('handles with parents, once the export checks subtrees or nobody knows', () => {
    const [own, parent] = [handleOf('root/sub/file'), handleOf('root/sub')];
    const both = { type: 2, bytes: Buffer.concat([own.bytes, parent.bytes]) };
    root.useExports([exported('root')]);
    assert.deepEqual(named(both), []);
    root.useExports([exported('root', true)]);
    assert.deepEqual([named(both), named(own)], [['sub/file'], ['sub/file']]);
    root.useExports([exported('root')]);
    assert.deepEqual(named(both), ['sub/file']);
  });
});
