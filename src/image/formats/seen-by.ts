/**
 * Which sessions used each file, and how that is known. Owns how rows of one file go together.
 */
import type { SeenBy, SessionFile } from '../plan-types.ts';
import { fromBytes, Resolver } from '../resolve.ts';
import type { Tree } from '../tree.ts';

/** By path without links. Throws what the tree throws. */
export async function seenByOf(
  files: readonly SessionFile[],
  tree: Tree,
): Promise<ReadonlyMap<string, SeenBy>> {
  const resolver = new Resolver(tree, await tree.symlinks());
  const found = new Map<string, SeenBy>();
  for (const { path: recorded, seenBy } of files) {
    const { path } = resolver.resolve('', fromBytes(recorded), false);
    if (path === null || seenBy === undefined) continue;
    const { sessions, evidence } = found.get(path) ?? { sessions: [], evidence: [] };
    found.set(path, {
      sessions: [...new Set([...sessions, ...seenBy.sessions])].sort((a, b) => a - b),
      evidence: [...new Set([...evidence, ...seenBy.evidence])].sort(),
    });
  }
  return found;
}
