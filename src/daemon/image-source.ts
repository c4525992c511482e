/**
 * Where an image's root is read: where it was recorded, in another place, or as it was kept. Owns
 * the choice. Must not know plans.
 */
import { RecordedSource } from '../content/recorded-source.ts';
import { NativeTree } from '../fanotify-ts/tree.ts';
import type { Tree } from '../image/tree.ts';
import type { SessionSet } from '../sessions/evaluate.ts';

export interface ImageSource {
  /** What plans are made from. */
  readonly planned: Tree;
  /** What files are read through. */
  readonly tree: NativeTree;
  /** Of a root as it was kept. */
  readonly stored?: RecordedSource;
}

export interface SourceChoice {
  readonly tree?: Buffer | undefined;
  readonly recorded?: string | undefined;
}

/** Runs `use` with what a set of sessions is read from. */
export async function withSource<T>(
  { root, expression }: Pick<SessionSet, 'root' | 'expression'>,
  options: SourceChoice & { readonly mounts: readonly Buffer[] },
  use: (source: ImageSource) => Promise<T>,
): Promise<T> {
  const { recorded, mounts } = options;
  if (recorded !== undefined) {
    const stored = await RecordedSource.open({ folder: recorded, expression });
    try {
      return await use({ planned: stored.planned, tree: stored.files, stored });
    } finally {
      stored.close();
    }
  }
  const tree = NativeTree.open(options.tree ?? root, { mounts });
  try {
    return await use({ planned: tree, tree });
  } finally {
    tree.close();
  }
}
