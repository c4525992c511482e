/**
 * A recorded root as a tree, so that plans are made from it as from the root itself. Owns how it
 * answers. Must not know where content is.
 */
import { TraceError } from '../common/errors.ts';
import type { Tree, TreeLink, TreeStat } from '../image/tree.ts';
import type { RecordedObject } from './root-record.ts';

/** Bytes of a regular file's content, as {@link Tree.read}. */
export type ReadContent = (path: Buffer, offset: number, length: number) => Buffer;

export class RecordedTree implements Tree {
  readonly #record: ReadonlyMap<string, RecordedObject>;
  readonly #read: ReadContent;
  #names: ReadonlyMap<string, readonly Buffer[]> | null = null;

  constructor(record: ReadonlyMap<string, RecordedObject>, read: ReadContent) {
    this.#record = record;
    this.#read = read;
  }

  lstat(path: Buffer): TreeStat | null {
    return this.#record.get(path.toString('latin1'))?.stat ?? null;
  }

  readlink(path: Buffer): Buffer {
    return this.#object(path, 'symlink').target ?? Buffer.alloc(0);
  }

  list(path: Buffer): Buffer[] {
    this.#object(path, 'directory');
    this.#names ??= namesOf(this.#record);
    return [...(this.#names.get(path.toString('latin1')) ?? [])];
  }

  read(path: Buffer, offset: number, length: number): Buffer {
    const { size } = this.#object(path, 'file').stat;
    const end = Math.min(offset + length, size);
    return end <= offset ? Buffer.alloc(0) : this.#read(path, offset, end - offset);
  }

  attributes(path: Buffer): string[] {
    const { attributes } = this.#object(path);
    if (attributes === null) throw notThere(path);
    return [...attributes.keys()];
  }

  attribute(path: Buffer, name: string): Buffer | null {
    return this.#object(path).attributes?.get(name) ?? null;
  }

  symlinks(): Promise<readonly TreeLink[]> {
    const links: TreeLink[] = [];
    for (const [path, { target }] of this.#record)
      if (target !== null) links.push({ path: Buffer.from(path, 'latin1'), target });
    return Promise.resolve(links);
  }

  #object(path: Buffer, type?: TreeStat['type']): RecordedObject {
    const object = this.#record.get(path.toString('latin1'));
    if (object === undefined || (type !== undefined && object.stat.type !== type))
      throw notThere(path);
    return object;
  }
}

/** As the native tree tells it. */
function notThere(path: Buffer): TraceError {
  return new TraceError({
    code: 'not-in-root',
    message: `cannot look at ${path.toString()} in the recorded root: it is not there`,
    exit: 'notFound',
  });
}

/** Names by directory, in bytewise order as the paths are. */
function namesOf(
  record: ReadonlyMap<string, RecordedObject>,
): ReadonlyMap<string, readonly Buffer[]> {
  const names = new Map<string, Buffer[]>();
  for (const path of record.keys()) {
    if (path === '') continue;
    const slash = path.lastIndexOf('/');
    const directory = slash < 0 ? '' : path.slice(0, slash);
    const name = Buffer.from(path.slice(slash + 1), 'latin1');
    const others = names.get(directory);
    if (others === undefined) names.set(directory, [name]);
    else others.push(name);
  }
  return names;
}
