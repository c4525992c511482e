/**
 * What two unpacked images differ in. Owns what is compared; pure. What only the kernel brings along is
 * in neither.
 */
import type { KernelTree, TreeNode } from './kernel-tree.ts';

const ASPECTS = [
  'type',
  'mode',
  'uid',
  'gid',
  'content',
  'target',
  'device',
  'links',
  'mtime',
] as const;
export type Aspect = (typeof ASPECTS)[number];

export interface Difference {
  /** A byte string; the root is ''. */
  readonly path: string;
  readonly what: 'removed' | 'added' | 'changed';
  /** Empty but for what changed. */
  readonly changed: readonly Aspect[];
}

/** In bytewise order of the paths. Files need their contents. */
export function* diffTrees(
  first: KernelTree,
  second: KernelTree,
  { times }: { readonly times: boolean },
): Generator<Difference> {
  const [a, b] = [own(first), own(second)];
  const paths = [...new Set([...a.keys(), ...b.keys()])].sort();
  for (const path of paths) {
    const [one, other] = [a.get(path), b.get(path)];
    if (one === undefined) yield { path, what: 'added', changed: [] };
    else if (other === undefined) yield { path, what: 'removed', changed: [] };
    else {
      const changed = aspectsOf(one, other).filter((aspect) => times || aspect !== 'mtime');
      if (changed.length > 0) yield { path, what: 'changed', changed };
    }
  }
}

function own(tree: KernelTree): Map<string, TreeNode> {
  return new Map([...tree.entries()].filter(([, { builtIn }]) => !builtIn));
}

function haveSameContent({ content: one }: TreeNode, { content: other }: TreeNode): boolean {
  return one === null || other === null ? one === other : one.equals(other);
}

function aspectsOf(one: TreeNode, other: TreeNode): Aspect[] {
  if (one.type !== other.type) return ['type'];
  const differs: Readonly<Record<Aspect, boolean>> = {
    type: false,
    mode: one.mode !== other.mode,
    uid: one.uid !== other.uid,
    gid: one.gid !== other.gid,
    content: !haveSameContent(one, other),
    target: one.target !== other.target,
    device: one.rdevMajor !== other.rdevMajor || one.rdevMinor !== other.rdevMinor,
    links: one.links !== other.links,
    mtime: one.mtime !== other.mtime,
  };
  return ASPECTS.filter((aspect) => differs[aspect]);
}
