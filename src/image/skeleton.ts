/**
 * Puts in what every boot needs: the tables' device nodes and mount points. Owns how they
 * meet what the root has. Must not know sessions or the archive.
 */
import type { Closure, DraftReason, ReasonKind } from './closure.ts';
import type { Problem } from './plan-types.ts';
import { parentOf, type Resolver } from './resolve.ts';
import type { TableNode } from './tables.ts';

export interface TableUse {
  readonly nodes: readonly TableNode[];
  readonly kind: ReasonKind;
  readonly resolver: Resolver;
  readonly closure: Closure;
  readonly problems: Problem[];
}

/** Adds each node that the root lacks; keeps the root's own where it has something. */
export function addTable({ nodes, kind, resolver, closure, problems }: TableUse): void {
  const reason: DraftReason = { kind, about: null };
  for (const node of nodes) {
    const { path, through } = resolver.resolve('', node.path, false);
    if (path === null || !hasPlace(path, resolver)) {
      problems.push({
        code: 'no-place',
        message: `/${node.path} cannot be made: its directory in the root is not a directory`,
        hint: 'mend the root; the image lacks it until then',
      });
      continue;
    }
    for (const link of through) closure.add(link, { kind: 'way-to', about: path });
    if (closure.add(path, reason) !== 'in') closure.addNode(path, node, reason);
    const stat = resolver.lstat(path);
    if (
      node.type === 'character' &&
      stat !== null &&
      (stat.type !== 'character' || stat.rdevMajor !== node.major || stat.rdevMinor !== node.minor)
    )
      problems.push({
        code: 'odd-device',
        message: `/${node.path} of the root is not the device ${node.major}:${node.minor}`,
        hint: 'the image has it as the root does; remove it there to get the usual node',
      });
  }
}

/** True when the nearest thing that exists above a path is a directory. */
function hasPlace(path: string, resolver: Resolver): boolean {
  let at = parentOf(path);
  while (at !== '' && resolver.lstat(at) === null) at = parentOf(at);
  return resolver.lstat(at)?.type === 'directory';
}
