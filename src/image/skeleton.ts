/**
 * Puts in what every boot needs: the tables' device nodes and mount points, and /init. Owns how
 * they meet what the root has. Must not know sessions or the archive.
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

/** The kernel runs /init of an initramfs, and nothing else without rdinit= on its command line. */
export function addInit(resolver: Resolver, closure: Closure, problems: Problem[]): void {
  const { path, through } = resolver.resolve('', 'init', true);
  const stat = path === null ? null : resolver.lstat(path);
  const present = resolver.lstat('init') !== null;
  if (path === null || stat === null) {
    const hasSbin = resolver.resolve('', 'sbin/init', true).path;
    const other = hasSbin !== null && resolver.lstat(hasSbin) !== null;
    problems.push({
      code: present ? 'init-dangling' : 'no-init',
      message: present
        ? '/init of the root is a link that leads nowhere'
        : 'the root has no /init, so the kernel will not use the image as its root',
      hint: other
        ? 'put an executable /init into the root, or boot the image with rdinit=/sbin/init'
        : 'put an executable /init into the root',
    });
    if (!present) return;
  } else if (stat.type !== 'file' || (stat.mode & 0o111) === 0)
    problems.push({
      code: 'init-not-executable',
      message: '/init of the root is not an executable file',
      hint: 'chmod 755 it in the root',
    });
  for (const link of through) closure.add(link, { kind: 'init', about: null });
  if (path !== null) closure.add(path, { kind: 'init', about: null });
}
