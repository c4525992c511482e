/** The file systems of one root as one tree: mounts that come and go, bind mounts, equal handles. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { FileEvent } from '../../src/common/batches.ts';
import { FanotifyGroup } from '../../src/fanotify-ts/index.ts';
import { MountTable, readMountinfo } from '../../src/recording/mounts.ts';
import { Volumes } from '../../src/recording/volumes.ts';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { lacks } from '../capabilities.ts';

function run(command: string, ...args: string[]): void {
  execFileSync(command, args, { stdio: 'pipe' });
}

describe('volumes of a root', { skip: lacks('root', 'loop', 'mount', 'fanotify') }, () => {
  let disk: MountedFileSystem;
  let other: MountedFileSystem;
  let group: FanotifyGroup;
  let volumes: Volumes;
  let refusals: string[];
  beforeEach(async () => {
    disk = makeFileSystem('ext4');
    other = makeFileSystem('ext4');
    for (const name of ['m', 'dir', 'bind']) mkdirSync(`${disk.path}/${name}`);
    for (const file of [`${disk.path}/dir/file`, `${other.path}/file`]) writeFileSync(file, 'x');
    refusals = [];
    group = new FanotifyGroup({ paths: [] });
    group.start();
    volumes = new Volumes({ root: Buffer.from(disk.path), watcher: group });
    volumes.open();
    await volumes.walkNew(() => undefined);
  });
  afterEach(async () => {
    volumes.close();
    await group.stop();
    execFileSync('sh', ['-c', 'umount "$0"/m "$0"/bind 2>/dev/null; true', disk.path]);
    disk.remove();
    other.remove();
  });

  const mount = (from: string, to: string): void => {
    run('mount', '--bind', from, `${disk.path}/${to}`);
  };
  const follow = async (wanted = true): Promise<boolean> => {
    const refused = (_: unknown, { code }: { code: string }): unknown => refusals.push(code);
    const changed = volumes.follow(new MountTable(readMountinfo()), () => wanted, refused);
    await volumes.walkNew(refused);
    return changed;
  };
  const paths = (object: number): string[] => volumes.pathsOf(object).map(String);
  /** What an event of a program that reads this file is taken for. */
  const eventOf = async (path: string): Promise<FileEvent> => {
    group.drain();
    run('cat', `${disk.path}/${path}`);
    await group.sync();
    const event = group.drain().events.find(({ name }) => String(name) === 'file');
    assert.ok(event !== undefined);
    return event;
  };

  test('what is mounted and wanted is taken in; its paths begin with the mount point', async () => {
    assert.equal(await follow(), false);
    mount(other.path, 'm');
    assert.equal(await follow(), true);
    assert.equal(volumes.mountsBelow, 0);
    const object = volumes.objectOfEvent(await eventOf('m/file'));
    assert.deepEqual(paths(object), ['m/file']);
    assert.equal(volumes.isTop(object), false);
    const { mount: at, handle } = volumes.identityOf(object);
    assert.equal(String(at), 'm');
    assert.equal(volumes.objectOf(at, handle), object);
    assert.equal(await follow(), false);
  });

  test('the same handle in two file systems is two objects, told apart by events too', async () => {
    mount(other.path, 'm');
    await follow();
    // The top directory of every ext4 has number 2 and generation 0.
    const [own, mounted] = [Buffer.alloc(0), Buffer.from('m')];
    const top = volumes.identityOf(0).handle;
    const [a, b] = [volumes.objectOf(own, top), volumes.objectOf(mounted, top)];
    assert.deepEqual([paths(a), paths(b)], [[''], ['m']]);
    assert.deepEqual([volumes.isTop(a), volumes.isTop(b)], [true, false]);
    const event = await eventOf('m/file');
    const inTop = { ...event, object: top, name: Buffer.from('.') };
    assert.equal(volumes.objectOfEvent(inTop), b);
  });

  test('what is not wanted is counted, and what cannot be is told', async () => {
    mount(other.path, 'm');
    assert.equal(await follow(false), false);
    assert.equal(volumes.mountsBelow, 1);
    run('mount', '-t', 'proc', 'proc', `${disk.path}/bind`);
    assert.equal(await follow(), true);
    // Kernels differ in what they refuse first: its handles or its events.
    assert.deepEqual([volumes.mountsBelow, refusals.length], [1, 1]);
  });

  test('a bind mount gives its files one more name, not another identity', async () => {
    mount(`${disk.path}/dir`, 'bind');
    await follow();
    const object = volumes.objectOfEvent(await eventOf('bind/file'));
    assert.equal(volumes.objectOfEvent(await eventOf('dir/file')), object);
    assert.deepEqual(paths(object), ['bind/file', 'dir/file']);
    writeFileSync(`${disk.path}/bind/later`, '');
    await volumes.walk();
    assert.ok(volumes.takeChanged().map(paths).flat().includes('bind/later'));
    run('umount', `${disk.path}/bind`);
    await follow();
    await follow();
    assert.deepEqual(paths(object), ['dir/file']);
  });

  test('what is unmounted is still known once, then frees its device', async () => {
    mount(other.path, 'm');
    await follow();
    const object = volumes.objectOfEvent(await eventOf('m/file'));
    const { turn } = volumes;
    run('umount', `${disk.path}/m`);
    assert.equal(await follow(), true);
    assert.ok(volumes.turn > turn);
    assert.deepEqual(paths(object), ['m/file']);
    await follow();
    assert.equal(volumes.has(object), false);
    await group.sync();
    assert.deepEqual(group.drain().losses, []);
    mount(other.path, 'm');
    await follow();
    const again = volumes.objectOfEvent(await eventOf('m/file'));
    assert.deepEqual(paths(again), ['m/file']);
    assert.notEqual(again, object);
  });
});
