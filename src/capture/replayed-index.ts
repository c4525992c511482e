/**
 * The handle index of a tree that is not here any more: the real index, told what was recorded
 * instead of looking. Owns what the tree is at present; the first walk finds it as it was at the
 * beginning. Must not make system calls on the tree.
 */
import type { FileHandle } from '../common/batches.ts';
import {
  HandleIndex,
  type ExportKey,
  type IndexGrowth,
  type IndexSummary,
  type LearnEvent,
  type ObjectStat,
} from '../fanotify-ts/handle-index.ts';
import type { RecordedObject, RecordedTree } from './recorded-batches.ts';

interface Directory {
  readonly handle: FileHandle;
  /** By name in Latin-1. */
  readonly names: Map<string, RecordedObject>;
}

interface Tree {
  readonly directories: ReadonlyMap<string, Directory>;
  readonly objects: ReadonlyMap<string, RecordedObject>;
}

export class ReplayedIndex {
  readonly #index: HandleIndex;
  readonly #begin: RecordedTree;
  readonly #end: RecordedTree;
  #now: Tree;

  /** @param options.end the tree as it is from the first walk on */
  constructor(options: { readonly begin: RecordedTree; readonly end: RecordedTree }) {
    this.#begin = options.begin;
    this.#end = options.end;
    this.#now = treeOf(options.begin);
    const root = options.begin.objects.find(({ paths }) => paths[0]?.length === 0);
    if (root === undefined) throw new Error('the recorded tree has no root');
    this.#index = new HandleIndex({
      root: options.begin.path,
      told: { rootHandle: root.handle },
    });
  }

  open(): void {
    this.#index.open();
  }

  close(): void {
    this.#index.close();
  }

  async walk(): Promise<IndexSummary> {
    for (const { handle } of [...this.#now.directories.values()]) this.refreshDirectory(handle);
    // It finds nothing itself, but ends what counts as the first walk.
    const summary = await this.#index.walk();
    this.#now = treeOf(this.#end);
    const { objects, names } = this.#index.growth();
    return { ...summary, objects, names };
  }

  get objects(): number {
    return this.#index.objects;
  }

  refreshDirectory(handle: FileHandle): boolean {
    const directory = this.#now.directories.get(keyOf(handle));
    const id = this.#index.idOfHandle(handle);
    if (directory === undefined || id < 0) return false;
    const gone = this.#namesIn(id).filter((name) => !directory.names.has(name));
    return this.refreshNames(
      handle,
      [...gone, ...directory.names.keys()].map((name) => Buffer.from(name, 'latin1')),
    );
  }

  refreshNames(handle: FileHandle, names: readonly Buffer[]): boolean {
    const directory = this.#now.directories.get(keyOf(handle));
    if (directory === undefined || this.#index.idOfHandle(handle) < 0) return false;
    for (const name of names) {
      const found = directory.names.get(name.toString('latin1'));
      if (found === undefined) {
        this.#index.forget({ parent: handle, name });
        continue;
      }
      const isNew = this.#index.idOfHandle(found.handle) < 0;
      const { handle: object, directory: isDirectory } = found;
      this.#index.learn({ parent: handle, name, object, directory: isDirectory });
      if (isDirectory && isNew) this.refreshDirectory(object);
    }
    return true;
  }

  statOf(id: number): ObjectStat | null {
    return this.#now.objects.get(keyOf(this.#index.handleOf(id)))?.stat ?? null;
  }

  /** Nobody knows when the files were read. */
  accessedBetween(): ReturnType<HandleIndex['accessedBetween']> {
    return Promise.resolve([]);
  }

  addExportKey(key: ExportKey, options?: Parameters<HandleIndex['addExportKey']>[1]): void {
    this.#index.addExportKey(key, options);
  }

  exportKeys(): ExportKey[] {
    return this.#index.exportKeys();
  }

  idsOfHash(hash: number): number[] {
    return this.#index.idsOfHash(hash);
  }

  idOfHandle(handle: FileHandle): number {
    return this.#index.idOfHandle(handle);
  }

  handleOf(id: number): FileHandle {
    return this.#index.handleOf(id);
  }

  pathsOf(id: number): Buffer[] {
    return this.#index.pathsOf(id);
  }

  isGone(id: number): boolean {
    return this.#index.isGone(id);
  }

  childOf(id: number, name: Buffer): number {
    return this.#index.childOf(id, name);
  }

  isDirectory(id: number): boolean {
    return this.#index.isDirectory(id);
  }

  isLate(id: number): boolean {
    return this.#index.isLate(id);
  }

  learn(event: LearnEvent): boolean {
    return this.#index.learn(event);
  }

  takeChanged(): Uint32Array {
    return this.#index.takeChanged();
  }

  prune(): Uint32Array {
    return this.#index.prune();
  }

  growth(): IndexGrowth {
    return this.#index.growth();
  }

  /** Names that the index believes to be in a directory. */
  #namesIn(directory: number): string[] {
    const prefix = this.#index.pathsOf(directory)[0] ?? Buffer.alloc(0);
    const start = prefix.length === 0 ? '' : `${prefix.toString('latin1')}/`;
    const names: string[] = [];
    for (let id = 0; id < this.#index.objects; id++)
      for (const path of this.#index.isGone(id) ? [] : this.#index.pathsOf(id)) {
        const text = path.toString('latin1');
        const name = text.slice(start.length);
        if (text.startsWith(start) && name !== '' && !name.includes('/')) names.push(name);
      }
    return names;
  }
}

function treeOf({ objects }: RecordedTree): Tree {
  const byPath = new Map<string, Directory>();
  const directories = new Map<string, Directory>();
  for (const { handle, directory, paths } of objects) {
    if (!directory) continue;
    const entry = { handle, names: new Map<string, RecordedObject>() };
    directories.set(keyOf(handle), entry);
    for (const path of paths) byPath.set(path.toString('latin1'), entry);
  }
  for (const object of objects)
    for (const path of object.paths) {
      const text = path.toString('latin1');
      if (text === '') continue;
      const slash = text.lastIndexOf('/');
      const parent = byPath.get(slash < 0 ? '' : text.slice(0, slash));
      parent?.names.set(text.slice(slash + 1), object);
    }
  return {
    directories,
    objects: new Map(objects.map((object) => [keyOf(object.handle), object])),
  };
}

function keyOf({ type, bytes }: FileHandle): string {
  return `${type}:${bytes.toString('latin1')}`;
}
