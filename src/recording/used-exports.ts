/**
 * Which handles name the objects of a root: by which exports its file systems are reached.
 * Owns what is told to their indexes about it. Must not know where exports are listed.
 */
import type { ExportKey } from '../attribution/handle.ts';
import type { FileHandle } from '../common/batches.ts';
import type { Place } from './mounts.ts';
import { isWithin } from './paths.ts';
import type { Volume } from './volume.ts';

/** An export as it concerns a root. */
export interface UsedExport {
  readonly key: KeyBytes;
  /** Where the exported directory is. */
  readonly place: Place;
  readonly rootHandle: FileHandle;
  /** Its handles name a file's directory too, or nobody knows whether they do. */
  readonly subtreeCheck: boolean;
}

type KeyBytes = Pick<ExportKey, 'fsidType' | 'fsid'>;

/** The root directory of an export that has none here. */
const NO_HANDLE: FileHandle = { type: 0xff, bytes: Buffer.alloc(0) };

/**
 * The exports that file handles may name now. What an earlier call named stays known, since
 * clients go on using the handles that they have; only the handle of an export's root is another
 * directory's from the moment on that the export is.
 */
export function useExports(volumes: readonly Volume[], exports: readonly UsedExport[]): void {
  for (const { place, index } of volumes) {
    // By key, which can be one for several clients' directories; null: all of them are elsewhere.
    const here = new Map<string, UsedExport | null>();
    for (const used of exports) {
      const before = here.get(keyId(used.key)) ?? null;
      const meets = overlap(used.place, place);
      here.set(keyId(used.key), meets ? both(before, used, place) : before);
    }
    for (const old of index.exportKeys())
      if (here.get(keyId(old)) === null) index.addExportKey(old, { root: NO_HANDLE });
    for (const used of here.values()) {
      if (used === null) continue;
      index.addExportKey(used.key, {
        ...(used.place.inner.equals(place.inner) ? {} : { root: used.rootHandle }),
        withParents: used.subtreeCheck,
      });
    }
  }
}

/** Is one of these places a part of the other? */
export function overlap(a: Place, b: Place): boolean {
  return a.device === b.device && (isWithin(a.inner, b.inner) || isWithin(b.inner, a.inner));
}

function keyId({ fsidType, fsid }: KeyBytes): string {
  return `${fsidType}:${fsid.toString('latin1')}`;
}

/** Of two exports with one key that of the volume's own top: the key's own handle is that one's. */
function both(a: UsedExport | null, b: UsedExport, { inner }: Place): UsedExport {
  if (a === null) return b;
  const first = a.place.inner.equals(inner) ? a : b;
  return { ...first, subtreeCheck: a.subtreeCheck || b.subtreeCheck };
}
