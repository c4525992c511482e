/** Links in paths of any length, from a hostile root. */
import assert from 'node:assert/strict';
import { it } from 'node:test';

import { RootFiles } from '../../src/image/needs/root-files.ts';
import { Resolver } from '../../src/image/resolve.ts';
import { MemoryTree } from './memory-tree.ts';

const tree = new MemoryTree({ 'usr/lib/x': 'x', lib: { to: 'usr/lib' } });
const resolver = new Resolver(tree, await tree.symlinks());
const DEEP = `${'a/'.repeat(40_000)}a`;

it('a path has any number of parts', () => {
  assert.deepEqual(resolver.resolve('', DEEP, true), { path: DEEP, through: [] });
  const behind = resolver.resolve('', `lib/${DEEP}`, true);
  assert.deepEqual(behind, { path: `usr/lib/${DEEP}`, through: ['lib'] });
  assert.deepEqual(resolver.resolve('', `lib/${DEEP}`, true), behind);
});

it('one that no client could open is not looked for', () => {
  const files = new RootFiles(resolver, tree);
  assert.equal(files.find(`${'./'.repeat(2044)}lib/x`)?.path, 'usr/lib/x');
  assert.equal(files.find(`${'./'.repeat(2046)}lib/x`), null);
});
