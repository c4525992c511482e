/**
 * What the image room needs of a root. Owns only the interface: the native tree of
 * `fanotify-ts` is one, tests bring their own. Must not know how a root is reached.
 *
 * Paths are relative bytes without `.`, `..` or empty components; the empty path is the root
 * itself. No call follows a symbolic link anywhere in a path.
 */
import type { FileType, TreeLink, TreeStat } from '../fanotify-ts/tree.ts';

export type { FileType, TreeLink, TreeStat };

export interface Tree {
  /** Null when nothing of this root is at that path. */
  lstat(path: Buffer): TreeStat | null;
  readlink(path: Buffer): Buffer;
  /** Names in a directory, in bytewise order. */
  list(path: Buffer): Buffer[];
  /** Up to `length` bytes of a regular file from `offset`. */
  read(path: Buffer, offset: number, length: number): Buffer;
  /** Names of extended attributes. */
  attributes(path: Buffer): readonly string[];
  /** The value of one of them; null if it is there no more. */
  attribute(path: Buffer, name: string): Buffer | null;
  /** Every symbolic link of the root, in bytewise order of the paths. */
  symlinks(): Promise<readonly TreeLink[]>;
  /** The same tree, quick to ask about these paths, byte strings; where that makes a difference. */
  survey?(paths: readonly string[]): Promise<Tree>;
}
