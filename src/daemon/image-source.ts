/**
 * Where an image's root is read: where it was recorded, in another place, or as it was kept. Owns
 * the choice. Must not know plans.
 */
import type { RecordedSource } from '../content/recorded-source.ts';
import { NativeTree } from '../fanotify-ts/tree.ts';
import { FileIdentity } from '../image/identity.ts';
import type { Tree } from '../image/tree.ts';
import { WitnessedTree } from '../image/witnessed-tree.ts';
import type { SessionSet } from '../sessions/evaluate.ts';
import { mountsBelow } from './mounts-below.ts';

export interface ImageSource {
  /** What plans are made from. */
  readonly planned: Tree;
  /** What files are read through. */
  readonly tree: NativeTree;
  /** Of a root as it was kept. */
  readonly stored?: RecordedSource;
  /** Of a root as it is, where that was asked for. */
  readonly witness?: Witness;
}

export interface Witness {
  /** What plans are made from. */
  readonly tree: WitnessedTree;
  /** From before it was asked anything; and what was mounted in it then. */
  readonly identity: FileIdentity;
  readonly mounts: string;
}

export interface SourceChoice {
  readonly tree?: Buffer | undefined;
  readonly recorded?: string | undefined;
  /** Note what is asked of the root. */
  readonly witnessed?: { readonly settledSeconds?: number | undefined } | undefined;
}

/** Runs `use` with what a set of sessions is read from. */
export async function withSource<T>(
  { root, expression }: Pick<SessionSet, 'root' | 'expression'>,
  options: SourceChoice & { readonly mounts: readonly Buffer[] },
  use: (source: ImageSource) => Promise<T>,
): Promise<T> {
  const { recorded, mounts, witnessed } = options;
  if (recorded !== undefined) {
    // Only when it is needed: it takes as long to load as all else that an export does before it reads.
    const { RecordedSource } = await import('../content/recorded-source.ts');
    const stored = await RecordedSource.open({ folder: recorded, expression });
    try {
      return await use({ planned: stored.planned, tree: stored.files, stored });
    } finally {
      stored.close();
    }
  }
  const tree = NativeTree.open(options.tree ?? root, { mounts });
  try {
    const identity = witnessed && FileIdentity.now(tree, witnessed.settledSeconds);
    if (identity === undefined || identity === null) return await use({ planned: tree, tree });
    const planned = new WitnessedTree(tree);
    const witness = { tree: planned, identity, mounts: mountsBelow(tree.path) };
    return await use({ planned, tree, witness });
  } finally {
    tree.close();
  }
}
