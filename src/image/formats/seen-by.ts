/**
 * Which sessions used each file, and how that is known. Owns how rows of one file go together.
 */
import type { ImagePlan, SeenBy, SessionFile } from '../plan-types.ts';
import { fromBytes, Resolver } from '../resolve.ts';
import type { Tree } from '../tree.ts';

/**
 * By path without links. Throws what the tree throws.
 * @param plan of these files, and of this tree
 */
export function seenByOf(
  files: readonly SessionFile[],
  { plan, tree }: { readonly plan: Pick<ImagePlan, 'links'>; readonly tree: Tree },
): ReadonlyMap<string, SeenBy> {
  const resolver = new Resolver(tree, plan.links);
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
