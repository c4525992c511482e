/**
 * A root tree, many paths of which were looked at in one go on a worker thread: a plan asks for the
 * same few things of thousands of files, and each call into the addon costs more than its answer.
 * Owns those answers. Whatever else is asked, and what failed, goes to the tree itself.
 */
import { isNotThere, type NativeTree, statOf, type TreeLink, type TreeStat } from './tree.ts';

/** Numbers of a row (native/archive/survey.h), and where they are in it. */
const SURVEY_FIELDS = 18;
const [ERRNO, HEAD, ATTRIBUTES, STAT] = [0, 1, 2, 3];
const HEAD_BYTES = 4;

export interface SurveyedTreeOptions {
  readonly tree: NativeTree;
  /** Paths as byte strings: one character (0-255) for each byte. */
  readonly names: readonly string[];
  /** One for each. */
  readonly rows: Float64Array;
}

export class SurveyedTree {
  readonly #tree: NativeTree;
  readonly #rows: Float64Array;
  readonly #inodes: BigUint64Array;
  /** Where a path's row begins. */
  readonly #places: ReadonlyMap<string, number>;
  /** Many files begin alike. */
  readonly #heads = new Map<number, Buffer>();

  constructor({ tree, names, rows }: SurveyedTreeOptions) {
    this.#tree = tree;
    this.#rows = rows;
    this.#inodes = new BigUint64Array(rows.buffer);
    this.#places = new Map(names.map((name, index) => [name, index * SURVEY_FIELDS]));
  }

  lstat(path: Buffer): TreeStat | null {
    const place = this.#places.get(path.toString('latin1'));
    if (place === undefined) return this.#tree.lstat(path);
    const errno = this.#rows[place + ERRNO] ?? 0;
    if (isNotThere(errno)) return null;
    const last = this.#inodes[place + SURVEY_FIELDS - 1];
    return (errno === 0 ? statOf(this.#rows, place + STAT, last) : null) ?? this.#tree.lstat(path);
  }

  read(path: Buffer, offset: number, length: number): Buffer {
    const head = offset === 0 && length <= HEAD_BYTES ? this.#answer(path, HEAD) : -1;
    if (head < 0) return this.#tree.read(path, offset, length);
    let bytes = this.#heads.get(head);
    if (bytes === undefined) {
      bytes = Buffer.allocUnsafe(HEAD_BYTES);
      bytes.writeUInt32LE(head);
      this.#heads.set(head, bytes);
    }
    return length === HEAD_BYTES ? bytes : bytes.subarray(0, length);
  }

  attributes(path: Buffer): readonly string[] {
    return this.#answer(path, ATTRIBUTES) === 0 ? NOTHING : this.#tree.attributes(path);
  }

  attribute(path: Buffer, name: string): Buffer | null {
    return this.#tree.attribute(path, name);
  }

  readlink(path: Buffer): Buffer {
    return this.#tree.readlink(path);
  }

  list(path: Buffer): Buffer[] {
    return this.#tree.list(path);
  }

  symlinks(): Promise<TreeLink[]> {
    return this.#tree.symlinks();
  }

  /** -1 for what is not known of something that is there. */
  #answer(path: Buffer, field: number): number {
    const place = this.#places.get(path.toString('latin1'));
    if (place === undefined || this.#rows[place + ERRNO] !== 0) return -1;
    return this.#rows[place + field] ?? -1;
  }
}

const NOTHING: readonly string[] = [];
