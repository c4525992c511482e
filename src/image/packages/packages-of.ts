/**
 * The packages of an image's entries. Owns which entries can belong to one: directories belong to
 * many, and what the root does not have to none.
 */
import type { PlanEntry } from '../plan-types.ts';
import { fromBytes, Resolver } from '../resolve.ts';
import type { Tree } from '../tree.ts';
import { findPackages, type PackagesFound } from './find-packages.ts';

/** Throws what the tree throws. */
export async function packagesOf(
  entries: readonly PlanEntry[],
  tree: Tree,
): Promise<PackagesFound> {
  const resolver = new Resolver(tree, await tree.symlinks());
  const mayBelong = entries.filter(({ type, stat }) => type !== 'directory' && stat !== null);
  const paths = new Set(mayBelong.map(({ path }) => fromBytes(path)));
  return findPackages({ tree, resolver, paths });
}
