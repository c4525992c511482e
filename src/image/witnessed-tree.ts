/**
 * A tree that notes everything it is asked about, so that later it can be told whether the answers
 * would be the same. Owns the paths. Must not know what they are asked for.
 *
 * Whatever a tree says of a path shows in what statx(2) tells of it: content and attributes in its
 * change time, names in the times of their directory, absence in an error. Links are looked for in
 * every directory, so all of these are noted then.
 */
import type { NativeTree } from '../fanotify-ts/tree.ts';
import type { Tree, TreeLink, TreeStat } from './tree.ts';

export class WitnessedTree implements Tree {
  readonly native: NativeTree;
  readonly #tree: Tree;
  /** Byte strings: one character (0-255) for each byte. */
  readonly #asked: Set<string>;

  constructor(native: NativeTree, tree: Tree = native, asked = new Set<string>()) {
    this.native = native;
    this.#tree = tree;
    this.#asked = asked;
  }

  /** The paths in bytewise order, each ended by a NUL. */
  asked(): Buffer {
    const names = [...this.#asked].sort();
    return Buffer.from(names.map((name) => `${name}\0`).join(''), 'latin1');
  }

  lstat(path: Buffer): TreeStat | null {
    return this.#noting(path).lstat(path);
  }

  readlink(path: Buffer): Buffer {
    return this.#noting(path).readlink(path);
  }

  list(path: Buffer): Buffer[] {
    return this.#noting(path).list(path);
  }

  read(path: Buffer, offset: number, length: number): Buffer {
    return this.#noting(path).read(path, offset, length);
  }

  attributes(path: Buffer): readonly string[] {
    return this.#noting(path).attributes(path);
  }

  attribute(path: Buffer, name: string): Buffer | null {
    return this.#noting(path).attribute(path, name);
  }

  async symlinks(): Promise<readonly TreeLink[]> {
    const { links, directories } = await this.native.walk();
    for (const path of directories) this.#noting(path);
    return links;
  }

  async survey(paths: readonly string[]): Promise<Tree> {
    for (const path of paths) this.#asked.add(path);
    return new WitnessedTree(this.native, await this.native.survey(paths), this.#asked);
  }

  #noting(path: Buffer): Tree {
    this.#asked.add(path.toString('latin1'));
    return this.#tree;
  }
}
