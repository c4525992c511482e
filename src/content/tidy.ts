/**
 * Lets go of content that no snapshot refers to, and looks for damage. Owns what may be deleted.
 * Must not know why a snapshot is not wanted any more.
 */
import { Blobs, type BlobCount } from './blobs.ts';
import type { ContentFolder } from './content-folder.ts';
import { Snapshots } from './snapshots.ts';

/**
 * Removes blobs that no snapshot refers to. Throws `snapshot-damaged`, since nobody knows what a
 * damaged one refers to: it must be removed first.
 */
export async function pruneBlobs(folder: ContentFolder): Promise<BlobCount> {
  const snapshots = new Snapshots(folder);
  const wanted = new Set<string>();
  for (const expression of await snapshots.names())
    for (const { blob } of (await snapshots.read(expression)).record.values())
      if (blob !== null) wanted.add(blob);
  const blobs = new Blobs(folder);
  const removed = { blobs: 0, bytes: 0 };
  for await (const { hash, size } of blobs.all()) {
    if (wanted.has(hash)) continue;
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
    const record = await snapshots.read(expression).then(
      (snapshot) => snapshot.record,
      () => null,
    );
    const lost = [...(record?.values() ?? [])].filter(
      ({ blob }) => blob !== null && !sound.has(blob),
    );
    checked.push({ expression, sound: record !== null, missing: lost.length });
  }
  return { ...sum, snapshots: checked };
}
