/**
 * All that the bytes of an archive come from, as one hash, without reading the root's files. Owns
 * what belongs to that. Must not know what it is compared with.
 */
import { createHash } from '../common/hashing.ts';
import type { ArchiveContent } from '../fanotify-ts/archive-content.ts';
import type { Frame } from './compress/cut-frames.ts';
import type { FileIdentity } from './identity.ts';
import type { OuterParts } from './parts/outer-parts.ts';

/** Changes with the meaning of what is hashed. */
const VERSION = 'nfsroot-trace image 1';

export interface Sources {
  readonly archive: ArchiveContent;
  readonly identity: FileIdentity;
  readonly microcode: Buffer | null;
  /** What stands around the image. */
  readonly outer: OuterParts | undefined;
  /** Null for a plain archive: where it is cut, and the key of what compresses it. */
  readonly compressed: { readonly frames: readonly Frame[]; readonly by: string } | null;
}

/**
 * Null where a file of the archive may change without showing it. Throws what reading the outer parts
 * does.
 */
export async function hashSources(sources: Sources): Promise<string | null> {
  const { archive, identity, microcode, outer, compressed } = sources;
  const { head, files } = archive;
  if (!identity.isSettled(files)) return null;
  const hash = createHash('sha256').update(`${VERSION}\n`);
  // Each with its length, so that no bytes can pass from one to the next.
  const add = (bytes: Uint8Array): void => void hash.update(`${bytes.length}\n`).update(bytes);
  add(Buffer.from(identity.place));
  add(head);
  add(new Uint8Array(files.buffer, files.byteOffset, files.byteLength));
  add(microcode ?? Buffer.alloc(0));
  add(Buffer.from(compressed === null ? '' : compressed.by));
  add(Buffer.from((compressed?.frames ?? []).map(({ end }) => end).join(' ')));
  for (const pieces of [outer?.before(), outer?.after(0)]) {
    for await (const piece of pieces ?? []) add(piece);
    add(Buffer.alloc(0));
  }
  return hash.digest('hex');
}
