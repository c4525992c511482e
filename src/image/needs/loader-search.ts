/**
 * Where a dynamic loader looks for a library by name, in the root: glibc's rules (ld.so(8)) and
 * musl's (ldso/dynlink.c). Owns the order of directories and what counts as found. Must not know
 * what is done with a library.
 */
import type { Elf } from '../elf/read-elf.ts';
import { ldSoConf } from './ld-so-conf.ts';
import {
  defaultDirectories,
  libraryNames,
  type Machine,
  machineKey,
  platformsOf,
} from './machines.ts';
import type { RootFiles } from './root-files.ts';

export type Loader =
  | { readonly kind: 'glibc' }
  /** The file with its directories, which need not exist. */
  | { readonly kind: 'musl'; readonly pathFile: string };

export interface Found {
  /** Absolute, as the loader opens it: `$ORIGIN` is this path's directory, whatever links it has. */
  readonly opened: string;
  /** Without links. */
  readonly path: string;
  readonly elf: Elf;
}

/** A library in a program's memory. */
export interface Loaded extends Found {
  /** Directories that it hands down to what it loads. */
  readonly inherited: readonly string[];
}

export interface Match {
  readonly plain: Found | null;
  /** The same for processors that have more, from `glibc-hwcaps` beside it or nearer the front. */
  readonly hwcaps: readonly Found[];
}

/** A hostile RPATH may name thousands. */
const MOST_DIRECTORIES = 128;
/** To find again what was looked for already: see Effort. */
const KNOWN = 3;
const TOKEN = /\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))/g;
const MUSL_DEFAULT = ['/lib', '/usr/local/lib', '/usr/lib'];
const NOTHING: readonly string[] = [];

export class LoaderSearch {
  readonly #files: RootFiles;
  readonly #matches = new Map<string, Match>();
  readonly #exists = new Map<string, boolean>();
  readonly #defaults = new Map<string, readonly string[]>();
  #conf: readonly string[] | undefined;

  constructor(files: RootFiles) {
    this.#files = files;
  }

  /** What an object is once something has loaded it. */
  load(found: Found, by: Loaded | null, loader: Loader): Loaded {
    const { elf } = found;
    // musl takes RUNPATH for RPATH. glibc has nobody inherit a RUNPATH, and ignores RPATH beside it.
    const own =
      loader.kind === 'musl' ? (elf.runpath ?? elf.rpath) : elf.runpath !== null ? null : elf.rpath;
    const directories = own === null ? NOTHING : this.#expand(own, found, loader);
    const above = by?.inherited ?? NOTHING;
    return {
      ...found,
      inherited: directories.length === 0 ? above : distinct([...directories, ...above]),
    };
  }

