/**
 * Files whose data lies elsewhere than in the tree that a plan was made from: where an archive then
 * finds it. Must not know who stores them, or how.
 */
import { ARCHIVE_FILE_FIELDS, type ArchiveContent } from '../fanotify-ts/archive-content.ts';
import { type EncodedArchive, hasData } from './archive.ts';
import type { ImagePlan } from './plan-types.ts';
import type { Tree, TreeStat } from './tree.ts';

export interface StoredFiles {
  /** The tree that the plan was made from. */
  readonly planned: Tree;
  /** Where the data of a regular file of it lies in the tree that is read, and what it is there. */
  locate(path: Buffer): StoredFile;
}

export interface StoredFile {
  readonly path: Buffer;
  readonly stat: TreeStat;
}

/** What the addon is to read for an archive: its files' data where it is stored, if it is. */
export function contentOf(
  {
    plan,
    stored,
  }: { readonly plan: Pick<ImagePlan, 'entries'>; readonly stored?: StoredFiles | undefined },
  archive: EncodedArchive,
): ArchiveContent {
  if (stored === undefined) return archive;
  const { head, files } = archive;
  const places = plan.entries.filter(hasData).map(({ path }) => stored.locate(path));
  const moved = Float64Array.from(files);
  let start = 0;
  for (const [index, { path, stat }] of places.entries()) {
    const { dev, ino, mtime, mtimeNsec, ctime, ctimeNsec } = stat;
    const at = index * ARCHIVE_FILE_FIELDS;
    moved.set([start, path.length], at + 1);
    moved.set([dev, Number(ino), mtime, mtimeNsec, ctime, ctimeNsec], at + 4);
    start += path.length;
  }
  return { head, files: moved, names: Buffer.concat(places.map(({ path }) => path)) };
}
