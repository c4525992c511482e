/**
 * Content that an earlier snapshot of a root has already read: a file that is the same object with
 * the same times need not be read again. Owns when that is believed. Must not read files of a root.
 */
import type { TreeStat } from '../image/tree.ts';
import { TraceError } from '../common/errors.ts';
import type { Snapshots } from './snapshots.ts';

/**
 * What was written this shortly before it was looked at may have been written to again without
 * another ctime: a kernel's clock for files ticks every 4 to 10 ms, some file systems' every 2 s.
 */
const TICK_US = 2_000_000;

export class KnownContent {
  readonly #hashes: ReadonlyMap<string, string>;

  private constructor(hashes: ReadonlyMap<string, string>) {
    this.#hashes = hashes;
  }

  /** By the newest sound snapshot of the root. */
  static async of(snapshots: Snapshots, root: Buffer): Promise<KnownContent> {
    const path = root.toString('base64');
    for (const { expression, head } of await snapshots.list()) {
      if (head?.root !== path) continue;
      try {
        return new KnownContent(await hashesOf(snapshots.kept(expression), head.atUs));
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
  atUs: number,
): Promise<ReadonlyMap<string, string>> {
  const hashes = new Map<string, string>();
  for await (const { stat, blob } of kept)
    if (stat.ctime * 1e6 < atUs - TICK_US) hashes.set(identityOf(stat), blob);
  return hashes;
}

/** ctime cannot be set, and changes with every write. */
function identityOf({ dev, ino, size, mtime, mtimeNsec, ctime, ctimeNsec }: TreeStat): string {
  return [dev, ino, size, mtime, mtimeNsec, ctime, ctimeNsec].join();
}
