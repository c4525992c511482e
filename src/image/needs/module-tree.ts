/**
 * What depmod knows of the modules of one kernel. Owns the reading of modules.dep, modules.softdep,
 * modules.alias and modules.builtin (modules.dep(5), modprobe.d(5)). Must not add to the image.
 */
import type { RootFiles } from './root-files.ts';

/** modules.dep of a distribution has 600 KB, modules.alias 1.3 MB. */
const MOST_INDEX = 16 * 1024 * 1024;
/** What one module needs, or an alias stands for; of a distribution's none has 100. */
const MOST_NAMES = 1000;
const MODULE = /\.ko(?:\.(?:gz|xz|zst))?$/;

export class ModuleTree {
  readonly #directory: string;
  readonly #files: RootFiles;
  readonly #needs = new Map<string, readonly string[]>();
  readonly #byName = new Map<string, string>();
  readonly #soft = new Map<string, readonly string[]>();
  #isWhole = true;
  #aliases: Map<string, readonly string[]> | undefined;
  #builtIn: Set<string> | undefined;

  /** `directory` is `lib/modules/VERSION`, or where that leads. */
  constructor(directory: string, files: RootFiles) {
    this.#directory = directory;
    this.#files = files;
    let isDamaged = false;
    for (const line of this.#lines('dep')) {
      if (line === '') continue;
      const [module = '', others, more] = line.split(':', 3);
      if (!MODULE.test(module) || others === undefined || more !== undefined) {
        isDamaged = true;
        continue;
      }
      const needed = others.split(' ').filter((one) => one !== '');
      this.#needs.set(module, this.#upTo([], needed));
      this.#byName.set(nameOf(module), module);
    }
    if (isDamaged) this.#damaged('dep');
    for (const line of this.#lines('softdep')) {
      const [word, name = '', ...others] = line.trim().split(/[ \t]+/);
      if (word !== 'softdep') continue;
      const named = others.filter((one) => one !== 'pre:' && one !== 'post:');
      const known = this.#soft.get(underscored(name)) ?? [];
      this.#soft.set(underscored(name), this.#upTo(known, named));
    }
  }

  /** What a module depends on. */
  needs(module: string): string[] {
    return (this.#needs.get(module) ?? []).map((one) => this.#path(one));
  }

  /** What modprobe loads with it if it can. */
  wishes(module: string): string[] {
    return (this.#soft.get(nameOf(module)) ?? []).flatMap((name) => this.find(name));
  }

  /** The modules that `modprobe NAME` would load for that name or alias, without what they need. */
  find(name: string): string[] {
    const key = underscored(name);
    const names = this.#byName.has(key) ? [key] : (this.#aliasesOf().get(key) ?? []);
    return names
      .map((one) => this.#byName.get(one))
      .filter((module) => module !== undefined)
      .map((module) => this.#path(module));
  }

  /** False if an index that was asked for is too large to be read, or damaged. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  isBuiltIn(name: string): boolean {
    this.#builtIn ??= new Set([...this.#lines('builtin')].map(nameOf));
    return this.#builtIn.has(underscored(name));
  }

  /** depmod writes an absolute path for a module outside the directory. */
  #path(module: string): string {
    return module.startsWith('/') ? module : `${this.#directory}/${module}`;
  }

  /** Those without wildcards: the others are for devices, by what these say of themselves. */
  #aliasesOf(): ReadonlyMap<string, readonly string[]> {
    if (this.#aliases !== undefined) return this.#aliases;
    const aliases = new Map<string, readonly string[]>();
    for (const line of this.#lines('alias')) {
      const [word, alias = '', module = ''] = line.split(' ');
      if (word !== 'alias' || module === '' || /[*?[]/.test(alias)) continue;
      const key = underscored(alias);
      aliases.set(key, this.#upTo(aliases.get(key) ?? [], [underscored(module)]));
    }
    this.#aliases = aliases;
    return aliases;
  }

  #upTo(known: readonly string[], more: readonly string[]): readonly string[] {
    const room = MOST_NAMES - known.length;
    if (more.length > room)
      this.#files.skip(this.#directory, `over ${MOST_NAMES} names for one module`);
    return room <= 0 ? known : [...known, ...more.slice(0, room)];
  }

  #damaged(index: string): void {
    const file = this.#files.file(`${this.#directory}/modules.${index}`);
    if (file !== null) this.#files.skip(file, 'lines that depmod does not write');
    this.#isWhole = false;
  }

  #lines(index: string): readonly string[] {
    const path = `${this.#directory}/modules.${index}`;
    const lines = this.#files.lines(path, MOST_INDEX);
    if (this.#files.isSkipped(path)) this.#isWhole = false;
    return lines;
  }
}

/** `-` and `_` are one in names of modules and aliases. */
export const underscored = (name: string): string => name.replaceAll('-', '_');
const nameOf = (path: string): string =>
  underscored(path.slice(path.lastIndexOf('/') + 1).replace(MODULE, ''));
