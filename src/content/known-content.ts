/**
 * Content that an earlier snapshot of a root has already read: a file that is the same object with
 * the same times need not be read again. Owns when that is believed. Must not read files of a root.
 */
import type { TreeStat } from '../image/tree.ts';
import { TraceError } from '../common/errors.ts';
import type { Snapshots } from './snapshots.ts';

export class KnownContent {
  readonly #hashes: ReadonlyMap<string, string>;

  private constructor(hashes: ReadonlyMap<string, string>) {
    this.#hashes = hashes;
  }

  /**
   * By the newest sound snapshot of the root.
   * @param options.place where its files are the same ones, if that can be told
   * @param options.settledSeconds how old a change must have been then to show the next one
   */
  static async of(
    snapshots: Snapshots,
    options: {
      readonly root: Buffer;
      readonly place: string | null;
      readonly settledSeconds: number;
    },
  ): Promise<KnownContent> {
    const { root, place, settledSeconds } = options;
    const path = root.toString('base64');
    for (const { expression, head } of place === null ? [] : await snapshots.list()) {
      if (head?.root !== path || head.place !== place) continue;
      try {
        const before = head.atUs / 1e6 - settledSeconds;
        return new KnownContent(await hashesOf(snapshots.kept(expression), before));
      } catch (error) {
        if (!(error instanceof TraceError)) throw error;
      }
    }
    return new KnownContent(new Map());
  }

  /** The SHA-256 of a file's content, if it is known. */
  hashOf(stat: TreeStat): string | undefined {
    return this.#hashes.get(identityOf(stat));
  }
}

async function hashesOf(
  kept: ReturnType<Snapshots['kept']>,
  beforeSeconds: number,
): Promise<ReadonlyMap<string, string>> {
  const hashes = new Map<string, string>();
  for await (const { stat, blob } of kept)
    if (stat.ctime < beforeSeconds) hashes.set(identityOf(stat), blob);
  return hashes;
}

/** Of one object at one time: ctime cannot be set, and changes with every change. */
export function identityOf(stat: TreeStat): string {
  const { dev, ino, size, mtime, mtimeNsec, ctime, ctimeNsec } = stat;
  return [dev, ino, size, mtime, mtimeNsec, ctime, ctimeNsec].join();
}
