/** What a plan has in it, and why. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { type Operation, operationBit } from '../../src/common/words.ts';
import { type ImagePlan, planImage, type PlanOptions } from '../../src/image/plan.ts';
import { MemoryTree, type Node } from './memory-tree.ts';

const INIT: Node = { type: 'file', mode: 0o755, size: 3 };

interface Row {
  readonly ops?: readonly Operation[];
  readonly created?: boolean;
}

function plan(
  nodes: Readonly<Record<string, Node>>,
  rows: Readonly<Record<string, Row>> | readonly string[],
  more: Partial<PlanOptions> = {},
): Promise<ImagePlan> {
  const list: readonly (readonly [string, Row])[] = Array.isArray(rows)
    ? (rows as string[]).map((path) => [path, {}])
    : Object.entries(rows as Record<string, Row>);
  return planImage({
    tree: new MemoryTree(nodes),
    files: list.map(([path, { ops = ['read'] as readonly Operation[], created = false }]) => ({
      path: Buffer.from(path, 'latin1'),
      operations: ops.reduce((bits, op) => bits | operationBit(op), 0),
      created,
    })),
    mountPoints: [],
    devices: [],
    ...more,
  });
}

const paths = ({ entries }: ImagePlan): string[] =>
  entries.map((entry) => entry.path.toString('latin1'));

const reasons = ({ entries }: ImagePlan, path: string): string[] =>
  (entries.find((entry) => entry.path.toString('latin1') === path)?.reasons ?? []).map(
    ({ kind, about }) => (about === null ? kind : `${kind} ${about.toString('latin1')}`),
  );

const codes = (made: ImagePlan): string[] => made.problems.map((problem) => problem.code);

describe('what a plan takes in', () => {
  it('has every directory above a file, parents first, and nothing else', async () => {
    const made = await plan({ 'a/b/c': 'x', 'a/b/d': 'y', z: 'z', init: INIT }, ['a/b/c']);
    assert.deepEqual(paths(made), ['', 'a', 'a/b', 'a/b/c', 'init']);
    assert.deepEqual(reasons(made, 'a/b'), ['parent-of a/b/c']);
    assert.deepEqual(reasons(made, 'a/b/c'), ['read']);
    assert.deepEqual(made.countsByReason, { read: 1, 'parent-of': 2, skeleton: 1, init: 1 });
  });

  it('resolves a path through a linked directory (merged /usr)', async () => {
    const made = await plan({ lib: { to: 'usr/lib' }, 'usr/lib/x': 'x', init: INIT }, ['lib/x']);
    assert.deepEqual(paths(made), ['', 'init', 'lib', 'usr', 'usr/lib', 'usr/lib/x']);
    assert.deepEqual(reasons(made, 'lib'), ['way-to usr/lib/x', 'symlink-to usr/lib']);
  });

  it('takes where a link leads: chains, links on the way, absolute ones inside the root', async () => {
    const made = await plan(
      {
        'bin/vi': { to: '/etc/alternatives/vi' },
        'etc/alternatives/vi': { to: '/sbin/vim.tiny' },
        sbin: { to: 'usr/sbin' },
        'usr/sbin/vim.tiny': 'x',
        'usr/sbin/other': 'x',
        init: INIT,
      },
      { 'bin/vi': { ops: ['readlink'] } },
    );
    assert.deepEqual(paths(made), [
      '',
      'bin',
      'bin/vi',
      'etc',
      'etc/alternatives',
      'etc/alternatives/vi',
      'init',
      'sbin',
      'usr',
      'usr/sbin',
      'usr/sbin/vim.tiny',
    ]);
    assert.deepEqual(reasons(made, 'bin/vi'), ['readlink', 'symlink-to usr/sbin/vim.tiny']);
    assert.ok(reasons(made, 'usr/sbin/vim.tiny').includes('target-of bin/vi'));
  });

  it('takes every link of the root that leads to what is in, to a fixed point', async () => {
    const made = await plan(
      {
        'usr/lib/libx.so.1.2': 'x',
        'usr/lib/libx.so.1': { to: 'libx.so.1.2' },
        'usr/lib/libx.so': { to: 'libx.so.1' },
        // A link in another directory makes that directory part of the image, and so its links.
        'opt/deep/x': { to: '../../usr/lib/libx.so' },
        'srv/deep': { to: '/opt/deep' },
        'srv/unused': { to: '/opt/unused' },
        'opt/unused': 'x',
        init: INIT,
      },
      ['usr/lib/libx.so.1.2'],
    );
    assert.deepEqual(paths(made), [
      '',
      'init',
      'opt',
      'opt/deep',
      'opt/deep/x',
      'srv',
      'srv/deep',
      'usr',
      'usr/lib',
      'usr/lib/libx.so',
      'usr/lib/libx.so.1',
      'usr/lib/libx.so.1.2',
    ]);
  });

  it('survives loops, dangling links and .. above the root', async () => {
    const made = await plan(
      {
        a: { to: 'b' },
        b: { to: 'a' },
        self: { to: 'self' },
        gone: { to: 'no/where' },
        up: { to: '../../../etc/passwd' },
        'etc/passwd': 'x',
        nodir: { to: 'etc/passwd/../passwd' },
        init: INIT,
      },
      ['a', 'self', 'gone', 'up', 'nodir'],
    );
    assert.deepEqual(paths(made), [
      '',
      'a',
      'b',
      'etc',
      'etc/passwd',
      'gone',
      'init',
      'nodir',
      'self',
      'up',
    ]);
    assert.deepEqual(made.drift, []);
  });

  it('sorts by bytes, not by letters', async () => {
    const made = await plan({ 'a/x': '', 'a-b': '', 'a.b': '', Z: '', '\xe9': '', init: INIT }, [
      'a/x',
      'a-b',
      'a.b',
      'Z',
      '\xe9',
    ]);
    assert.deepEqual(paths(made), ['', 'Z', 'a', 'a-b', 'a.b', 'a/x', 'init', '\xe9']);
  });

  it('looks at each path a bounded number of times', async () => {
    const nodes: Record<string, Node> = { init: INIT };
    for (let i = 0; i < 3000; i++) {
      nodes[`d${i % 50}/f${i}`] = 'x';
      nodes[`links/l${i}`] = { to: `../d${i % 50}/f${i}` };
    }
    const tree = new MemoryTree(nodes);
    const files = Array.from({ length: 3000 }, (_, i) => ({
      path: Buffer.from(`d${i % 50}/f${i}`),
      operations: operationBit('read'),
    }));
    const made = await planImage({ tree, files, mountPoints: [], devices: [] });
    assert.equal(made.entries.length, 6000 + 50 + 1 + 1 + 1);
    assert.ok(tree.looks <= made.entries.length + 10, `${tree.looks} looks`);
  });
});

describe('what a plan leaves out, and says so', () => {
  it('leaves out what the session made and keeps its directory', async () => {
    const made = await plan(
      { 'run/app/pid': '1', 'var/log/old': 'x', 'var/log/new': 'y', init: INIT },
      {
        'run/app': { created: true },
        'run/app/pid': { created: true },
        'var/log/new': { created: true, ops: ['write'] },
        'var/log/deleted/again': { created: true },
      },
    );
    assert.deepEqual(paths(made), ['', 'init', 'run', 'var', 'var/log']);
    assert.deepEqual(
      made.leftOut.map(({ path, why }) => `${path.toString()} ${why}`),
      [
        'run/app created',
        'run/app/pid created',
        'var/log/deleted/again created',
        'var/log/new created',
      ],
    );
    assert.deepEqual(made.drift, []);
  });

  it('does not let a link bring back what the session made', async () => {
    const made = await plan(
      { 'etc/mtab': { to: '../run/mtab' }, 'run/mtab': 'x', init: INIT },
      { 'run/mtab': { created: true }, 'etc/mtab': { ops: ['readlink'] } },
    );
    assert.deepEqual(paths(made), ['', 'etc', 'etc/mtab', 'init', 'run']);
  });

  it('takes a created directory back when something else in it is needed', async () => {
    const made = await plan({ 'd/old': 'x', init: INIT }, { d: { created: true }, 'd/old': {} });
    assert.deepEqual(paths(made), ['', 'd', 'd/old', 'init']);
  });

  it('tells a file asked for by name from one that only a listing looked up', async () => {
    const nodes = { 'etc/a': 'x', 'opt/b': 'x', 'opt/sub/c': 'x', init: INIT };
    const made = await plan(nodes, {
      'etc/a': { ops: ['lookup'] },
      opt: { ops: ['readdir'] },
      'opt/b': { ops: ['lookup'] },
      'opt/sub': { ops: ['lookup'] },
    });
    assert.deepEqual(paths(made), ['', 'etc', 'etc/a', 'init', 'opt', 'opt/sub']);
    assert.deepEqual(reasons(made, 'etc/a'), ['stat']);
    assert.deepEqual(
      made.leftOut.map(({ path, why }) => `${path.toString()} ${why}`),
      ['opt/b listing'],
    );
  });

  it('selects by operations; what is in all the same is not called left out', async () => {
    const made = await plan(
      { a: { to: 'c' }, b: '', c: '', init: INIT },
      { a: { ops: ['readlink', 'read'] }, b: { ops: ['getattr'] }, c: { ops: ['getattr'] } },
      { operations: operationBit('read') },
    );
    assert.deepEqual(paths(made), ['', 'a', 'c', 'init']);
    assert.deepEqual(
      made.leftOut.map(({ path, why }) => `${path.toString()} ${why}`),
      ['b operations'],
    );
  });

  it('reports drift: vanished, changed, of another type, mounted over', async () => {
    const tree = new MemoryTree({
      changed: { size: 2, mtime: 5 },
      same: { size: 2, mtime: 5 },
      wrote: { size: 9, mtime: 9 },
      was: { to: 'same' },
      proc: { type: 'directory', foreign: true },
      resolv: { size: 2, mtime: 5, foreign: true },
      init: INIT,
    });
    const seen = { type: 'file', size: 2, mtime: 4 } as const;
    const read = operationBit('read');
    const made = await planImage({
      tree,
      files: [
        { path: Buffer.from('gone'), operations: read },
        { path: Buffer.from('took-away'), operations: read | operationBit('remove') },
        { path: Buffer.from('changed'), operations: read, seen },
        { path: Buffer.from('same'), operations: read, seen: { ...seen, mtime: 5 } },
        { path: Buffer.from('wrote'), operations: read | operationBit('write'), seen },
        { path: Buffer.from('was'), operations: read, seen },
        { path: Buffer.from('proc/1/stat'), operations: read },
        { path: Buffer.from('resolv'), operations: read },
      ],
    });
    assert.deepEqual(
      made.drift.map(({ path, what }) => `${path.toString()} ${what}`),
      [
        'changed changed',
        'gone vanished',
        'proc/1/stat mounted-over',
        'resolv mounted-over',
        'was changed-type',
      ],
    );
    assert.deepEqual(
      made.leftOut.map(({ path, why }) => `${path.toString()} ${why}`),
      ['took-away removed'],
    );
    assert.deepEqual(codes(made), ['mounted-over', 'mounted-over']);
    assert.ok(!paths(made).includes('resolv'));
    // The mode of what is mounted there now is not the root's.
    assert.equal(made.entries.find(({ path }) => path.equals(Buffer.from('proc')))?.mode, 0o555);
  });

  it('reports sockets, and attributes that only their file system knows', async () => {
    const made = await plan(
      {
        'bin/ping': { size: 1, names: ['btrfs.compression', 'trusted.overlay.origin'] },
        'run/s': { type: 'socket' },
        init: INIT,
      },
      ['bin/ping', 'run/s'],
    );
    assert.deepEqual(
      made.notCarried.map(({ path, what }) => `${path.toString()} ${what}`),
      ['bin/ping btrfs.compression', 'run/s socket'],
    );
    assert.ok(!paths(made).includes('run/s'));
  });
});

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
