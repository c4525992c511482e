/** What a plan takes in of what was recorded, what it leaves out, and why. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { operationBit } from '../../src/common/words.ts';
import { planImage } from '../../src/image/plan.ts';
import { MemoryTree, type Node } from './memory-tree.ts';
import { codes, paths, plan, reasons } from './plan-support.ts';

const INIT: Node = { type: 'file', mode: 0o755, size: 3 };

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

  it('has each reason once, of links in a circle and of those into it, too', async () => {
    const circle = { a: { to: 'b' }, b: { to: 'a' }, into: { to: 'a' }, init: INIT };
    const made = await plan(circle, ['into']);
    assert.deepEqual(reasons(made, 'a').sort(), ['target-of a', 'target-of b', 'target-of into']);
    assert.deepEqual(reasons(made, 'b').sort(), ['target-of a', 'target-of b', 'target-of into']);
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
