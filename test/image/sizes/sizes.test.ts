/** What an image is made of: sums by directory, package and reason, weak evidence, the treemap. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { operationBit, type Operation } from '../../../src/common/words.ts';
import { planImage, type PlanOptions, type SessionFile } from '../../../src/image/plan.ts';
import { packagesOf } from '../../../src/image/packages/packages-of.ts';
import { squarify, treemap, type Rectangle } from '../../../src/image/sizes/treemap.ts';
import { weighImage } from '../../../src/image/sizes/weigh.ts';
import { MemoryTree, type Node } from '../memory-tree.ts';

const row = (path: string, operation: Operation, bytesRead?: number): SessionFile => ({
  path: Buffer.from(path, 'latin1'),
  operations: operationBit(operation),
  ...(bytesRead !== undefined && { bytesRead }),
});

async function weigh(
  nodes: Readonly<Record<string, Node>>,
  files: readonly SessionFile[],
  more: Partial<PlanOptions> = {},
) {
  const tree = new MemoryTree(nodes);
  const plan = await planImage({ tree, files, mountPoints: [], devices: [], ...more });
  const packages = await packagesOf(plan.entries, tree);
  return { plan, sizes: weighImage({ plan, files, tree, packages }) };
}

const plain = (size: number, more: object = {}) => ({ size, content: 'x'.repeat(20), ...more });

describe('sums', () => {
  const STANZA = 'Package: a\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n';
  const scene = () =>
    weigh(
      {
        init: plain(10, { mode: 0o755 }),
        'a/b/one': plain(1000),
        'a/b/two': plain(3000),
        'a/three': plain(5000),
        'a.d': plain(100),
        link: { to: 'a/three' },
        'var/lib/dpkg/status': STANZA,
        'var/lib/dpkg/info/a.list': '/.\n/a\n/a/b\n/a/b/one\n/a/three\n',
      },
      ['init', 'a/b/one', 'a/b/two', 'a/three', 'a.d'].map((path) => row(path, 'read')),
    );

  it('are of everything that is in a directory, and add up', async () => {
    const { plan, sizes } = await scene();
    assert.deepEqual(
      sizes.directories.map(({ path, entries, contentBytes }) => [
        path.toString(),
        entries,
        contentBytes,
      ]),
      [
        ['', plan.entries.length, plan.contentBytes],
        ['a', 5, 9000],
        ['a/b', 3, 4000],
      ],
    );
    const end = plan.bytes - (sizes.directories[0]?.archiveBytes ?? 0);
    assert.ok(end > 0 && end < 512 + 124);
    for (const parts of [sizes.packages, sizes.reasons, sizes.items.map((one) => one)])
      assert.equal(
        parts.reduce((sum, one) => sum + one.archiveBytes, 0),
        plan.bytes - end,
      );
    assert.equal(sizes.total.archiveBytes, plan.bytes);
  });

  it('are by package, though its database is not in the image', async () => {
    const { sizes } = await scene();
    assert.deepEqual(
      sizes.packages.map(({ owner, contentBytes, entries }) => [
        typeof owner === 'string' ? owner : owner.name,
        contentBytes,
        entries,
      ]),
      [
        ['a', 6000, 2],
        ['none', 3110, 4],
        ['directories', 0, 3],
      ],
    );
    assert.deepEqual(
      sizes.reasons.map(({ kind, entries }) => [kind, entries]),
      [
        ['read', 5],
        ['parent-of', 2],
        ['symlink-to', 1],
        ['skeleton', 1],
      ],
    );
  });

  it('do not grow with depth', async () => {
    const path = `${'d/'.repeat(1500)}f`;
    const { sizes } = await weigh({ [path]: plain(7) }, [row(path, 'read')]);
    assert.equal(sizes.directories.length, 1501);
    assert.ok(sizes.directories.every(({ contentBytes }) => contentBytes === 7));
    assert.ok(treemap(sizes.items, { x: 0, y: 0, width: 1200, height: 700 }).length > 10);
  });
});

describe('cheapest drops', () => {
  const drops = async (...args: Parameters<typeof weigh>) =>
    (await weigh(...args)).sizes.drops.map(({ path, grade, bytesRead, unreadBytes }) => [
      path.toString(),
      grade,
      bytesRead,
      unreadBytes,
    ]);

  it('are what nobody read, most bytes first', async () => {
    assert.deepEqual(
      await drops(
        {
          read: plain(1000),
          'half/read': plain(1000),
          hardly: plain(1000),
          twice: plain(1000),
          uncounted: plain(5000),
          seen: plain(2000),
          written: plain(3000),
          alias: { to: 'behind' },
          behind: plain(700),
          way: { to: 'real' },
          'real/file': plain(50),
          asked: plain(9000),
        },
        [
          row('read', 'read', 1000),
          row('half/read', 'read', 500),
          row('hardly', 'read', 100),
          row('twice', 'read', 200),
          row('twice', 'read', 100),
          row('uncounted', 'read'),
          row('seen', 'getattr'),
          row('written', 'write'),
          row('alias', 'readlink'),
          row('way/file', 'read', 50),
          row('asked', 'getattr'),
        ],
        { rules: [{ include: true, glob: 'asked' }] },
      ),
      [
        ['seen', 'stat', null, 2000],
        ['hardly', 'partly-read', 100, 900],
        ['behind', 'linked', null, 700],
      ],
    );
  });

  it('mind what needs a file, and whether that was used', async () => {
    const script = (name: string) => ({ content: `#!/bin/${name}\n`, size: 20, mode: 0o755 });
    const nodes = {
      used: script('one'),
      unused: script('two'),
      'bin/one': plain(1000, { mode: 0o755 }),
      'bin/two': plain(2000, { mode: 0o755 }),
    };
    assert.deepEqual(await drops(nodes, [row('used', 'read', 20), row('unused', 'getattr')]), [
      ['bin/two', 'needed', null, 2000],
      ['unused', 'stat', null, 20],
    ]);
  });

  it('take all names of a file together', async () => {
    const hard = { ino: 7n, nlink: 2, size: 1000 };
    const nodes = { one: hard, two: hard };
    assert.deepEqual(await drops(nodes, [row('one', 'read', 1000), row('two', 'getattr')]), []);
    assert.deepEqual(await drops(nodes, [row('one', 'getattr'), row('two', 'getattr')]), [
      ['two', 'stat', null, 1000],
    ]);
  });
});

describe('a treemap', () => {
  const overlap = (a: Rectangle, b: Rectangle): boolean =>
    a.x + a.width > b.x + 1e-6 &&
    b.x + b.width > a.x + 1e-6 &&
    a.y + a.height > b.y + 1e-6 &&
    b.y + b.height > a.y + 1e-6;

  it('has areas as the weights, fills its own, and no long strips', () => {
    // The example of Bruls, Huizing and van Wijk.
    const weights = [6, 6, 4, 3, 2, 2, 1];
    const found = squarify(weights, { x: 0, y: 0, width: 6, height: 4 });
    found.forEach(({ width, height }, index) => {
      assert.ok(Math.abs(width * height - (weights[index] ?? 0)) < 1e-9);
      assert.ok(Math.max(width / height, height / width) < 3);
    });
    assert.deepEqual(found[0], { x: 0, y: 0, width: 3, height: 2 });
    for (const [index, one] of found.entries())
      for (const other of found.slice(index + 1)) assert.ok(!overlap(one, other));
    assert.deepEqual(squarify([], { x: 0, y: 0, width: 1, height: 1 }), []);
    assert.deepEqual(squarify([0, 0], { x: 0, y: 0, width: 1, height: 1 }), []);
  });

  it('keeps everything within its directory, and puts what is small together', async () => {
    const nodes: Record<string, Node> = {
      'big/file': plain(9_000_000),
      'big/other': plain(500_000),
    };
    for (let i = 0; i < 500; i++) nodes[`many/${i}`] = plain(1);
    const { sizes } = await weigh(
      nodes,
      Object.keys(nodes).map((path) => row(path, 'read')),
    );
    const area = { x: 0, y: 0, width: 1200, height: 700 };
    const tiles = treemap(sizes.items, area);
    assert.ok(tiles.length < 500);
    assert.equal(tiles.find(({ others }) => others > 0)?.path.toString(), 'many');
    const within = (inner: Rectangle, outer: Rectangle): boolean =>
      inner.x >= outer.x - 1e-6 &&
      inner.y >= outer.y - 1e-6 &&
      inner.x + inner.width <= outer.x + outer.width + 1e-6 &&
      inner.y + inner.height <= outer.y + outer.height + 1e-6;
    const big = tiles.find(({ path }) => path.toString() === 'big');
    assert.ok(big !== undefined);
    for (const tile of tiles) {
      assert.ok(within(tile, area));
      if (tile.path.toString().startsWith('big/')) assert.ok(within(tile, big));
    }
    assert.deepEqual(treemap(sizes.items.toReversed(), area), tiles);
  });
});
