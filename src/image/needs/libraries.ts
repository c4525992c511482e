/**
 * The rule for ELF files: their interpreter and their libraries, as the loader would find them for
 * each program. Owns the walk and what it could not find. Must not run anything of the root.
 *
 * A library's needs depend on who loads it (RPATH is inherited, a name that is loaded already is
 * not looked for), so every program is walked by itself. A library that no program of the image
 * needs was loaded by name (a plugin): it is walked last and on its own, and may find what it needs
 * in memory.
 */
import type { Draft } from '../closure.ts';
import type { Elf } from '../elf/read-elf.ts';
import type { Problem } from '../plan-types.ts';
import type { Found, Loaded, Loader, LoaderSearch, Match } from './loader-search.ts';
import { type Machine, machineKey } from './machines.ts';
import { Missing } from './missing.ts';
import type { RootFiles } from './root-files.ts';
import type { Rule } from './rule.ts';
import type { Taker } from './taker.ts';

export interface LibrariesOptions {
  readonly files: RootFiles;
  readonly search: LoaderSearch;
  readonly taker: Taker;
  /** Which of its parts are on; `libraries` off is all off. */
  readonly libraries: boolean;
  readonly dlopen: boolean;
  readonly hwcaps: boolean;
}

const GLIBC: Loader = { kind: 'glibc' };
const MUSL_INTERPRETER = /^(.*?)\/[^/]*\/ld-musl-([^/]+)\.so\.1$/;
/** musl is one file, by whatever of these names it is asked for. */
const MUSL_ITSELF = /^lib(?:c|pthread|rt|m|dl|util|xnet)\./;

export class Libraries implements Rule {
  readonly #options: LibrariesOptions;
  /** Machines of the programs met so far, with the first one's loader. */
  readonly #machines = new Map<string, { readonly machine: Machine; readonly loader: Loader }>();
  readonly #waiting: Found[] = [];
  readonly #reached = new Set<string>();
  /** Names under which the image has a library, with the machine's key. */
  readonly #provided = new Set<string>();
  readonly #interpreters: Missing;
  readonly #libraries: Missing;
  /** What plugins lack: `machine name` → what to report if nothing in the image provides it. */
  readonly #perhaps: { readonly key: string; readonly name: string; readonly by: string }[] = [];
  readonly #suggested = new Map<string, string>();
  #preload: readonly string[] | undefined;

  constructor(options: LibrariesOptions) {
    this.#options = options;
    this.#interpreters = new Missing(options.files);
    this.#libraries = new Missing(options.files);
  }

