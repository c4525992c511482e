/** Counting equal events, and whose events are kept. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { FAN_ACCESS, FAN_CREATE, FAN_DELETE, FanotifyGroup } from '../../src/fanotify-ts/index.ts';
import type { FanotifyOptions } from '../../src/fanotify-ts/index.ts';
import { Actor, bitsOf, cannotRecord, countOf, Disk, shown } from './support.ts';

describe('counts and classes', { skip: cannotRecord }, () => {
  let disk: Disk;
  let actor: Actor;

  before(async () => {
    disk = Disk.ext4();
    actor = await Actor.start();
  });
  after(() => {
    actor.stop();
    disk.remove();
  });

  async function recording(
    options: Partial<FanotifyOptions>,
    body: (group: FanotifyGroup) => Promise<void>,
  ): Promise<void> {
    const group = new FanotifyGroup({ paths: [disk.root], ...options });
    group.start();
    try {
      await body(group);
    } finally {
      await group.stop();
    }
  }

  /** A copy of cat under another name, so that it is the process's name. */
  function catAs(name: string): string {
    const program = path.join(fs.mkdtempSync(path.join(path.dirname(disk.dir), 'bin.')), name);
    fs.copyFileSync('/bin/cat', program);
    fs.chmodSync(program, 0o755);
    return program;
  }

  test('equal events are one row with a count; a drain starts anew', async () => {
    await recording({}, async (group) => {
      const file = disk.at('counted');
      fs.writeFileSync(file, 'x');
      for (let round = 0; round < 7; round++) {
        await actor.do({ op: 'read', path: file });
        await group.sync();
      }
      const seven = group.drain().events;
      assert.deepEqual(shown(seven), ['other access+open of counted']);
      assert.equal(countOf(seven, 'counted', FAN_ACCESS), 7);
      const keys = seven.map(({ mask }) => mask);
      assert.equal(new Set(keys).size, keys.length);
      await actor.do({ op: 'read', path: file });
      await group.sync();
      const one = group.drain().events;
      assert.equal(countOf(one, 'counted', FAN_ACCESS), 1);
      assert.deepEqual(group.drain().events, []);
      assert.equal(group.stats().distinct, seven.length + one.length);
    });
  });

  test('our own events are dropped and counted, changes of names too', async () => {
    await recording({}, async (group) => {
      fs.writeFileSync(disk.at('own'), 'x');
      fs.readFileSync(disk.at('own'));
      fs.unlinkSync(disk.at('own'));
      await group.sync();
      const { events, losses } = group.drain();
      assert.deepEqual([events, losses], [[], []]);
      const { filtered, eventsRead } = group.stats();
      assert.ok(filtered > 0);
      assert.equal(filtered, eventsRead);
    });
  });

  test('our own events are kept if asked for, the sentinels of sync are not', async () => {
    await recording({ keep: ['self'] }, async (group) => {
      fs.writeFileSync(disk.at('own'), 'x');
      fs.readdirSync(disk.root);
      await group.sync();
      const { events } = group.drain();
      assert.ok(events.every(({ pidClass }) => pidClass === 'self'));
      assert.ok(bitsOf(events, 'own').has('create'));
      // Merged with the sentinel's open or not: the directory's being read is kept.
      assert.ok(bitsOf(events, '.').has('access'));
      const { eventsRead } = group.stats();
      for (let round = 0; round < 20; round++) await group.sync();
      assert.deepEqual(group.drain().events, []);
      assert.equal(group.stats().eventsRead, eventsRead);
    });
  });

  test('from a class that is not kept only changes of names come', async () => {
    await recording({ keep: ['nfsd', 'server', 'traced'] }, async (group) => {
      const file = disk.at('named');
      await actor.do({ op: 'write', path: file }, { op: 'read', path: file });
      await group.sync();
      await actor.do({ op: 'read', path: file });
      await group.sync();
      await actor.do({ op: 'unlink', path: file });
      await group.sync();
      const { events } = group.drain();
      // The kernel may merge a creation with the opens that follow: those bits are taken out.
      assert.deepEqual(
        events.map(({ mask }) => mask),
        [FAN_CREATE, FAN_DELETE],
      );
      assert.ok(group.stats().filtered >= 1);
    });
  });

  test('a server is known by its program name, of which 15 bytes count', async () => {
    const file = disk.at('served');
    fs.writeFileSync(file, 'x');
    const longName = 'a-server-with-a-long-name';
    for (const [name, options] of [
      ['ganesha.nfsd', {}],
      ['unfsd', {}],
      [longName, { serverNames: [longName] }],
      [longName, { serverNames: [longName.slice(0, 15)] }],
    ] as const)
      await recording(options, async (group) => {
        // It reads the file, then its open standard input: it lives on, as servers do.
        const child = spawn(catAs(name), [file.toString(), '-'], {
          stdio: ['pipe', 'pipe', 'inherit'],
        });
        await once(child.stdout, 'data');
        await group.sync();
        child.stdin.end();
        const rows = shown(group.drain().events).filter((row) => row.endsWith('of served'));
        assert.deepEqual(rows, ['server access+open of served'], name);
      });
  });

  test('a user’s program of a server’s name is no server, nor root’s program that a user starts', async () => {
    await recording({}, async (group) => {
      const file = disk.at('user');
      fs.writeFileSync(file, 'x');
      const program = catAs('ganesha.nfsd');
      const folder = path.dirname(program);
      for (const way of [path.dirname(folder), folder, disk.root]) fs.chmodSync(way, 0o755);
      const user = { uid: 65534, gid: 65534 };
      for (const mode of [0o755, 0o4755]) {
        fs.chmodSync(program, mode);
        const child = spawn(program, [file.toString(), '-'], {
          stdio: ['pipe', 'pipe', 'inherit'],
          ...user,
        });
        await once(child.stdout, 'data');
        await group.sync();
        child.stdin.end();
        const rows = shown(group.drain().events).filter((row) => row.endsWith('of user'));
        assert.deepEqual(rows, ['other access+open of user'], mode.toString(8));
      }
    });
  });

  test('a user program that calls itself nfsd is not the kernel server', async () => {
    await recording({}, async (group) => {
      const file = disk.at('faked');
      fs.writeFileSync(file, 'x');
      execFileSync(catAs('nfsd'), [file.toString()]);
      await group.sync();
      assert.deepEqual(shown(group.drain().events), ['other access+open of faked']);
    });
  });

  test('trace and untrace take effect at once', async () => {
    await recording({ keep: ['traced'] }, async (group) => {
      const file = disk.at('traced');
      fs.writeFileSync(file, 'x');
      const reads = async () => {
        await actor.do({ op: 'read', path: file });
        await group.sync();
        return shown(group.drain().events);
      };
      assert.deepEqual(await reads(), []);
      group.trace(actor.pid);
      assert.deepEqual(await reads(), ['traced access+open of traced']);
      group.untrace(actor.pid);
      assert.deepEqual(await reads(), []);
    });
  });

  test('events of two processes of one class are counted together', async () => {
    const second = await Actor.start();
    await recording({}, async (group) => {
      const file = disk.at('shared');
      fs.writeFileSync(file, 'x');
      await actor.do({ op: 'read', path: file });
      await second.do({ op: 'read', path: file });
      await group.sync();
      assert.equal(countOf(group.drain().events, 'shared', FAN_ACCESS), 2);
    });
    second.stop();
  });
});
