/**
 * Indexes of exports that no recorded root holds, so that a call elsewhere is told from one that was
 * lost. One index for all clients that an export is given to in the same way.
 * Owns these indexes. Must not know who exports what to whom.
 */
import { statfsSync } from 'node:fs';
import type { BatchTap } from '../capture/batch-tap.ts';
import type { ExportKey } from '../attribution/handle.ts';
import { TraceError } from '../common/errors.ts';
import { HandleIndex } from '../fanotify-ts/handle-index.ts';
import type { Place } from './mounts.ts';
import { asWalk } from './walks.ts';

/** An export with more inodes than this is not walked; calls to it stay unexplained. */
const LARGEST_WALK = 1_000_000;

/** What is asked of the index of an export that is not recorded. */
export type OutsideIndex = Pick<HandleIndex, 'walk' | 'idsOfHash' | 'prune' | 'close'>;

/** An export, by what decides which handles it gives out. */
export interface OutsideExport {
  readonly key: ExportKey;
  readonly place: Place;
  readonly subtreeCheck: boolean;
}

/** Gives the index of an export; null for what is too large to walk: calls there stay unexplained. */
export type OpenIndex = (found: Pick<OutsideExport, 'key' | 'subtreeCheck'>) => OutsideIndex | null;

interface Opened {
  readonly path: Buffer;
  readonly index: OutsideIndex;
}

export class OutsideExports {
  readonly #open: OpenIndex;
  readonly #indexes = new Map<string, Opened>();

  constructor(open: OpenIndex) {
    this.#open = open;
  }

  /** How many indexes there are. */
  get size(): number {
    return this.#indexes.size;
  }

  has(hash: number): boolean {
    for (const { index } of this.#indexes.values())
      if (index.idsOfHash(hash).length > 0) return true;
    return false;
  }

  /** Lets go of the indexes of all others. */
  keep(exports: readonly OutsideExport[]): void {
    if (this.#indexes.size === 0) return;
    const wanted = new Set(exports.map(idOf));
    for (const [id, { index }] of this.#indexes) {
      if (wanted.has(id)) continue;
      index.close();
      this.#indexes.delete(id);
    }
  }

  /** Indexes these exports, each once, or does it again. */
  async walk(exports: readonly OutsideExport[]): Promise<void> {
    const distinct = new Map(exports.map((found) => [idOf(found), found]));
    for (const [id, found] of distinct) {
      try {
        const index = this.#indexOf(id, found);
        if (index === null) continue;
        await asWalk(() => index.walk());
        index.prune();
      } catch (error) {
        // One that is gone, or can't be listed, explains nothing; the others still may.
        if (!(error instanceof TraceError)) throw error;
      }
    }
  }

  record(tap: BatchTap): void {
    for (const { path, index } of this.#indexes.values())
      if (index instanceof HandleIndex) tap.tree({ moment: 'outside', path }, index);
  }

  close(): void {
    this.keep([]);
  }

  #indexOf(id: string, found: OutsideExport): OutsideIndex | null {
    const known = this.#indexes.get(id);
    if (known !== undefined) return known.index;
    const index = this.#open(found);
    if (index !== null) this.#indexes.set(id, { path: found.key.path, index });
    return index;
  }
}

/** The index of an export of this machine. */
export function openOutsideIndex({
  key,
  subtreeCheck,
}: Pick<OutsideExport, 'key' | 'subtreeCheck'>): HandleIndex | null {
  const index = new HandleIndex({ root: key.path });
  // First, since it says in our own words when the directory is not there any more.
  index.open();
  const inodes = usedInodes(key.path);
  if (inodes === null || inodes > LARGEST_WALK) {
    index.close();
    return null;
  }
  index.addExportKey(key, { withParents: subtreeCheck });
  return index;
}

function idOf({ key, place, subtreeCheck }: OutsideExport): string {
  const { fsidType, fsid } = key;
  const inner = place.inner.toString('latin1');
  const parts = [place.device, fsidType, fsid.toString('hex'), subtreeCheck ? 'check' : '', inner];
  return parts.join(' ');
}

/** Null if the directory has gone meanwhile. */
function usedInodes(path: Buffer): number | null {
  try {
    const { files, ffree } = statfsSync(path);
    return files - ffree;
  } catch {
    return null;
  }
}
