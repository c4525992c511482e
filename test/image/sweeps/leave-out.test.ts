/** What a sweep takes out of an image, and what stays. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { operationBit, type Operation } from '../../../src/common/words.ts';
import { type ImagePlan, planImage, type PlanOptions } from '../../../src/image/plan.ts';
import { MemoryTree, type Node } from '../memory-tree.ts';

const INIT: Node = { type: 'file', mode: 0o755, size: 3 };

/** Path → what was done to it; with a number, only that sweep did. */
type Used = Readonly<Record<string, readonly [Operation, number?]>>;

function plan(
  nodes: Readonly<Record<string, Node>>,
  used: Used,
  more: Partial<PlanOptions> = {},
): Promise<ImagePlan> {
  return planImage({
    tree: new MemoryTree({ init: INIT, ...nodes }),
    files: Object.entries(used).map(([path, [operation, sweep]]) => ({
      path: Buffer.from(path),
      operations: operationBit(operation),
      ...(sweep !== undefined && { sweep }),
    })),
    mountPoints: [],
    devices: [],
    ...more,
  });
}

const paths = ({ entries }: ImagePlan): string[] =>
  entries.map(({ path }) => path.toString()).filter((path) => path !== '' && path !== 'init');
const left = ({ leftOut }: ImagePlan): string[] =>
  leftOut.map(({ path, why }) => `${path.toString()} ${why}`);
const told = ({ sweptOut }: ImagePlan): unknown[] =>
  [...sweptOut].map(([sweep, { paths: count, bytes }]) => [sweep, count, bytes]);

const NODES: Readonly<Record<string, Node>> = {
  'etc/used': 'used',
  'etc/swept': 'four',
  'usr/lib/lib.so.1.0': 'library',
  'usr/lib/lib.so.1': { to: 'lib.so.1.0' },
  'usr/lib/other.so': { to: 'other.so.1' },
  'usr/lib/other.so.1': 'other',
  'usr/share/doc/page': 'page',
};
const USED: Used = {
  etc: ['readdir', 0],
  'etc/used': ['read'],
  'etc/swept': ['read', 0],
  'usr/lib/lib.so.1.0': ['read'],
  'usr/lib/lib.so.1': ['readlink', 0],
  'usr/lib/other.so': ['readlink', 0],
  'usr/share/doc': ['readdir', 0],
  'usr/share/doc/page': ['read', 1],
  gone: ['read', 0],
};

describe('what only a sweep touched', () => {
  it('is left out and told, but for what something else wants', async () => {
    const image = await plan(NODES, USED);
    assert.deepEqual(paths(image), [
      'etc',
      'etc/used',
      'usr',
      'usr/lib',
      'usr/lib/lib.so.1',
      'usr/lib/lib.so.1.0',
    ]);
    assert.deepEqual(left(image), [
      'etc/swept sweep',
      'usr/lib/other.so sweep',
      'usr/share/doc sweep',
      'usr/share/doc/page sweep',
    ]);
    assert.deepEqual(told(image), [
      [0, 3, 4],
      [1, 1, 4],
    ]);
    assert.deepEqual(image.drift, []);
  });

  it('stays if a person wants it', async () => {
    const kept = await plan(NODES, USED, { keepSweeps: true });
    assert.ok(paths(kept).includes('usr/share/doc/page'));
    assert.ok(paths(kept).includes('usr/lib/other.so.1'));
    assert.deepEqual([left(kept), told(kept)], [[], []]);
    assert.deepEqual(
      kept.drift.map(({ path }) => path.toString()),
      ['gone'],
    );
    const rules = [{ include: true, glob: '/usr/share/doc/' }];
    const ruled = await plan(NODES, USED, { rules });
    assert.ok(paths(ruled).includes('usr/share/doc/page'));
    assert.deepEqual(told(ruled), [[0, 2, 4]]);
  });

  it('is a matter of a rule first', async () => {
    const rules = [{ include: false, glob: '/usr/share/' }];
    const image = await plan(NODES, USED, { rules });
    assert.ok(left(image).includes('usr/share/doc/page rule'));
    assert.equal(image.rules[0]?.files, 2);
    assert.deepEqual(told(image), [[0, 2, 4]]);
  });

  it('is none by one of its names alone', async () => {
    const image = await plan(
      { 'usr/x': 'x', lib: { to: 'usr' } },
      { 'lib/x': ['read', 0], 'usr/x': ['read'] },
    );
    assert.deepEqual(paths(image), ['lib', 'usr', 'usr/x']);
  });
});
