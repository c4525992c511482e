/** Whatever can be missed is counted and comes out as a loss. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { FanotifyGroup, monotonicUs } from '../../src/fanotify-ts/index.ts';
import { lacks } from '../capabilities.ts';
import { Actor, cannotRecord, Disk } from './support.ts';

describe('losses', { skip: cannotRecord }, () => {
  let disk: Disk;
  let actor: Actor;
  let files: Buffer[];
  const limit = Number(fs.readFileSync('/proc/sys/fs/fanotify/max_queued_events', 'latin1'));

  before(async () => {
    disk = Disk.tmpfs();
    actor = await Actor.start();
    files = Array.from({ length: 1000 }, (_, index) => disk.at(`f${index}`));
    for (const file of files) fs.writeFileSync(file, 'x');
  });
  after(() => {
    actor.stop();
    disk.remove();
  });

  const reads = (paths: readonly Buffer[]) => paths.map((path) => ({ op: 'read' as const, path }));

  test('a full table: as many rows as it holds, the rest counted and dated', async () => {
    const group = new FanotifyGroup({ paths: [disk.root], tableLimit: 600 });
    group.start();
    const fromUs = monotonicUs();
    await actor.do(...reads(files));
    await group.sync();
    const full = group.drain();
    assert.equal(full.events.length, 600);
    const [loss] = full.losses;
    assert.equal(full.losses.length, 1);
    assert.equal(loss?.where, 'fanotify-table');
    const counted = full.events.reduce((sum, { count }) => sum + count, 0);
    assert.equal(loss.count, group.stats().eventsRead - counted);
    assert.ok(loss.count >= 400);
    assert.equal(group.stats().tableDrops, loss.count);
    assert.ok(fromUs <= loss.fromUs && loss.fromUs <= loss.toUs && loss.toUs <= monotonicUs());
    await actor.do(...reads(files.slice(0, 10)));
    await group.sync();
    const next = group.drain();
    assert.equal(new Set(next.events.map(({ name }) => name?.toString())).size, 10);
    assert.deepEqual(next.losses, []);
    await group.stop();
  });

  test('the kernel queue overflows for real', { skip: lacks('smallQueue') }, async () => {
    const group = new FanotifyGroup({ paths: [disk.root], queueLimited: true });
    group.start();
    group.hold(true);
    const fromUs = monotonicUs();
    // Two events a file and round that cannot merge with the last round's: the masks differ, but
    // the queue merges by file, so new files are made.
    const many = Array.from({ length: limit + 1000 }, (_, index) => disk.at(`o${index}`));
    await actor.do(...many.map((path) => ({ op: 'write' as const, path })));
    group.hold(false);
    await group.sync();
    const { events, losses } = group.drain();
    assert.equal(losses.length, 1);
    const [loss] = losses;
    assert.equal(loss?.where, 'fanotify-queue');
    assert.equal(loss.count, group.stats().overflows);
    assert.ok(loss.count >= 1);
    assert.ok(loss.fromUs <= fromUs + 1000 && loss.toUs <= monotonicUs() && loss.toUs > fromUs);
    assert.ok(events.length <= limit && events.length > limit / 2);
    // And it goes on.
    await actor.do(...reads(files.slice(0, 5)));
    await group.sync();
    const next = group.drain();
    const names = new Set(next.events.map(({ name }) => name?.toString()));
    assert.deepEqual([names.size, next.losses.length], [5, 0]);
    await group.stop();
    for (const path of many) fs.rmSync(path, { force: true });
  });

  test('with the unlimited queue the same flood loses nothing', async () => {
    const group = new FanotifyGroup({ paths: [disk.root] });
    group.start();
    group.hold(true);
    const many = Array.from({ length: limit + 1000 }, (_, index) => disk.at(`o${index}`));
    await actor.do(...many.map((path) => ({ op: 'write' as const, path })));
    group.hold(false);
    const { events, losses } = await group.stop();
    assert.deepEqual(losses, []);
    assert.equal(new Set(events.map(({ name }) => name?.toString())).size, many.length);
    for (const path of many) fs.rmSync(path, { force: true });
  });

  test('malformed records are counted, and what stands before them is kept', () => {
    /** metadata: event_len u32, vers u8, reserved u8, metadata_len u16, mask u64, fd i32, pid i32 */
    const event = (info: Buffer, patch: (bytes: Buffer) => void = () => undefined) => {
      const bytes = Buffer.alloc(24 + info.length);
      bytes.writeUInt32LE(bytes.length, 0);
      bytes.writeUInt8(3, 4);
      bytes.writeUInt16LE(24, 6);
      bytes.writeBigUInt64LE(1n, 8);
      bytes.writeInt32LE(-1, 16);
      bytes.writeInt32LE(1, 20);
      info.copy(bytes, 24);
      patch(bytes);
      return bytes;
    };
    const fid = (type: number, handle: Buffer, tail = Buffer.alloc(0)) => {
      const head = Buffer.alloc(20);
      head.writeUInt8(type, 0);
      head.writeUInt16LE(20 + handle.length + tail.length, 2);
      head.fill(0xf5, 4, 12);
      head.writeUInt32LE(handle.length, 12);
      head.writeInt32LE(1, 16);
      return Buffer.concat([head, handle, tail]);
    };
    const handle = Buffer.from('0102030405060708', 'hex');
    const good = event(
      Buffer.concat([fid(2, handle, Buffer.from('name\0\0\0\0')), fid(1, handle)]),
    );
    const unknown = Buffer.from([99, 0, 8, 0, 1, 2, 3, 4]);
    const bad: Buffer[] = [
      event(Buffer.alloc(0)),
      event(fid(1, Buffer.alloc(0))),
      event(fid(2, handle, Buffer.from('unended!'))),
      event(fid(1, handle), (bytes) => bytes.writeUInt16LE(8, 26)),
      event(fid(1, handle), (bytes) => bytes.writeUInt16LE(0, 26)),
      event(fid(1, handle), (bytes) => bytes.writeUInt16LE(60_000, 26)),
      event(fid(1, handle), (bytes) => bytes.writeUInt32LE(0xffffffff, 36)),
      event(fid(1, handle), (bytes) => bytes.writeUInt32LE(9, 36)),
      event(Buffer.from([1, 0])),
      event(fid(1, handle), (bytes) => bytes.writeUInt8(2, 4)),
      event(fid(1, handle), (bytes) => bytes.writeUInt32LE(8, 0)),
      event(fid(1, handle), (bytes) => bytes.writeUInt32LE(10_000, 0)),
      event(fid(1, handle), (bytes) => bytes.writeUInt16LE(0, 6)),
      event(fid(1, handle), (bytes) => bytes.writeUInt16LE(60_000, 6)),
      good.subarray(0, 20),
    ];
    for (const [index, bytes] of bad.entries()) {
      const group = new FanotifyGroup({ paths: [] });
      group.feed(Buffer.concat([good, bytes]));
      const { events, losses } = group.drain();
      assert.equal(events.length, 1, `case ${index}`);
      assert.equal(events[0]?.name?.toString(), 'name');
      assert.deepEqual(
        losses.map(({ where, count }) => [where, count]),
        [['fanotify-malformed', 1]],
        `case ${index}`,
      );
      assert.equal(group.stats().malformed, 1);
    }
    const group = new FanotifyGroup({ paths: [] });
    group.feed(event(Buffer.concat([unknown, fid(1, handle)])));
    assert.deepEqual(group.drain().events[0]?.object, { type: 1, bytes: handle });
  });

  test('random bytes never harm', () => {
    const group = new FanotifyGroup({ paths: [], keep: ['nfsd', 'server', 'traced', 'other'] });
    let state = 12345;
    const next = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 16;
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.alloc(24 + (next() % 90));
      for (let at = 0; at < bytes.length; at++) bytes[at] = next() % 7 === 0 ? next() : next() % 30;
      bytes.writeUInt32LE(bytes.length, 0);
      bytes.writeUInt8(3, 4);
      bytes.writeUInt16LE(24, 6);
      bytes.writeBigUInt64LE(1n, 8);
      group.feed(bytes);
    }
    const { events } = group.drain();
    const { malformed, eventsRead } = group.stats();
    assert.equal(eventsRead, 20_000);
    assert.ok(malformed > 0);
    for (const { object, parent } of events) assert.ok(object !== null || parent !== null);
  });
});
