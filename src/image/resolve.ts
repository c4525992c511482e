/**
 * Follows symbolic links inside a root as a client that has it as `/` would. Owns a memory of what
 * the tree said. Must not know why a path is asked for.
 *
 * Paths here are byte strings: one character (0-255) for each byte ('latin1'). They work as map
 * keys, and their order as strings is the bytewise order of the paths.
 */
import type { Tree, TreeLink, TreeStat } from './tree.ts';

/** A path's bytes as a byte string, and back. */
export const fromBytes = (path: Buffer): string => path.toString('latin1');
export const toBytes = (path: string): Buffer => Buffer.from(path, 'latin1');

/** The directory of a path; the root's is the root. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/');
  return slash < 0 ? '' : path.slice(0, slash);
}

export interface Resolution {
  /** Where the path leads, without links on the way; null when links loop or a `..` fails. */
  readonly path: string | null;
  /** The links that were followed, in order. */
  readonly through: readonly string[];
}

/** As the kernel: more links than this in one path are a loop (MAXSYMLINKS). */
const MAX_LINKS = 40;
/** An empty, `.` or `..` part, a slash at either end, or no path at all. */
const ODD_PART = /(?:^|\/)\.{0,2}(?:\/|$)/;
const NOTHING: readonly string[] = [];

export class Resolver {
  readonly #tree: Tree;
  readonly #links: Map<string, string>;
  readonly #mounted = new Set<string>();
  readonly #plain = new Map<string, boolean>();
  readonly #stats = new Map<string, TreeStat | null>();

  constructor(tree: Tree, links: readonly TreeLink[]) {
    this.#tree = tree;
    this.#links = new Map(links.map((link) => [fromBytes(link.path), fromBytes(link.target)]));
  }

  /**
   * Null also for what another file system is mounted over, but for directories: a file bound over
   * the root's own is the server's, and has no business in an image.
   */
  lstat(path: string): TreeStat | null {
    let stat = this.#stats.get(path);
    if (stat === undefined) {
      stat = this.#tree.lstat(toBytes(path));
      if (stat?.foreign === true) {
        this.#mounted.add(path);
        if (stat.type !== 'directory') stat = null;
      }
      this.#stats.set(path, stat);
    }
    return stat;
  }

  /** The mount points met so far, in bytewise order. */
  mounted(): string[] {
    return [...this.#mounted].sort();
  }

  /** Whether something is mounted on this path or above it. */
  isMountedOver(path: string): boolean {
    for (let at = path; at !== ''; at = parentOf(at)) {
      this.lstat(at);
      if (this.#mounted.has(at)) return true;
    }
    return false;
  }

  /** A link's target, undefined for anything else. */
  target(path: string): string | undefined {
    return this.#links.get(path);
  }

  /** All links, in bytewise order. */
  links(): Iterable<string> {
    return this.#links.keys();
  }

  /**
   * Follows `path` from the directory `from` (already without links). `..` stops at the root and
   * an absolute path starts there. Whether anything is at the end is for the caller to look up.
   */
  resolve(from: string, path: string, followLast: boolean): Resolution {
    const full = from === '' || path === '' ? path : `${from}/${path}`;
    if (!ODD_PART.test(full) && this.#isPlain(parentOf(full)))
      if (!followLast || !this.#links.has(full)) return { path: full, through: NOTHING };
    return this.#walk(from, path, followLast);
  }

  /**
   * Whether no part of a directory's path is a link; nearly all are so, and many files ask. A path has
   * any number of parts, so they are asked one after the other, not one within the other.
   */
  #isPlain(directory: string): boolean {
    const asked: string[] = [];
    let plain = true;
    for (let at = directory; at !== '' && plain; at = parentOf(at)) {
      const known = this.#plain.get(at);
      if (known === true) break;
      asked.push(at);
      plain = known === undefined && !this.#links.has(at);
    }
    for (const at of asked) this.#plain.set(at, plain);
    return plain;
  }

  #walk(from: string, path: string, followLast: boolean): Resolution {
    const through: string[] = [];
    const waiting = path.split('/').reverse();
    let current = path.startsWith('/') ? '' : from;
    for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
      if (name === '' || name === '.') continue;
      if (name === '..') {
        if (this.lstat(current)?.type !== 'directory') return { path: null, through };
        current = parentOf(current);
        continue;
      }
      const next = current === '' ? name : `${current}/${name}`;
      const target = this.#links.get(next);
      if (target === undefined || (waiting.length === 0 && !followLast)) {
        current = next;
        continue;
      }
      if (through.length >= MAX_LINKS) return { path: null, through };
      through.push(next);
      if (target.startsWith('/')) current = '';
      for (const part of target.split('/').reverse()) waiting.push(part);
    }
    return { path: current, through };
  }

  /** Where a link leads. */
  follow(link: string): Resolution {
    return this.resolve(parentOf(link), this.#links.get(link) ?? '', true);
  }
}
