/** What a plan adds for every boot, and the numbers and times of its entries. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type ImagePlan, type PlanOptions } from '../../src/image/plan.ts';
import { refusePlan } from '../../src/image/refusal.ts';
import { type Node } from './memory-tree.ts';
import { codes, paths, plan } from './plan-support.ts';

const INIT: Node = { type: 'file', mode: 0o755, size: 3 };

describe('what every boot needs', () => {
  it('adds mount points and device nodes that the root lacks, and their parents', async () => {
    const made = await plan({ init: INIT }, [], {
      mountPoints: undefined,
      devices: undefined,
    } as object);
    const entry = (path: string) => made.entries.find((one) => one.path.toString() === path);
    assert.deepEqual(
      paths(made).filter((path) => !path.startsWith('dev/')),
      ['', 'dev', 'init', 'proc', 'run', 'sys', 'tmp'],
    );
    const console = entry('dev/console');
    assert.deepEqual(
      [console?.type, console?.rdevMajor, console?.rdevMinor, console?.mode, console?.mtime],
      ['character', 5, 1, 0o600, 0],
    );
    assert.equal(entry('tmp')?.mode, 0o1777);
    assert.equal(entry('dev/fd')?.target?.toString(), '/proc/self/fd');
    assert.deepEqual(codes(made), []);
  });

  it('keeps what the root has there, and names a device that is none', async () => {
    const made = await plan(
      {
        tmp: { type: 'directory', mode: 0o700, uid: 7 },
        'dev/null': { type: 'character', mode: 0o640, rdevMajor: 1, rdevMinor: 3 },
        'dev/zero': 'a file',
        'dev/shm': { to: '/run/shm' },
        init: INIT,
      },
      [],
      { mountPoints: undefined, devices: undefined } as object,
    );
    const entry = (path: string) => made.entries.find((one) => one.path.toString() === path);
    assert.deepEqual([entry('tmp')?.mode, entry('tmp')?.uid], [0o700, 7]);
    assert.equal(entry('dev/null')?.mode, 0o640);
    assert.equal(entry('dev/zero')?.type, 'file');
    assert.equal(entry('dev/shm')?.type, 'symlink');
    assert.deepEqual(codes(made), ['odd-device']);
  });

  it('names a mount point that is no directory, nor a link to one of the image', async () => {
    const made = await plan(
      {
        proc: 'a file',
        sys: { to: '/nosys' },
        run: { to: 'var/run' },
        tmp: { to: 'var/tmp' },
        'var/tmp': { type: 'directory' },
        init: INIT,
      },
      [],
      { mountPoints: undefined } as object,
    );
    assert.deepEqual(
      made.problems.map(({ code, message }) => `${code}: ${message}`),
      [
        'odd-mount-point: /proc of the root is not a directory',
        'odd-mount-point: /sys of the root is a link that leads to no directory of the image',
        'odd-mount-point: /run of the root is a link that leads to no directory of the image',
      ],
    );
    assert.throws(
      () => refusePlan(made, { strict: true }),
      /\/proc of the root is not a directory/,
    );
  });

  it('takes where a mount point leads from the image, not from the root', async () => {
    const root = {
      run: { to: 'var/run' },
      'var/run': { type: 'directory' },
      init: INIT,
    } as const;
    const tables = { mountPoints: undefined } as object;
    assert.deepEqual(codes(await plan(root, [], tables)), []);
    const rules = [{ include: false, glob: '/var/run' }];
    assert.deepEqual(codes(await plan(root, [], { ...tables, rules })), ['odd-mount-point']);
  });

  it('says when a table has no place for its nodes', async () => {
    const made = await plan({ dev: 'a file', init: INIT }, [], { devices: undefined } as object);
    assert.ok(codes(made).every((code) => code === 'no-place') && codes(made).length > 0);
    assert.ok(!paths(made).some((path) => path.startsWith('dev/')));
  });

  it('checks /init', async () => {
    assert.deepEqual(codes(await plan({ a: '' }, ['a'])), ['no-init']);
    const systemd = await plan({ 'sbin/init': INIT }, []);
    assert.match(systemd.problems[0]?.hint ?? '', /rdinit=\/sbin\/init/);
    assert.deepEqual(codes(await plan({ init: { to: 'sbin/nope' } }, [])), ['init-dangling']);
    assert.deepEqual(codes(await plan({ init: 'x' }, [])), ['init-not-executable']);
    const linked = await plan({ init: { to: 'usr/sbin/i' }, 'usr/sbin/i': INIT }, []);
    assert.deepEqual(codes(linked), []);
    assert.deepEqual(paths(linked), ['', 'init', 'usr', 'usr/sbin', 'usr/sbin/i']);
  });
});

describe('numbers and times', () => {
  it('counts the names of a file in the image, not in the root; data with the last', async () => {
    const file: Node = { type: 'file', nlink: 5, ino: 77n, size: 3 };
    const made = await plan(
      { a: file, 'b/c': file, 'b/d': file, e: { ...file, ino: 78n }, init: INIT },
      ['a', 'b/c', 'e'],
    );
    const row = (path: string) => made.entries.find((one) => one.path.toString() === path);
    assert.deepEqual([row('a')?.nlink, row('b/c')?.nlink, row('e')?.nlink], [2, 2, 1]);
    assert.equal(row('a')?.inode, row('b/c')?.inode);
    assert.deepEqual([row('a')?.carriesData, row('b/c')?.carriesData], [false, true]);
    assert.equal(made.contentBytes, 3 + 3 + 3);
  });

  it('derives inodes from paths, so that one more file changes no other', async () => {
    const one = await plan({ a: '', c: '', init: INIT }, ['a', 'c']);
    const two = await plan({ a: '', b: '', c: '', init: INIT }, ['a', 'b', 'c']);
    const inode = (made: ImagePlan, path: string) =>
      made.entries.find((entry) => entry.path.toString() === path)?.inode;
    assert.equal(inode(one, 'a'), inode(two, 'a'));
    assert.equal(inode(one, 'c'), inode(two, 'c'));
  });

  it('keeps times within the field and below the limit asked for', async () => {
    const nodes = {
      old: { size: 0, mtime: -5 },
      far: { size: 0, mtime: 5_000_000_000 },
      now: { size: 0, mtime: 1_700_000_000 },
      init: INIT,
    };
    const times = async (more: Partial<PlanOptions>) => {
      const made = await plan(nodes, ['old', 'far', 'now'], more);
      return Object.fromEntries(made.entries.map((one) => [one.path.toString(), one.mtime]));
    };
    assert.deepEqual(await times({}), {
      '': 0,
      far: 0xffffffff,
      init: 1_000_000_000,
      now: 1_700_000_000,
      old: 0,
    });
    assert.equal((await times({ mtimeMax: 1_600_000_000 }))['now'], 1_600_000_000);
  });
});
