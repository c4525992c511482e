/**
 * What a root was at one moment: every name with what lstat said, targets of links, extended
 * attributes, and which blob holds the content, where one does. Owns the walk. Must not read the
 * content of files.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { TraceError } from '../common/errors.ts';
import type { NativeTree } from '../fanotify-ts/tree.ts';
import type { TreeStat } from '../image/tree.ts';

export interface RecordedObject {
  stat: TreeStat;
  /** Of a symbolic link. */
  readonly target: Buffer | null;
  /** Null where they could not be asked for. */
  readonly attributes: ReadonlyMap<string, Buffer | null> | null;
  /** SHA-256 of a file's content, if it is kept. */
  blob: string | null;
}

/** By path, a byte string; in bytewise order. */
export type RootRecord = Map<string, RecordedObject>;

export const NO_ATTRIBUTES: ReadonlyMap<string, Buffer | null> = new Map();
/** Whoever may write to a root may fill it; this is some 350 MB of memory. */
const MOST_OBJECTS = 500_000;
const MOST_ATTRIBUTE_BYTES = 64 << 20;
/** PATH_MAX: longer ones no client can name, and no archive holds. */
const MOST_PATH = 4096;
/** Others have their turn after so many. */
const AT_ONCE = 256;

/** Throws what the tree throws, and `root-too-large`. */
export async function recordRoot(tree: NativeTree, signal?: AbortSignal): Promise<RootRecord> {
  const found: [string, RecordedObject][] = [];
  const waiting = [''];
  let attributeBytes = 0;
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const object = look(tree, Buffer.from(path, 'latin1'));
    if (object === null) continue;
    found.push([path, object]);
    for (const value of object.attributes?.values() ?? []) attributeBytes += value?.length ?? 0;
    if (found.length > MOST_OBJECTS || attributeBytes > MOST_ATTRIBUTE_BYTES) throw tooLarge(tree);
    if (object.stat.type === 'directory' && !object.stat.foreign)
      for (const name of tree.list(Buffer.from(path, 'latin1'))) {
        const below = path === '' ? name.toString('latin1') : `${path}/${name.toString('latin1')}`;
        if (below.length < MOST_PATH) waiting.push(below);
      }
    if (found.length % AT_ONCE === 0) {
      signal?.throwIfAborted();
      await turn();
    }
  }
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Null for what went away meanwhile. */
function look(tree: NativeTree, path: Buffer): RecordedObject | null {
  const stat = tree.lstat(path);
  if (stat === null) return null;
  try {
    const target = stat.type === 'symlink' ? tree.readlink(path) : null;
    return { stat, target, attributes: attributesOf(tree, path, stat), blob: null };
  } catch (error) {
    if (isGone(error)) return null;
    throw error;
  }
}

function attributesOf(
  tree: NativeTree,
  path: Buffer,
  { foreign }: TreeStat,
): RecordedObject['attributes'] {
  if (foreign) return NO_ATTRIBUTES;
  let names: string[];
  try {
    names = tree.attributes(path);
  } catch (error) {
    // Without /proc none can be read, and no image has any.
    if (isGone(error) && tree.lstat(path) !== null) return null;
    throw error;
  }
  // trusted.* is the file system's own, and no image asks for it.
  const own = names.filter((name) => !name.startsWith('trusted.'));
  if (own.length === 0) return NO_ATTRIBUTES;
  return new Map(own.map((name) => [name, tree.attribute(path, name)]));
}

function isGone(error: unknown): boolean {
  return error instanceof TraceError && error.code === 'not-in-root';
}

function tooLarge(tree: NativeTree): TraceError {
  return new TraceError({
    code: 'root-too-large',
    message: `the root ${tree.path.toString()} has over ${MOST_OBJECTS} names, or over 64 MiB of attributes`,
    hint: 'record a smaller tree; or export now, and keep the image',
    exit: 'data',
  });
}
