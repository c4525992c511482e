/**
 * Tells mount points that nothing can be mounted on when the image boots. Owns what makes one
 * usable. Must not know which init mounts there.
 */
import type { Closure } from './closure.ts';
import type { Problem } from './plan-types.ts';
import type { Resolver } from './resolve.ts';
import type { TableNode } from './tables.ts';

export interface MountPointCheck {
  readonly nodes: readonly TableNode[];
  readonly resolver: Resolver;
  readonly closure: Closure;
  readonly problems: Problem[];
}

/** Once nothing more comes in, since where a link leads is a matter of the image, not of the root. */
export function checkMountPoints({ nodes, resolver, closure, problems }: MountPointCheck): void {
  for (const { path: name } of nodes) {
    const { path } = resolver.resolve('', name, false);
    const draft = path === null ? undefined : closure.drafts.get(path);
    // No place for it, which is told already; or the table's own.
    if (path === null || draft?.stat == null || draft.stat.type === 'directory') continue;
    const isLink = draft.stat.type === 'symlink';
    const end = isLink ? resolver.follow(path).path : null;
    if (end !== null && (isDirectory(end, closure) || isMadeAtRunTime(end, nodes))) continue;
    problems.push({
      code: 'odd-mount-point',
      message: isLink
        ? `/${name} of the root is a link that leads to no directory of the image`
        : `/${name} of the root is not a directory`,
      hint: 'nothing can be mounted there when the image boots; make it a directory in the root',
    });
  }
}

function isDirectory(path: string, { drafts }: Closure): boolean {
  const draft = drafts.get(path);
  return (draft?.stat ?? draft?.node)?.type === 'directory';
}

/** Below what is mounted first: /dev/shm is a link to /run/shm in roots of Debian. */
function isMadeAtRunTime(path: string, nodes: readonly TableNode[]): boolean {
  return nodes.some((node) => path.startsWith(`${node.path}/`));
}
