/** A root on an overlay: recorded when it can be exported, refused with the reason when it can't. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { FileEvent } from '../../src/common/batches.ts';
import { TraceError } from '../../src/common/errors.ts';
import { FanotifyGroup } from '../../src/fanotify-ts/index.ts';
import { HandleIndex } from '../../src/fanotify-ts/handle-index.ts';
import { RootRecording } from '../../src/recording/root-recording.ts';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { lacks } from '../capabilities.ts';

const KEY = { fsidType: 1, fsid: Buffer.alloc(4), domain: '*', path: Buffer.from('/') };

describe('a root on an overlay', { skip: lacks('root', 'loop', 'overlay') }, () => {
  let lower: MountedFileSystem;
  let upper: MountedFileSystem;
  let path: string;
  let group: FanotifyGroup;
  let root: RootRecording;
  beforeEach(() => {
    lower = makeFileSystem('ext4');
    upper = makeFileSystem('tmpfs');
    for (const name of ['upper', 'work', 'merged']) mkdirSync(`${upper.path}/${name}`);
    writeFileSync(`${lower.path}/file`, 'x');
    path = `${upper.path}/merged`;
    group = new FanotifyGroup({ paths: [] });
    group.start();
    root = new RootRecording({ path: Buffer.from(path), watcher: group });
  });
  afterEach(async () => {
    root.close();
    await group.stop();
    execFileSync('umount', [path]);
    upper.remove();
    lower.remove();
  });

  const mount = (options: string): unknown =>
    execFileSync('mount', [
      ...['-t', 'overlay', 'overlay', '-o'],
      `lowerdir=${lower.path},upperdir=${upper.path}/upper,workdir=${upper.path}/work,${options}`,
      path,
    ]);
  const eventOf = async (name: string): Promise<FileEvent> => {
    group.drain();
    execFileSync('cat', [`${path}/${name}`]);
    await group.sync();
    return (
      group.drain().events.find((event) => String(event.name) === name) ?? assert.fail('no event')
    );
  };

  test('with nfs_export=on a file is one object, before and after it is copied up', async () => {
    mount('index=on,nfs_export=on');
    root.open();
    await root.rewalk();
    assert.ok(root.isInPlace());
    const object = root.objectOfEvent(await eventOf('file'));
    assert.equal(String(root.pathOf(object)), 'file');
    appendFileSync(`${path}/file`, 'y');
    assert.equal(root.objectOfEvent(await eventOf('file')), object);
    // As the NFS server would name it then.
    const index = new HandleIndex({ root: Buffer.from(path) });
    index.open();
    await index.walk();
    index.addExportKey(KEY);
    const { handle } = root.whereIs(object);
    assert.equal(index.idsOfHash(HandleIndex.hashOf(KEY, handle)).length, 1);
    index.close();
    writeFileSync(`${path}/new`, '');
    await root.rewalk();
    assert.equal(String(root.pathOf(root.objectOfEvent(await eventOf('new')))), 'new');
  });

  test('without, it is refused, and the hint says how to mount it', () => {
    mount('index=off');
    assert.throws(
      () => root.open(),
      (error: unknown) =>
        error instanceof TraceError &&
        ['fanotify-unsupported-fs', 'no-file-handles'].includes(error.code) &&
        /index=on,nfs_export=on/.test(error.hint ?? ''),
    );
  });
});
