/** The file systems of one root as one tree: mounts that come and go, bind mounts, equal handles. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { FileEvent } from '../../src/common/batches.ts';
import { HandleIndex } from '../../src/fanotify-ts/handle-index.ts';
import { FanotifyGroup } from '../../src/fanotify-ts/index.ts';
import { nowUs } from '../../src/recording/clock.ts';
import { MountTable, readMountinfo } from '../../src/recording/mounts.ts';
import { Volumes } from '../../src/recording/volumes.ts';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { lacks } from '../capabilities.ts';
import { mountAgain } from './mount-again.ts';

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
    const mounts = new MountTable(readMountinfo());
    const changed = volumes.follow(mounts, { wanted: () => wanted, refused, knownUs: nowUs() });
    await volumes.walkNew(refused);
    return changed;
  };
  const paths = (object: number): string[] => volumes.objects.pathsOf(object).map(String);
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
    const object = volumes.objects.objectOfEvent(await eventOf('m/file'));
    assert.deepEqual(paths(object), ['m/file']);
    assert.equal(volumes.objects.isTop(object), false);
    const { mount: at, handle } = volumes.objects.identityOf(object);
    assert.equal(String(at), 'm');
    assert.equal(volumes.objects.objectOf(at, handle), object);
    assert.equal(await follow(), false);
  });

  test('the same handle in two file systems is two objects, told apart by events too', async () => {
    mount(other.path, 'm');
    await follow();
    // The top directory of every ext4 has number 2 and generation 0.
    const [own, mounted] = [Buffer.alloc(0), Buffer.from('m')];
    const top = volumes.objects.identityOf(0).handle;
    const [a, b] = [volumes.objects.objectOf(own, top), volumes.objects.objectOf(mounted, top)];
    assert.deepEqual([paths(a), paths(b)], [[''], ['m']]);
    assert.deepEqual([volumes.objects.isTop(a), volumes.objects.isTop(b)], [true, false]);
    const event = await eventOf('m/file');
    const inTop = { ...event, object: top, name: Buffer.from('.') };
    assert.equal(volumes.objects.objectOfEvent(inTop), b);
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
    const object = volumes.objects.objectOfEvent(await eventOf('bind/file'));
    assert.equal(volumes.objects.objectOfEvent(await eventOf('dir/file')), object);
    assert.deepEqual(paths(object), ['bind/file', 'dir/file']);
    writeFileSync(`${disk.path}/bind/later`, '');
    await volumes.walk();
    assert.ok(volumes.objects.takeChanged().map(paths).flat().includes('bind/later'));
    run('umount', `${disk.path}/bind`);
    await follow();
    await follow();
    assert.deepEqual(paths(object), ['dir/file']);
  });

  test('what is unmounted is still known once, then frees its device', async () => {
    mount(other.path, 'm');
    await follow();
    const object = volumes.objects.objectOfEvent(await eventOf('m/file'));
    const { turn } = volumes;
    run('umount', `${disk.path}/m`);
    assert.equal(await follow(), true);
    assert.ok(volumes.turn > turn);
    assert.deepEqual(paths(object), ['m/file']);
    // Not by another look: nothing else may ever change.
    await follow();
    volumes.letGo();
    assert.ok(volumes.objects.has(object));
    volumes.letGo();
    assert.equal(volumes.objects.has(object), false);
    assert.equal(volumes.all.length, 1);
    await group.sync();
    assert.deepEqual(group.drain().losses, []);
    mount(other.path, 'm');
    await follow();
    const again = volumes.objects.objectOfEvent(await eventOf('m/file'));
    assert.deepEqual(paths(again), ['m/file']);
    assert.notEqual(again, object);
  });

  test('what is mounted again between two looks is one volume with one number for an object', async () => {
    mount(other.path, 'm');
    await follow();
    const before = volumes.objects.objectOfEvent(await eventOf('m/file'));
    mountAgain(other.path, `${disk.path}/m`, `${disk.path}/bind`);
    await follow();
    const event = await eventOf('m/file');
    const object = volumes.objects.objectOfEvent(event);
    const { handle } = volumes.objects.identityOf(object);
    assert.equal(volumes.objects.objectOf(Buffer.from('m'), handle), object);
    const key = { fsidType: 1, fsid: Buffer.alloc(4), domain: '*', path: Buffer.from('/') };
    for (const { index } of volumes.all) index.addExportKey(key);
    assert.deepEqual(volumes.objects.objectsOfHash(HandleIndex.hashOf(key, handle)), [object]);
    assert.ok(volumes.objects.has(before), 'whoever holds the old number can still ask');
    assert.equal(volumes.takeReplaced(), null);
  });

  test('another file system under the number of a mount that went', async () => {
    mount(other.path, 'm');
    await follow();
    run('umount', `${disk.path}/m`);
    run('mount', '-t', 'tmpfs', 'none', `${disk.path}/m`);
    writeFileSync(`${disk.path}/m/file`, 'y');
    assert.equal(await follow(), true);
    const { mount: at } = volumes.objects.identityOf(
      volumes.objects.objectOfEvent(await eventOf('m/file')),
    );
    assert.equal(String(at), 'm');
    assert.equal(volumes.all.length, 3);
  });

  test('whoever looks, it is remembered that another mount is the root, and since when', async () => {
    const knownUs = nowUs();
    run('mount', '--bind', other.path, disk.path);
    await follow();
    await follow();
    const replaced = volumes.takeReplaced();
    assert.ok(replaced !== null && knownUs <= replaced.fromUs && replaced.fromUs < replaced.toUs);
    assert.equal(volumes.takeReplaced(), null);
    assert.ok(volumes.isInPlace());
    run('umount', disk.path);
    await follow();
    assert.ok(volumes.takeReplaced() !== null);
  });
});
