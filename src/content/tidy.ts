/**
 * Lets go of content that no snapshot refers to, and looks for damage. Owns what may be deleted.
 * Must not know why a snapshot is not wanted any more.
 */
import { TraceError } from '../common/errors.ts';
import { Blobs, type BlobCount } from './blobs.ts';
import type { ContentFolder } from './content-folder.ts';
import { Snapshots } from './snapshots.ts';

/**
 * The blobs that a snapshot refers to; null if it is damaged, as nobody knows then. Throws
 * `no-snapshot`, `content-unusable`.
 */
export async function blobsOf(
  folder: ContentFolder,
  expression: string,
): Promise<ReadonlySet<string> | null> {
  const own = new Set<string>();
  try {
    for await (const { blob } of new Snapshots(folder).kept(expression)) own.add(blob);
    return own;
  } catch (error) {
    if (error instanceof TraceError && error.code === 'snapshot-damaged') return null;
    throw error;
  }
}

/**
 * Removes blobs that no snapshot refers to. Throws `snapshot-damaged`, since nobody knows what a
 * damaged one refers to: it must be removed first.
 * @param among no others; null = all that there are
 */
export async function pruneBlobs(
  folder: ContentFolder,
  among: ReadonlySet<string> | null = null,
): Promise<BlobCount> {
  const snapshots = new Snapshots(folder);
  const wanted = new Set<string>();
  for (const expression of await snapshots.names())
    for await (const { blob } of snapshots.kept(expression)) wanted.add(blob);
  const blobs = new Blobs(folder);
  const removed = { blobs: 0, bytes: 0 };
  for await (const { hash, size } of blobs.all()) {
    if (wanted.has(hash) || among?.has(hash) === false) continue;
    await blobs.remove([hash]);
    removed.blobs++;
    removed.bytes += size;
  }
  return removed;
}

export interface CheckedContent extends BlobCount {
  /** Blobs that were not what they should be, and are gone now. */
  readonly damaged: number;
  readonly snapshots: readonly CheckedSnapshot[];
}

export interface CheckedSnapshot {
  readonly expression: string;
  /** The snapshot itself can be read. */
  readonly sound: boolean;
  /** Files whose content is not there any more. */
  readonly missing: number;
}

/** Reads everything. A damaged blob goes, so that the next snapshot takes the content in anew. */
export async function checkContent(folder: ContentFolder): Promise<CheckedContent> {
  const blobs = new Blobs(folder);
  const sound = new Set<string>();
  const sum = { blobs: 0, bytes: 0, damaged: 0 };
  for await (const { hash, size } of blobs.all()) {
    if (await blobs.isSound(hash)) {
      sound.add(hash);
      sum.blobs++;
      sum.bytes += size;
    } else {
      await blobs.remove([hash]);
      sum.damaged++;
    }
  }
  const snapshots = new Snapshots(folder);
  const checked: CheckedSnapshot[] = [];
  for (const expression of await snapshots.names()) {
    checked.push({ expression, ...(await lackOf(snapshots, expression, sound)) });
  }
  return { ...sum, snapshots: checked };
}

async function lackOf(
  snapshots: Snapshots,
  expression: string,
  sound: ReadonlySet<string>,
): Promise<Omit<CheckedSnapshot, 'expression'>> {
  let missing = 0;
  try {
    for await (const { blob } of snapshots.kept(expression)) missing += Number(!sound.has(blob));
    return { sound: true, missing };
  } catch (error) {
    if (error instanceof TraceError && error.code === 'snapshot-damaged')
      return { sound: false, missing };
    throw error;
  }
}