  /** Looks for what `object` needs by this name. */
  find(name: string, object: Loaded, loader: Loader): Match {
    if (name.includes('/')) return this.#byPath(name, object, loader);
    const { elf } = object;
    if (loader.kind === 'musl')
      return this.inDirectories(name, [...object.inherited, ...this.#muslPath(loader)], elf);
    const own = elf.runpath !== null ? this.#expand(elf.runpath, object, loader) : object.inherited;
    return this.inDirectories(name, [...own, ...this.#system(elf, elf.noDefaultDirectories)], elf);
  }

  /** Where glibc looks on behalf of nobody. */
  systemDirectories(machine: Machine): readonly string[] {
    return this.#system(machine, false);
  }

  inDirectories(name: string, directories: readonly string[], machine: Machine): Match {
    const hwcaps: Found[] = [];
    for (const directory of directories) {
      if (!this.#files.afford(KNOWN, directory)) break;
      const match = this.#inDirectory(directory, name, machine);
      hwcaps.push(...match.hwcaps);
      if (match.plain !== null) return { plain: match.plain, hwcaps };
    }
    return { plain: null, hwcaps };
  }

  #byPath(name: string, object: Loaded, loader: Loader): Match {
    for (const opened of this.#expandOne(name, object, loader)) {
      // Another is relative to a working directory that nobody knows.
      const plain = opened.startsWith('/') ? this.#candidate(opened, object.elf) : null;
      if (plain !== null) return { plain, hwcaps: [] };
    }
    return { plain: null, hwcaps: [] };
  }

  #inDirectory(directory: string, name: string, machine: Machine): Match {
    const key = `${machineKey(machine)}\0${directory}\0${name}`;
    let match = this.#matches.get(key);
    if (match === undefined) {
      const better = `${directory}/glibc-hwcaps`;
      match = this.#isDirectory(directory)
        ? {
            plain: this.#candidate(`${directory}/${name}`, machine),
            hwcaps: this.#files
              .list(better)
              .map((processor) => this.#candidate(`${better}/${processor}/${name}`, machine))
              .filter((found) => found !== null),
          }
        : { plain: null, hwcaps: [] };
      this.#matches.set(key, match);
    }
    return match;
  }

  #isDirectory(path: string): boolean {
    let known = this.#exists.get(path);
    if (known === undefined) {
      known = this.#files.isDirectory(path);
      this.#exists.set(path, known);
    }
    return known;
  }

  /** As the loader: a file of another machine is passed over. */
  #candidate(opened: string, machine: Machine): Found | null {
    const path = this.#files.file(opened);
    const elf = path === null ? null : this.#files.elf(path);
    if (path === null || elf === null || machineKey(elf) !== machineKey(machine)) return null;
    return { opened, path, elf };
  }

  #system(machine: Machine, onlyConfigured: boolean): readonly string[] {
    const key = `${machineKey(machine)} ${onlyConfigured}`;
    let directories = this.#defaults.get(key);
    if (directories === undefined) {
      this.#conf ??= ldSoConf(this.#files);
      const builtIn = defaultDirectories(machine);
      directories = onlyConfigured
        ? this.#conf.filter((directory) => !builtIn.includes(directory))
        : distinct([...this.#conf, ...builtIn], Infinity);
      this.#defaults.set(key, directories);
    }
    return directories;
  }

  #muslPath({ pathFile }: { readonly pathFile: string }): readonly string[] {
    let directories = this.#defaults.get(pathFile);
    if (directories === undefined) {
      const text = this.#files.file(pathFile) === null ? null : this.#files.lines(pathFile);
      directories =
        text === null
          ? MUSL_DEFAULT
          : distinct(text.flatMap((line) => line.split(':')).filter((one) => one.startsWith('/')));
      this.#defaults.set(pathFile, directories);
    }
    return directories;
  }

  #expand(list: string, object: Found, loader: Loader): readonly string[] {
    return distinct(
      list
        .split(':')
        .flatMap((one) => this.#expandOne(one, object, loader))
        .filter((one) => one.startsWith('/')),
    );
  }

  /** The paths that one may stand for: which `$LIB` a loader was built with is not written in it. */
  #expandOne(text: string, { opened, elf }: Found, loader: Loader): readonly string[] {
    if (!text.includes('$')) return [text];
    const musl = loader.kind === 'musl';
    const origin = opened.slice(0, Math.max(1, opened.lastIndexOf('/')));
    const uses = (name: string) =>
      [...text.matchAll(TOKEN)].some(([, braced, bare]) => (braced ?? bare) === name);
    const libs = uses('LIB') ? (musl ? [] : libraryNames(elf)) : [''];
    const platforms = uses('PLATFORM') ? (musl ? [] : platformsOf(elf)) : [''];
    return libs.flatMap((lib) =>
      platforms.map((platform) =>
        text.replaceAll(TOKEN, (_, braced?: string, bare?: string) => {
          const name = braced ?? bare;
          return name === 'ORIGIN' ? origin : name === 'LIB' ? lib : platform;
        }),
      ),
    );
  }
}

function distinct(directories: readonly string[], most = MOST_DIRECTORIES): readonly string[] {
  return [...new Set(directories)].slice(0, most);
}
