/**
 * A root, and an NFS client that uses it, both made up: what the server would see of what is done
 * there, with the caches that a Linux client has. Owns its clock.
 */
import { operationBit, type Operation } from '../../../src/common/words.ts';
import type { Touch } from '../../../src/image/sweeps/touch.ts';
import type { Walked } from '../../../src/image/sweeps/below.ts';
import { fromBytes } from '../../../src/image/resolve.ts';
import { MemoryTree, type Node } from '../memory-tree.ts';
import type { Random } from '../../replay/variations.ts';

const bits = (...operations: Operation[]): number =>
  operations.reduce((sum, one) => sum | operationBit(one), 0);

/** Attributes are believed for so long (`acregmax`). */
const BELIEVED_US = 60_000_000;

/** A directory of names → size of a file, target of a link, or a further directory. */
export interface Folder {
  readonly [name: string]: number | string | Folder;
}

export class MadeUpRoot implements Walked {
  readonly #tree: MemoryTree;
  readonly #names = new Map<string, Buffer[]>();
  readonly entries = new Map<string, { type: Touch['type']; size: number }>();

  constructor(folder: Folder) {
    const nodes: Record<string, Node> = {};
    const put = (path: string, inside: Folder): void => {
      this.entries.set(path, { type: 'directory', size: 4096 });
      this.#names.set(
        path,
        Object.keys(inside).map((name) => Buffer.from(name)),
      );
      for (const [name, what] of Object.entries(inside)) {
        const next = path === '' ? name : `${path}/${name}`;
        if (typeof what === 'object') {
          nodes[next] = { type: 'directory' };
          put(next, what);
        } else if (typeof what === 'string') {
          nodes[next] = { to: what };
          this.entries.set(next, { type: 'symlink', size: what.length });
        } else {
          nodes[next] = { type: 'file', size: what };
          this.entries.set(next, { type: 'file', size: what });
        }
      }
    };
    put('', folder);
    this.#tree = new MemoryTree(nodes);
  }

  list(path: Buffer): Buffer[] {
    return [...(this.#names.get(fromBytes(path)) ?? [])];
  }

  lstat(path: Buffer): ReturnType<Walked['lstat']> {
    return this.#tree.lstat(path);
  }

  inside(path: string): string[] {
    return this.list(Buffer.from(path)).map((name) =>
      path === '' ? name.toString() : `${path}/${name.toString()}`,
    );
  }

  sizeOf(path: string): number {
    return this.entries.get(path)?.size ?? 0;
  }

  /** Where a link leads. */
  targetOf(path: string): string {
    return this.#tree.readlink(Buffer.from(path)).toString();
  }

  typeOf(path: string): Touch['type'] {
    return this.entries.get(path)?.type ?? 'other';
  }

  /** Everything of a kind at and below a path. */
  all(top: string, type: Touch['type']): string[] {
    return [...this.entries]
      .filter(
        ([path, one]) => one.type === type && (top === '' || `${path}/`.startsWith(`${top}/`)),
      )
      .map(([path]) => path);
  }
}

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

export class MadeUpClient {
  nowUs = 1_000_000_000;
  readonly #root: MadeUpRoot;
  readonly #version: 3 | 4;
  readonly #random: Random;
  readonly #touches = new Map<string, Mutable<Touch>>();
  /** Since when the attributes of a path are known. */
  readonly #known = new Map<string, number>();
  readonly #cached = new Set<string>();

  constructor(root: MadeUpRoot, version: 3 | 4, random: Random) {
    this.#root = root;
    this.#version = version;
    this.#random = random;
  }

  get touches(): Touch[] {
    return [...this.#touches.values()];
  }

  /** An answer of the server, and what the program does with it. */
  #take(meanUs: number): void {
    this.nowUs += Math.floor(meanUs / 2) + this.#random(meanUs);
  }

  #touch(path: string, operations: number, bytes = 0): void {
    const { nowUs } = this;
    const known = this.#touches.get(path);
    if (known === undefined) {
      this.#touches.set(path, {
        names: [path],
        type: this.#root.typeOf(path),
        operations,
        bytes,
        size: this.#root.sizeOf(path),
        firstUs: nowUs,
        lastUs: nowUs,
        created: false,
      });
    } else {
      known.operations |= operations;
      known.bytes += bytes;
      known.lastUs = nowUs;
    }
    this.#known.set(path, nowUs);
  }

  get #ask(): number {
    return this.#version === 3 ? bits('getattr') : bits('access');
  }

  #isKnown(path: string): boolean {
    return this.nowUs - (this.#known.get(path) ?? -Infinity) < BELIEVED_US;
  }

  /** A new name, a file made: in a directory that changes by that. */
  make(directory: string): void {
    this.#take(1000);
    this.#touch(directory, bits('create', 'lookup'));
  }

  list(path: string): void {
    this.#take(2000);
    this.#touch(path, this.#cached.has(path) ? this.#ask : this.#ask | bits('access', 'readdir'));
    this.#cached.add(path);
    // READDIRPLUS.
    for (const inside of this.#root.inside(path)) this.#known.set(inside, this.nowUs);
  }

  /** True if the server saw it. */
  look(path: string): boolean {
    this.#take(300);
    if (this.#isKnown(path)) return false;
    this.#touch(path, this.#ask);
    return true;
  }

  /** `getfattr`, as `ls -l` does: NFSv3 asks for ACLs each time. */
  attributes(path: string): void {
    this.#take(300);
    this.#touch(path, bits('access'));
  }

  readlink(path: string): boolean {
    this.#take(500);
    if (this.#cached.has(path)) return this.look(path);
    this.#touch(path, bits('access', 'readlink'));
    this.#cached.add(path);
    return true;
  }

  /** True if the server saw it: a file is opened, and read as far as it is not cached. */
  read(path: string, most = Infinity): boolean {
    this.#take(1500);
    const size = this.#root.sizeOf(path);
    if (this.#cached.has(path)) {
      // With a delegation, not even the opening shows.
      if (this.#version === 4) return false;
      this.#touch(path, bits('getattr'));
      return true;
    }
    this.#touch(path, bits('access'));
    // The OPEN of NFSv4 asks to read.
    if (size > 0 || this.#version === 4) this.#touch(path, bits('read'), Math.min(size, most));
    this.#cached.add(path);
    return true;
  }

  /** Goes through everything, in an order as file systems have it: anyone. */
  through(top: string, visit: (path: string, type: Touch['type']) => void): void {
    this.list(top);
    for (const path of this.#shuffled(this.#root.inside(top)))
      if (this.#root.typeOf(path) === 'directory') this.through(path, visit);
      else visit(path, this.#root.typeOf(path));
  }

  #shuffled<T>(list: readonly T[]): T[] {
    return list
      .map((one) => ({ one, key: this.#random(1 << 20) }))
      .sort((a, b) => a.key - b.key)
      .map(({ one }) => one);
  }

  find(top: string): void {
    this.through(top, () => undefined);
  }

  listLong(top: string): void {
    this.through(top, (path, type) => {
      this.attributes(path);
      if (type === 'symlink') this.readlink(path);
    });
  }

  tar(top: string, meanwhile: () => void = () => undefined): void {
    this.through(top, (path, type) => {
      if (type === 'symlink') this.readlink(path);
      else this.read(path);
      meanwhile();
    });
  }

  /** It knows a file by its inode, and opens none twice. */
  ldconfig(directory: string, meanwhile: (count: number) => void = () => undefined): void {
    const opened = new Set<string>();
    this.list(directory);
    for (const path of this.#shuffled(this.#root.inside(directory))) {
      if (!/^(?:lib|ld-).*\.so/.test(path.slice(directory.length + 1))) continue;
      const isLink = this.#root.typeOf(path) === 'symlink';
      if (isLink) this.readlink(path);
      const file = isLink ? `${path}.0` : path;
      if (!opened.has(file)) this.read(file, 4096);
      opened.add(file);
      meanwhile(opened.size);
    }
  }
}

const range = (count: number): number[] => Array.from({ length: count }, (_, n) => n);
const made = <T extends number | string | Folder>(
  count: number,
  entry: (n: number) => readonly [string, T],
): Record<string, T> => Object.fromEntries(range(count).map(entry));

/** Like a small Debian: about 2,000 objects, 270 of them directories. */
export function debianLike(): MadeUpRoot {
  return new MadeUpRoot({
    bin: 'usr/bin',
    dev: { console: 0 },
    home: {},
    mnt: {},
    tmp: {},
    etc: {
      passwd: 1000,
      hostname: 6,
      empty: 0,
      ...made(40, (n) => [`conf${n}`, 200 + n]),
      ...made(30, (n) => [`app${n}.d`, made(6, (i) => [`${i}.conf`, 100 + i])]),
    },
    srv: { app: made(40, (n) => [`part${n}`, made(8, (i) => [`${i}.rb`, 500 + i])]) },
    usr: {
      bin: { ...made(120, (n) => [`tool${n}`, 30_000 + n]), vi: 'tool3' },
      lib: {
        'x86_64-linux-gnu': {
          ...made(90, (n) => [`libx${n}.so.1.0`, 60_000 + n]),
          ...made(90, (n) => [`libx${n}.so.1`, `libx${n}.so.1.0`]),
          security: made(20, (n) => [`pam${n}.so`, 10_000]),
        },
        systemd: made(20, (n) => [`unit${n}.d`, made(3, (i) => [`${i}.conf`, 90])]),
        udev: { 'rules.d': made(60, (n) => [`${n}.rules`, 700]) },
      },
      share: {
        doc: made(110, (n) => [`package${n}`, { copyright: 4000 + n, changelog: 9000 }]),
        man: made(8, (n) => [`man${n}`, made(40, (i) => [`page${i}.gz`, 2000 + i])]),
        zoneinfo: made(10, (n) => [`Area${n}`, made(30, (i) => [`Town${i}`, 1500])]),
      },
    },
    var: {
      log: {},
      lib: { dpkg: { info: made(110, (n) => [`package${n}.list`, 2500]) } },
      spool: { squid: made(16, (n) => [`0${n}`, made(10, (i) => [`${i}`, {}])]) },
    },
  });
}
