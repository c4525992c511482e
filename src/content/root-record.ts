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
/** Whoever may write to a root may fill it. */
export interface RootBounds {
  /** Each is some 700 bytes of memory. */
  readonly names: number;
  /** Of paths and of targets of links. */
  readonly pathBytes: number;
  readonly attributeBytes: number;
}

const BOUNDS: RootBounds = { names: 500_000, pathBytes: 128 << 20, attributeBytes: 64 << 20 };
/** PATH_MAX: longer ones no client can name, and no archive holds. */
const MOST_PATH = 4096;
/** Others have their turn after so many. */
const AT_ONCE = 256;

export interface RecordOptions {
  readonly signal?: AbortSignal | undefined;
  /** For tests, whose roots are small. */
  readonly bounds?: RootBounds | undefined;
}

/** Throws what the tree throws, `root-too-large`, or the signal's reason. */
export async function recordRoot(
  tree: NativeTree,
  { signal, bounds = BOUNDS }: RecordOptions = {},
): Promise<RootRecord> {
  const found: [string, RecordedObject][] = [];
  const waiting = [''];
  let pathBytes = 0;
  let attributeBytes = 0;
  for (let path = waiting.pop(); path !== undefined; path = waiting.pop()) {
    const object = recordObject(tree, Buffer.from(path, 'latin1'));
    if (object === null) continue;
    found.push([path, object]);
    pathBytes += object.target?.length ?? 0;
    for (const [name, value] of object.attributes ?? [])
      attributeBytes += name.length + (value?.length ?? 0);
    if (object.stat.type === 'directory' && !object.stat.foreign)
      for (const name of namesIn(tree, path, bounds.names - found.length - waiting.length)) {
        const below = path === '' ? name.toString('latin1') : `${path}/${name.toString('latin1')}`;
        if (below.length >= MOST_PATH) continue;
        waiting.push(below);
        pathBytes += below.length;
        if (pathBytes > bounds.pathBytes) break;
      }
    if (pathBytes > bounds.pathBytes) throw tooLarge(tree.path, 'too many bytes of paths');
    if (attributeBytes > bounds.attributeBytes)
      throw tooLarge(tree.path, 'too many bytes of attributes');
    if (found.length % AT_ONCE === 0) {
      signal?.throwIfAborted();
      await turn();
    }
  }
  return new Map(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** No more than there is room for: whoever may write to a directory may put millions into it. */
function namesIn(tree: NativeTree, path: string, most: number): Buffer[] {
  try {
    return tree.list(Buffer.from(path, 'latin1'), most);
  } catch (error) {
    if (!(error instanceof TraceError) || error.code !== 'too-many-names') throw error;
    throw tooLarge(tree.path, 'too many names', error);
  }
}

/** What is at a path now; null for what is not there, or went away meanwhile. */
export function recordObject(tree: NativeTree, path: Buffer): RecordedObject | null {
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

export function tooLarge(root: Buffer, what: string, cause?: unknown): TraceError {
  return new TraceError({
    code: 'root-too-large',
    message: `the root ${root.toString()} has ${what} for a snapshot`,
    hint: 'record a smaller tree; or export now, and keep the image',
    exit: 'data',
    cause,
  });
}
