/** A btrfs is watched as a whole, from whatever subvolume, whether its top level is mounted or not. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { FAN_ACCESS, FanotifyGroup, type FileEvent } from '../../src/fanotify-ts/index.ts';
import { lacks } from '../capabilities.ts';

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { encoding: 'utf8', stdio: 'pipe' });
}

describe('a btrfs subvolume', { skip: lacks('fanotify', 'btrfs') }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'btrfs-'));
  const [one, two, top] = ['one', 'two', 'top'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  let device = '';
  before(() => {
    for (const path of [one, two, top]) mkdirSync(path);
    run('truncate', '-s', '300M', join(folder, 'image'));
    run('mkfs.btrfs', '-q', join(folder, 'image'));
    device = run('losetup', '-f', '--show', join(folder, 'image')).trim();
    run('mount', device, top);
    for (const name of ['one', 'two']) {
      run('btrfs', 'subvolume', 'create', join(top, name));
      writeFileSync(join(top, name, 'file'), name);
    }
    writeFileSync(join(top, 'file'), 'top');
    for (const path of [one, two]) run('mount', '-o', `subvol=${path.slice(-3)}`, device, path);
    run('umount', top);
  });
  after(() => {
    for (const path of [one, two]) run('umount', path);
    run('losetup', '-d', device);
    rmSync(folder, { recursive: true });
  });

  const read = (path: string): void => {
    // Another process: our own reads are of class `self`.
    run('cat', join(path, 'file'));
  };
  const reads = (events: readonly FileEvent[], fsid: Buffer): (string | undefined)[] =>
    events
      .filter((event) => (event.mask & FAN_ACCESS) !== 0 && event.fsid.equals(fsid))
      .map(({ object }) => object?.bytes.toString('hex'))
      .sort();

  test('is watched with all the others, by one mark, under the fsid that is told', async () => {
    const group = new FanotifyGroup({ paths: [] });
    group.start();
    const fsid = group.watch(Buffer.from(one));
    assert.deepEqual(group.watch(Buffer.from(two)), fsid);
    for (const path of [one, two]) read(path);
    await group.sync();
    const first = group.drain();
    assert.equal(reads(first.events, fsid).length, 2);
    assert.deepEqual(first.losses, []);
    // The other one still needs the mark.
    group.unwatch(Buffer.from(one));
    for (const path of [one, two]) read(path);
    await group.sync();
    const second = group.drain();
    assert.deepEqual(reads(second.events, fsid), reads(first.events, fsid));
    assert.deepEqual(second.losses, []);
    group.unwatch(Buffer.from(two));
    read(two);
    assert.deepEqual((await group.stop()).events, []);
    assert.equal(readFileSync(join(two, 'file'), 'utf8'), 'two');
  });

  test('has the fsid of the top level when that is mounted too', async () => {
    run('mount', '-o', 'subvolid=5', device, top);
    try {
      const group = new FanotifyGroup({ paths: [] });
      group.start();
      assert.deepEqual(group.watch(Buffer.from(top)), group.watch(Buffer.from(one)));
      await group.stop();
    } finally {
      run('umount', top);
    }
  });
});
