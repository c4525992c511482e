/**
 * Extended attributes of what is in an image: capabilities, ACLs, labels. Owns which of them a root
 * in memory can have, and the format of the file that carries them past the archive.
 *
 * The format is that of `getfattr --dump --encoding=hex`, which `setfattr --restore` reads:
 * `# file: PATH` and lines of NAME=0xHEX, then an empty line. PATH is relative, the root is `.`.
 */
import type { Closure, Draft } from './closure.ts';
import type { NotCarried, Problem } from './plan-types.ts';
import { toBytes } from './resolve.ts';
import type { Tree } from './tree.ts';

export interface AttributeRow {
  /** A byte string. */
  readonly path: string;
  readonly name: string;
  readonly value: Buffer;
}

/** Those that tmpfs takes; all others belong to the file system that they were seen on. */
const CARRIED = /^(?:security|user)\.|^system\.posix_acl_(?:access|default)$/;

const NONE: readonly (AttributeRow | NotCarried)[] = [];

/** Reads each entry's attributes once, however often it is asked. */
export class AttributeReader {
  readonly #tree: Tree;
  readonly #problems: Problem[];
  readonly #known = new Map<string, readonly (AttributeRow | NotCarried)[]>();
  #unknown = false;

  constructor(tree: Tree, problems: Problem[]) {
    this.#tree = tree;
    this.#problems = problems;
  }

  /** What the side file carries, in bytewise order. */
  carried(drafts: readonly Draft[]): AttributeRow[] {
    return this.#all(drafts).filter((row) => 'value' in row);
  }

  /** What no image holds: sockets, and attributes that only their file system knows. */
  lost(drafts: readonly Draft[], closure: Closure): NotCarried[] {
    const sockets = [...closure.sockets].map((path) => ({ path: toBytes(path), what: 'socket' }));
    return [...sockets, ...this.#all(drafts).filter((row) => 'what' in row)];
  }

  #all(drafts: readonly Draft[]): (AttributeRow | NotCarried)[] {
    const all: (AttributeRow | NotCarried)[] = [];
    for (const { path, stat, node } of drafts) {
      // Of a mount point that is in use now, they are another file system's.
      if (stat === null || stat.foreign || node !== null || this.#unknown) continue;
      let rows = this.#known.get(path);
      if (rows === undefined) this.#known.set(path, (rows = this.#read(path)));
      for (const row of rows) all.push(row);
    }
    return all;
  }

  #read(path: string): readonly (AttributeRow | NotCarried)[] {
    try {
      const names = this.#tree.attributes(toBytes(path));
      if (names.length === 0) return NONE;
      return names.flatMap((name): (AttributeRow | NotCarried)[] => {
        // trusted.* shows to root alone and is the file system's own (overlayfs).
        if (name.startsWith('trusted.')) return [];
        if (!CARRIED.test(name)) return [{ path: toBytes(path), what: name }];
        const value = this.#tree.attribute(toBytes(path), name);
        return value === null ? [] : [{ path, name, value }];
      });
    } catch (error) {
      if ((error as { code?: unknown }).code !== 'not-in-root') throw error;
      this.#unknown = true;
      this.#problems.push({
        code: 'attributes-unknown',
        message: `extended attributes cannot be read here (first: /${path})`,
        hint: 'mount /proc where this runs to have capabilities and ACLs in the image',
      });
      return [];
    }
  }
}

/** The text of the side file; rows of one path follow each other. */
export function attributeFile(rows: readonly AttributeRow[]): Buffer {
  const parts: string[] = [];
  let last: string | null = null;
  for (const { path, name, value } of rows) {
    if (path !== last) parts.push(`${last === null ? '' : '\n'}# file: ${quote(path) || '.'}\n`);
    parts.push(`${quote(name)}=0x${value.toString('hex')}\n`);
    last = path;
  }
  return Buffer.from(`${parts.join('')}\n`, 'latin1');
}

/** As getfattr does it, and more of it: what is not printable ASCII comes as \\ooo. */
function quote(text: string): string {
  return text.replace(
    /[^!-<>-[\]-~]/g,
    (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, '0')}`,
  );
}
