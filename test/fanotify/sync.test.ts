/** sync: what happened before the call is in the next drain, whatever else goes on. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { FanotifyGroup, monotonicUs, TraceError } from '../../src/fanotify-ts/index.ts';
import { Actor, bitsOf, cannotRecord, Disk } from './support.ts';

describe('sync', { skip: cannotRecord }, () => {
  let disk: Disk;
  let actor: Actor;

  before(async () => {
    disk = Disk.ext4();
    actor = await Actor.start();
    for (let index = 0; index < 400; index++) fs.writeFileSync(disk.at(`f${index}`), 'x');
  });
  after(() => {
    actor.stop();
    disk.remove();
  });

  /** Processes that read the whole disk without end. */
  function load(): () => void {
    const code = `while :; do cat ${disk.dir}/f* >/dev/null; done`;
    const children = [0, 1].map(() => spawn('/bin/sh', ['-c', code], { stdio: 'ignore' }));
    return () => {
      for (const child of children) child.kill('SIGKILL');
    };
  }

  test('holds each of 300 times, under load and while we open the directory too', async () => {
    const group = new FanotifyGroup({ paths: [disk.root] });
    group.start();
    const unload = load();
    // Opens of the watched directory by our own process, from other threads.
    const enough = new AbortController();
    const opening = (async () => {
      while (!enough.signal.aborted) await fs.promises.readdir(disk.root);
    })();
    try {
      for (let index = 0; index < 300; index++) {
        const name = `s${index}`;
        await actor.do({ op: 'write', path: disk.at(name) });
        const calledUs = monotonicUs();
        await group.sync();
        const { events, losses, untilUs } = group.drain();
        assert.ok(bitsOf(events, name).has('create'), name);
        assert.ok(untilUs >= calledUs);
        assert.deepEqual(losses, []);
      }
    } finally {
      unload();
      enough.abort();
      await opening;
      await group.stop();
    }
    for (let index = 0; index < 300; index++) fs.rmSync(disk.at(`s${index}`));
  });

  test('many at once resolve', async () => {
    const group = new FanotifyGroup({ paths: [disk.root] });
    group.start();
    await actor.do({ op: 'read', path: disk.at('f1') });
    await Promise.all(Array.from({ length: 50 }, () => group.sync()));
    assert.ok(bitsOf(group.drain().events, 'f1').has('access'));
    await group.stop();
  });

  test('changes nothing on the disk, also when it is mounted read-only', async () => {
    disk.remount('ro');
    const times = () => {
      const { mtimeNs, ctimeNs, atimeNs } = fs.statSync(disk.root, { bigint: true });
      return [mtimeNs, ctimeNs, atimeNs];
    };
    const before = times();
    const group = new FanotifyGroup({ paths: [disk.root] });
    group.start();
    await actor.do({ op: 'read', path: disk.at('f2') });
    await group.sync();
    assert.ok(bitsOf(group.drain().events, 'f2').has('access'));
    assert.deepEqual((await group.stop()).losses, []);
    assert.deepEqual(times(), before);
    disk.remount('rw');
  });

  test('covers every watched file system', async () => {
    const other = Disk.tmpfs();
    fs.writeFileSync(other.at('there'), 'x');
    const group = new FanotifyGroup({ paths: [disk.root, other.root] });
    group.start();
    await actor.do({ op: 'read', path: disk.at('f3') }, { op: 'read', path: other.at('there') });
    await group.sync();
    const { events } = group.drain();
    const [here] = events.filter(({ name }) => name?.toString() === 'f3');
    const [there] = events.filter(({ name }) => name?.toString() === 'there');
    assert.ok(here && there);
    assert.notDeepEqual(here.fsid, there.fsid);
    await group.stop();
    other.remove();
  });

  test('two copies of one image, with the same fsid, are both proven', async () => {
    const copy = Disk.ext4();
    copy.unmount();
    disk.unmount();
    fs.copyFileSync(disk.image, copy.image);
    disk.mount();
    copy.mount();
    const group = new FanotifyGroup({ paths: [disk.root, copy.root] });
    group.start();
    for (let round = 0; round < 10; round++) await group.sync();
    assert.deepEqual((await group.stop()).losses, []);
    copy.remove();
  });

  test('a reader that is stuck: fanotify-sync-timeout, and it may be tried again', async () => {
    const group = new FanotifyGroup({ paths: [disk.root] });
    group.start();
    group.hold(true);
    await assert.rejects(
      group.sync({ timeoutMs: 30 }),
      (error) => error instanceof TraceError && error.code === 'fanotify-sync-timeout',
    );
    group.hold(false);
    await group.sync();
    group.hold(true);
    const { losses } = await group.stop({ timeoutMs: 30 });
    assert.deepEqual(
      losses.map(({ where }) => where),
      ['fanotify-queue'],
    );
  });

  test('a file system that was unmounted is a loss, not a wait', async () => {
    const other = Disk.ext4();
    fs.writeFileSync(other.at('file'), 'x');
    const group = new FanotifyGroup({ paths: [disk.root, other.root] });
    group.start();
    await actor.do({ op: 'read', path: other.at('file') });
    other.unmount();
    await group.sync();
    const gone = group.drain();
    assert.ok(bitsOf(gone.events, 'file').has('access'));
    assert.deepEqual(
      gone.losses.map(({ where, count }) => [where, count]),
      [['fanotify-watch', 1]],
    );
    // Said once; and once more when it is watched anew and gone anew.
    await group.sync();
    assert.deepEqual(group.drain().losses, []);
    other.mount();
    group.watch(other.root);
    await group.sync();
    assert.deepEqual(group.drain().losses, []);
    other.unmount();
    other.mount();
    await group.sync();
    assert.deepEqual(
      group.drain().losses.map(({ where }) => where),
      ['fanotify-watch'],
    );
    await group.stop();
    other.remove();
  });

  test('a watched directory may be renamed or replaced', async () => {
    const dir = disk.at('inner');
    fs.mkdirSync(dir);
    const group = new FanotifyGroup({ paths: [dir] });
    group.start();
    fs.renameSync(dir, disk.at('inner2'));
    fs.mkdirSync(dir);
    await group.sync();
    assert.deepEqual((await group.stop()).losses, []);
  });
});
