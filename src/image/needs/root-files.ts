/**
 * Reads files of a root for the rules, through links and by byte strings, each once. Owns what was
 * read, what was not looked into, and that it ends. Must not add to the image.
 */
import { type Elf, readElf } from '../elf/read-elf.ts';
import { fromBytes, type Resolver, toBytes } from '../resolve.ts';
import type { Tree, TreeStat } from '../tree.ts';
import { Effort } from './effort.ts';
import { isPattern, matches } from './glob.ts';

export interface Skipped {
  readonly path: string;
  readonly why: string;
}

/**
 * Configuration is far smaller. Whoever may write to a root may keep its reader busy, and that may be
 * a daemon that has to record.
 */
const MOST_TEXT = 64 * 1024;
const MOST_MATCHES = 10_000;
/** Text that is as dear as one unit of {@link Effort}. */
const BYTES = 20;
/** A longer one no client can open (PATH_MAX, its NUL counted). */
const MOST_PATH = 4095;

export class RootFiles {
  readonly resolver: Resolver;
  readonly #tree: Tree;
  readonly #effort = new Effort();
  readonly #elves = new Map<string, Elf | null>();
  readonly #lists = new Map<string, readonly string[]>();
  readonly #skipped = new Map<string, Skipped>();
  /** The first path that no effort was left for. */
  #tiredAt: string | null = null;

  constructor(resolver: Resolver, tree: Tree) {
    this.resolver = resolver;
    this.#tree = tree;
  }

  /** A path as a client would open it; null when nothing is there, or no effort is left (reported). */
  find(path: string): { path: string; through: readonly string[]; stat: TreeStat } | null {
    if (path.length > MOST_PATH) return null;
    if (!this.#effort.look(path)) return this.#tired(path);
    // Without a leading slash the resolver has a short way for paths without links.
    const { path: end, through } = this.resolver.resolve('', path.replace(/^\/+/, ''), true);
    const stat = end === null ? null : this.resolver.lstat(end);
    return end === null || stat === null ? null : { path: end, through, stat };
  }

  /** The path without links of a regular file, or null. */
  file(path: string): string | null {
    const found = this.find(path);
    return found?.stat.type === 'file' ? found.path : null;
  }

  isDirectory(path: string): boolean {
    return this.find(path)?.stat.type === 'directory';
  }

  /** Part of a regular file whose path has no links. */
  read(path: string, offset: number, length: number): Buffer {
    const size = this.resolver.lstat(path)?.size ?? 0;
    if (offset >= size || length <= 0) return Buffer.alloc(0);
    return this.#tree.read(toBytes(path), offset, Math.min(length, size - offset));
  }

  /** The whole of a file, null (and reported) if it is too large to be what a rule takes it for. */
  whole(path: string, most = MOST_TEXT): Buffer | null {
    const size = this.resolver.lstat(path)?.size ?? 0;
    if (size <= most) return this.read(path, 0, size);
    this.skip(path, `too large: ${size} bytes`);
    return null;
  }

  /** Lines of a text file by a path that may have links; none if it is not there. */
  lines(path: string, most = MOST_TEXT): readonly string[] {
    const file = this.file(path);
    if (file === null) return [];
    const text = this.whole(file, most)?.toString('latin1') ?? '';
    // A file may have any number of names.
    return this.afford(Math.ceil(text.length / BYTES), file) ? text.split('\n') : [];
  }

  /** Null for what is not ELF, and (reported) for what only looks so. Without links in the path. */
  elf(path: string): Elf | null {
    const known = this.#elves.get(path);
    if (known !== undefined) return known;
    const result = readElf((offset, length) => this.read(path, offset, length));
    const elf = result.kind === 'elf' ? result.elf : null;
    if (result.kind === 'bad') this.skip(path, `not sound ELF: ${result.why}`);
    if (elf !== null && elf.badNotes !== null)
      this.skip(path, `not sound ELF notes: ${elf.badNotes}`);
    this.#elves.set(path, elf);
    return elf;
  }

  /** Names in a directory, in bytewise order; none if it is not there. */
  list(path: string): readonly string[] {
    const found = this.find(path);
    if (found?.stat.type !== 'directory') return [];
    let names = this.#lists.get(found.path);
    if (names === undefined) {
      names = this.#tree.list(toBytes(found.path)).map(fromBytes);
      this.#lists.set(found.path, names);
    }
    return names;
  }

  /** Whether so much more may be done; if not, it is reported with the path that it was for. */
  afford(units: number, path: string): boolean {
    if (this.#effort.spend(units)) return true;
    this.#tired(path);
    return false;
  }

  /** Paths that a pattern matches, sorted by bytes as glob(3) in the C locale does. */
  glob(pattern: string): readonly string[] {
    let found = [''];
    for (const part of pattern.split('/').filter((one) => one !== '')) {
      found = isPattern(part)
        ? found.flatMap((directory) => this.#matching(directory, part))
        : found.map((directory) => `${directory}/${part}`);
      if (!this.afford(found.length, pattern)) return [];
      if (found.length > MOST_MATCHES) {
        this.skip(found[0]?.slice(1) ?? '', `a pattern with over ${MOST_MATCHES} matches`);
        found = found.slice(0, MOST_MATCHES);
      }
    }
    return found.filter((path) => this.find(path) !== null).sort();
  }

  #matching(directory: string, part: string): string[] {
    const names = this.list(directory);
    if (!this.afford(names.length * part.length, directory)) return [];
    return names.filter((name) => matches(part, name)).map((name) => `${directory}/${name}`);
  }

  /** No effort is left: what was not found since may be there. */
  get isTired(): boolean {
    return this.#tiredAt !== null;
  }

  #tired(path: string): null {
    // A pattern may be as long as its file.
    this.#tiredAt ??= path.replace(/^\/+/, '').slice(0, 255);
    return null;
  }

  skip(path: string, why: string): void {
    if (!this.#skipped.has(path)) this.#skipped.set(path, { path, why });
  }

  /** Whether a file, by a path that may have links, could not be looked into. */
  isSkipped(path: string): boolean {
    const file = this.file(path);
    return file !== null && this.#skipped.has(file);
  }

  /** What could not be looked into, in bytewise order. */
  skipped(): Skipped[] {
    const all = [...this.#skipped.values()];
    if (this.#tiredAt !== null) all.push({ path: this.#tiredAt, why: 'too much to look for' });
    return all.sort((a, b) => (a.path < b.path ? -1 : 1));
  }
}
