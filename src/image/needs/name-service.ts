/**
 * The rule for /etc/nsswitch.conf: the modules that the C library loads for the services it names
 * (`libnss_SERVICE.so.2`). Owns the reading of that file. One that is not in the root is left out
 * in silence, as the C library does: distributions name services that they do not install.
 */
import type { Draft } from '../closure.ts';
import type { Libraries } from './libraries.ts';
import type { LoaderSearch } from './loader-search.ts';
import type { RootFiles } from './root-files.ts';
import type { Rule } from './rule.ts';
import type { Taker } from './taker.ts';

export interface NameServiceOptions {
  readonly files: RootFiles;
  readonly search: LoaderSearch;
  readonly taker: Taker;
  readonly libraries: Libraries;
}

/** Far longer than any; the pattern below takes square time on a line. */
const MOST_LINE = 4096;
const CONFIGURATION = '/etc/nsswitch.conf';

export class NameService implements Rule {
  readonly #options: NameServiceOptions;
  #file: string | null = null;

  constructor(options: NameServiceOptions) {
    this.#options = options;
  }

  offer({ path }: Draft): void {
    if (path.endsWith('nsswitch.conf') && this.#options.files.file(CONFIGURATION) === path)
      this.#file = path;
  }

  /** Late: the programs say for which machines. */
  settle(): void {
    const { files, search, taker, libraries } = this.#options;
    if (this.#file === null) return;
    for (const service of servicesOf(files.lines(this.#file)))
      for (const machine of libraries.machines()) {
        const directories = search.systemDirectories(machine);
        const { plain } = search.inDirectories(`libnss_${service}.so.2`, directories, machine);
        if (plain !== null) taker.take(plain.opened, { kind: 'named-by', about: this.#file });
      }
  }
}

/** Services in the order of the file: `hosts: files [NOTFOUND=return] dns`. */
function servicesOf(lines: readonly string[]): string[] {
  const found = new Set<string>();
  for (const line of lines) {
    const text = line.slice(0, MOST_LINE).split('#')[0] ?? '';
    const services = text.slice(text.indexOf(':') + 1).replace(/\[[^\]]*\]/g, ' ');
    if (!text.includes(':')) continue;
    for (const word of services.split(/[ \t]+/)) if (/^[^/]+$/.test(word)) found.add(word);
  }
  return [...found];
}
