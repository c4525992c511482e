/**
 * SHA-256 of files of an image, through the archive's own safe reading. Must not know what the
 * hashes are for.
 */
import { createHash } from '../../common/hashing.ts';
import type { ArchiveWindow } from '../../fanotify-ts/archive-window.ts';
import { hasData, recordLength, recordName } from '../archive.ts';
import { headerLength } from '../cpio.ts';
import type { PlanEntry } from '../plan-types.ts';

export interface HashOptions {
  /** All of the image, in its order. */
  readonly entries: readonly PlanEntry[];
  readonly window: Pick<ArchiveWindow, 'read'>;
  /** Which files are read; all without it. */
  readonly wanted?: (entry: PlanEntry) => boolean;
}

const PIECE = 4 << 20;
const NOTHING = createHash('sha256').digest('hex');

/**
 * Reads each wanted file once and throws as the window does.
 * @returns the hash of any wanted file, also by a name whose data is with another one
 */
export async function hashFiles({
  entries,
  window,
  wanted = () => true,
}: HashOptions): Promise<(entry: PlanEntry) => string> {
  const holders = dataHolders(entries);
  const holderOf = (entry: PlanEntry) =>
    entry.carriesData ? entry : (holders.get(entry.inode) ?? entry);
  const asked = new Set(
    entries.filter((entry) => entry.type === 'file' && wanted(entry)).map(holderOf),
  );
  const hashes = new Map<PlanEntry, string>();
  let start = 0;
  for (const entry of entries) {
    const end = start + recordLength(entry);
    if (asked.has(entry)) {
      const hash = createHash('sha256');
      if (entry.content !== null) hash.update(entry.content);
      else if (hasData(entry)) {
        const from = start + headerLength(recordName(entry).length);
        for (let at = 0; at < entry.size; at += PIECE)
          hash.update(await window.read(from + at, Math.min(PIECE, entry.size - at)));
      }
      hashes.set(entry, hash.digest('hex'));
    }
    start = end;
  }
  return (entry) => hashes.get(holderOf(entry)) ?? NOTHING;
}

/** Of files with several names, by inode: the one whose record has the data. */
export function dataHolders(entries: readonly PlanEntry[]): ReadonlyMap<number, PlanEntry> {
  const holders = new Map<number, PlanEntry>();
  for (const entry of entries)
    if (entry.type === 'file' && entry.nlink > 1 && entry.carriesData)
      holders.set(entry.inode, entry);
  return holders;
}