  /** The machines of the programs in the image. */
  machines(): readonly Machine[] {
    return [...this.#machines.values()].map(({ machine }) => machine);
  }

  offer({ path, stat }: Draft): void {
    if (stat?.type !== 'file') return;
    const elf = this.#options.files.elf(path);
    if (elf === null) return;
    const key = machineKey(elf);
    this.#provided.add(`${key} ${path.slice(path.lastIndexOf('/') + 1)}`);
    if (elf.soname !== null) this.#provided.add(`${key} ${elf.soname}`);
    const found: Found = { opened: `/${path}`, path, elf };
    if (elf.interpreter === null) this.#waiting.push(found);
    else this.#program(found, elf.interpreter);
  }

  settle(): void {
    if (!this.#options.libraries) return;
    for (const found of this.#waiting.splice(0))
      if (!this.#reached.has(found.path)) this.#walk(found, this.#loaderOf(found.elf), []);
  }

  problems(): Problem[] {
    for (const { key, name, by } of this.#perhaps.splice(0))
      if (!this.#provided.has(key)) this.#libraries.add(name, by);
    const suggested = new Missing();
    for (const [path, by] of this.#suggested)
      if (!this.#options.taker.has(path)) suggested.add(`/${path}`, by);
    return [
      ...this.#interpreters.problem({
        code: 'missing-interpreter',
        what: 'interpreters that programs in the image ask for are not in the root',
        hint: 'those programs do not start; install what is missing into the root',
      }),
      ...this.#libraries.problem({
        code: 'missing-library',
        what: 'libraries that files in the image need are not where their loader looks in the root',
        hint: 'those programs did not start for the client either; if they are used, mend the root',
      }),
      ...suggested.problem({
        code: 'suggested-library',
        what: 'libraries that programs say they can do without are in the root but not in the image',
        hint: 'use what needs them while recording, to have them in the image',
      }),
    ];
  }

  #program(found: Found, interpreter: string): void {
    const { files, taker, libraries } = this.#options;
    const loader = loaderOf(interpreter);
    const key = machineKey(found.elf);
    if (!this.#machines.has(key)) this.#machines.set(key, { machine: found.elf, loader });
    if (!libraries) return;
    const about = found.path;
    const real = taker.take(interpreter, { kind: 'interpreter-of', about });
    if (real === null) this.#interpreters.add(interpreter, about);
    else this.#reached.add(real);
    const names = [interpreter.slice(interpreter.lastIndexOf('/') + 1)];
    const soname = real === null ? null : files.elf(real)?.soname;
    if (typeof soname === 'string') names.push(soname);
    if (found.elf.needed.length > 0)
      // What the loader itself reads.
      taker.take(loader.kind === 'musl' ? loader.pathFile : '/etc/ld.so.cache', {
        kind: 'needed-by',
        about,
      });
    this.#walk(found, loader, names);
  }

  /** Everything that a program, or a library by itself, loads; `names` are loaded already. */
  #walk(root: Found, loader: Loader, names: readonly string[]): void {
    const walk: Walk = {
      root,
      loader,
      names: new Set(names),
      paths: new Set([root.path]),
      queue: [this.#options.search.load(root, null, loader)],
    };
    if (root.elf.soname !== null) walk.names.add(root.elf.soname);
    if (loader.kind === 'glibc' && root.elf.interpreter !== null && root.elf.needed.length > 0)
      this.#loadPreloaded(walk);
    // Breadth first, as the loaders do; what is loaded later by dlopen comes after it.
    for (let [needs, opens] = [0, 0]; opens < walk.queue.length; opens++) {
      for (let object = walk.queue[needs]; object !== undefined; object = walk.queue[++needs])
        for (const name of object.elf.needed) this.#need(walk, object, name);
      const object = walk.queue[opens];
      if (object !== undefined && this.#options.dlopen) this.#open(walk, object);
    }
  }

  #need(walk: Walk, object: Loaded, name: string): void {
    if (walk.names.has(name)) return;
    walk.names.add(name);
    if (walk.loader.kind === 'musl' && MUSL_ITSELF.test(name)) return;
    const match = this.#options.search.find(name, object, walk.loader);
    if (this.#load(walk, object, match, 'needed-by')) return;
    if (walk.root.elf.interpreter !== null) this.#libraries.add(name, object.path);
    else this.#perhaps.push({ key: `${machineKey(object.elf)} ${name}`, name, by: object.path });
  }

  #open(walk: Walk, object: Loaded): void {
    for (const { sonames, priority } of object.elf.dlopen) {
      if (sonames.some((name) => walk.names.has(name))) continue;
      let done = false;
      for (const name of sonames) {
        const match = this.#options.search.find(name, object, walk.loader);
        const [first] = [match.plain, ...match.hwcaps].filter((one) => one !== null);
        if (first === undefined) continue;
        if (priority === 'suggested') this.#suggested.set(first.path, object.path);
        else this.#load(walk, object, match, 'dlopened-by');
        done = true;
        break;
      }
      if (!done && priority === 'required') this.#libraries.add(sonames.join(' or '), object.path);
    }
  }

  /** False when there is nothing of that name. */
  #load(walk: Walk, by: Loaded, match: Match, kind: 'needed-by' | 'dlopened-by'): boolean {
    const { taker, search, hwcaps } = this.#options;
    const { plain } = match;
    const take = (found: Found, reason: typeof kind | 'hwcaps-of', about: string): void => {
      taker.take(found.opened, { kind: reason, about });
      if (walk.paths.has(found.path)) return;
      walk.paths.add(found.path);
      this.#reached.add(found.path);
      if (found.elf.soname !== null) walk.names.add(found.elf.soname);
      walk.queue.push(search.load(found, by, walk.loader));
    };
    if (plain !== null) take(plain, kind, by.path);
    if (hwcaps) for (const found of match.hwcaps) take(found, 'hwcaps-of', plain?.path ?? by.path);
    return plain !== null || match.hwcaps.length > 0;
  }

  /** /etc/ld.so.preload: glibc loads these before all others, and only warns of missing ones. */
  #loadPreloaded(walk: Walk): void {
    const { files, taker, search } = this.#options;
    this.#preload ??= files
      .lines('/etc/ld.so.preload')
      .flatMap((line) => (line.split('#')[0] ?? '').split(/[ \t:]+/))
      .filter((name) => name !== '');
    const [program] = walk.queue;
    if (program === undefined || this.#preload.length === 0) return;
    taker.take('/etc/ld.so.preload', { kind: 'needed-by', about: program.path });
    for (const name of this.#preload) {
      walk.names.add(name);
      this.#load(walk, program, search.find(name, program, walk.loader), 'needed-by');
    }
  }

  /** Whose library one is: by its names, else as the image's programs have it. */
  #loaderOf(elf: Elf): Loader {
    const arch = elf.needed.map((name) => /^libc\.musl-(.+)\.so\.1$/.exec(name)?.[1]).find(Boolean);
    if (arch !== undefined) return { kind: 'musl', pathFile: `/etc/ld-musl-${arch}.path` };
    return this.#machines.get(machineKey(elf))?.loader ?? GLIBC;
  }
}

interface Walk {
  readonly root: Found;
  readonly loader: Loader;
  readonly names: Set<string>;
  readonly paths: Set<string>;
  readonly queue: Loaded[];
}

function loaderOf(interpreter: string): Loader {
  const [, prefix = '', arch] = MUSL_INTERPRETER.exec(interpreter) ?? [];
  return arch === undefined
    ? GLIBC
    : { kind: 'musl', pathFile: `${prefix}/etc/ld-musl-${arch}.path` };
}
