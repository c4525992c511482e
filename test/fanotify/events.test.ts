/** What the kernel's events become: every bit, odd names, links, moves. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { after, before, describe, test } from 'node:test';
import {
  FAN_ATTRIB,
  FAN_CREATE,
  FAN_DELETE,
  FAN_MOVED_FROM,
  FAN_MOVED_TO,
  FAN_ONDIR,
  FanotifyGroup,
} from '../../src/fanotify-ts/index.ts';
import type { FileEvent } from '../../src/fanotify-ts/index.ts';
import { Actor, bitsOf, cannotRecord, Disk } from './support.ts';

for (const kind of ['ext4', 'tmpfs'] as const)
  describe(`events on ${kind}`, { skip: cannotRecord }, () => {
    let disk: Disk;
    let actor: Actor;
    let group: FanotifyGroup;

    before(async () => {
      disk = Disk[kind]();
      actor = await Actor.start();
      group = new FanotifyGroup({ paths: [disk.root] });
      group.start();
    });
    after(async () => {
      await group.stop();
      actor.stop();
      disk.remove();
    });

    /** Each step's events for itself, so that the kernel merges no two steps. */
    async function record(...steps: Parameters<Actor['do']>): Promise<FileEvent[]> {
      await group.sync();
      group.drain();
      const events: FileEvent[] = [];
      for (const step of steps) {
        await actor.do(step);
        await group.sync();
        const batch = group.drain();
        assert.deepEqual(batch.losses, []);
        events.push(...batch.events);
      }
      return events;
    }

    test('each operation has its bits', async () => {
      const [file, dir] = [disk.at('file'), disk.at('dir')];
      const seen = async (step: Parameters<Actor['do']>[number], name: string) =>
        [...bitsOf(await record(step), name)].sort().join(' ');
      assert.equal(
        await seen({ op: 'write', path: file }, 'file'),
        'close-write create modify open',
      );
      assert.equal(await seen({ op: 'open', path: file }, 'file'), 'open');
      assert.equal(await seen({ op: 'read', path: file }, 'file'), 'access open');
      assert.equal(await seen({ op: 'append', path: file }, 'file'), 'close-write modify open');
      assert.equal(await seen({ op: 'chmod', path: file }, 'file'), 'attrib');
      assert.equal(await seen({ op: 'mkdir', path: dir }, 'dir'), 'create dir');
      assert.equal(await seen({ op: 'list', path: dir }, '.'), 'access dir open');
      assert.equal(
        await seen({ op: 'rename', path: file, to: disk.at('file2') }, 'file'),
        'moved-from',
      );
      assert.equal(
        await seen({ op: 'rename', path: disk.at('file2'), to: file }, 'file'),
        'moved-to',
      );
      assert.equal(
        await seen({ op: 'symlink', path: disk.at('sym'), to: Buffer.from('file') }, 'sym'),
        'create',
      );
      assert.equal(await seen({ op: 'unlink', path: disk.at('sym') }, 'sym'), 'delete');
      assert.equal(await seen({ op: 'unlink', path: file }, 'file'), 'delete');
      assert.equal(await seen({ op: 'rmdir', path: dir }, 'dir'), 'delete dir');
    });

    test('a symlink that is read, a stat and a lookup show nothing', async () => {
      const link = disk.at('link');
      await actor.do({ op: 'symlink', path: link, to: Buffer.from('nowhere') });
      const events = await record({ op: 'readlink', path: link }, { op: 'stat', path: link });
      assert.deepEqual(events, []);
    });

    test('names come as the bytes they are', async () => {
      const names = [
        Buffer.from('new\nline'),
        Buffer.from(' sp ace "quote\' \\'),
        Buffer.from([0x66, 0xff, 0xfe, 0x80]),
        Buffer.alloc(255, 0x6e),
        Buffer.from('ü'),
      ];
      const events = await record(
        ...names.flatMap((name) => [
          { op: 'write' as const, path: disk.at(name) },
          { op: 'read' as const, path: disk.at(name) },
        ]),
      );
      for (const name of names) assert.ok(bitsOf(events, name).has('access'), name.toString('hex'));
      assert.equal(new Set(events.map((event) => event.name?.toString('hex'))).size, names.length);
    });

    test('hard links are one object with two names', async () => {
      await actor.do({ op: 'write', path: disk.at('one') });
      await actor.do({ op: 'link', path: disk.at('one'), to: disk.at('two') });
      // By name: an open that was taken before its read came is an event of its own.
      const events = await record(
        { op: 'read', path: disk.at('one') },
        { op: 'read', path: disk.at('two') },
      );
      const named = (name: string) => events.find((event) => event.name?.toString() === name);
      const [first, second] = [named('one'), named('two')];
      assert.ok(first?.object && second?.object);
      assert.deepEqual(
        new Set(events.map(({ name }) => name?.toString())),
        new Set(['one', 'two']),
      );
      assert.deepEqual(first.object, second.object);
      assert.deepEqual(first.parent, second.parent);
      assert.notDeepEqual(first.object, first.parent);
      await actor.do({ op: 'write', path: disk.at('three') });
      const [third] = await record({ op: 'read', path: disk.at('three') });
      assert.notDeepEqual(third?.object, first.object);
    });

    test('a file keeps its handle over a move to another directory', async () => {
      for (const dir of ['from', 'to']) await actor.do({ op: 'mkdir', path: disk.at(dir) });
      await actor.do({ op: 'write', path: disk.at('from/x') });
      const events = await record(
        { op: 'read', path: disk.at('from/x') },
        { op: 'rename', path: disk.at('from/x'), to: disk.at('to/y') },
        { op: 'read', path: disk.at('to/y') },
      );
      const before = events.find((event) => event.name?.toString() === 'x');
      const from = events.find((event) => (event.mask & FAN_MOVED_FROM) !== 0);
      const to = events.find((event) => (event.mask & FAN_MOVED_TO) !== 0);
      const afterwards = events.at(-1);
      assert.equal(from?.name?.toString(), 'x');
      assert.equal(to?.name?.toString(), 'y');
      assert.deepEqual(from.parent, before?.parent);
      assert.deepEqual(to.parent, afterwards?.parent);
      assert.notDeepEqual(from.parent, to.parent);
      assert.deepEqual(before?.object, afterwards?.object);
    });

    test('a directory is its own object, under the name "."', async () => {
      await actor.do({ op: 'mkdir', path: disk.at('self') });
      const [made] = await record(
        { op: 'mkdir', path: disk.at('self/sub') },
        { op: 'list', path: disk.at('self') },
      );
      const [listed] = await record({ op: 'list', path: disk.at('self') });
      assert.ok(listed && (listed.mask & FAN_ONDIR) !== 0);
      assert.equal(listed.name?.toString(), '.');
      assert.deepEqual(listed.object, made?.parent);
      assert.deepEqual(listed.object, listed.parent);
    });

    test('a name used again is another object', async () => {
      const path = disk.at('again');
      await actor.do({ op: 'write', path });
      const [old] = await record({ op: 'read', path });
      await actor.do({ op: 'unlink', path }, { op: 'write', path });
      const [young] = await record({ op: 'read', path });
      assert.ok(old?.object && young?.object);
      assert.notDeepEqual(old.object, young.object);
    });

    test('the bits of our masks are the kernel ABI', async () => {
      const [made] = await record({ op: 'mkdir', path: disk.at('abi') });
      assert.equal(made?.mask, FAN_CREATE | FAN_ONDIR);
      const [changed] = await record({ op: 'chmod', path: disk.at('abi') });
      assert.equal(changed?.mask, FAN_ATTRIB | FAN_ONDIR);
      const [gone] = await record({ op: 'rmdir', path: disk.at('abi') });
      assert.equal(gone?.mask, FAN_DELETE | FAN_ONDIR);
    });

    test('the fsid is the one that statfs tells', async () => {
      const path = disk.at('fsid');
      fs.writeFileSync(path, '');
      const [event] = await record({ op: 'open', path });
      assert.equal(event?.fsid.length, 8);
      assert.notEqual(event.fsid.readBigUInt64LE(), 0n);
    });
  });
