/**
 * The rule for PAM: the modules that the configuration of a service names, what these read, and the
 * files that it includes. Owns the reading of pam.d files and pam.conf (pam.conf(5)).
 */
import type { Draft, DraftReason } from '../closure.ts';
import type { Problem } from '../plan-types.ts';
import type { Libraries } from './libraries.ts';
import type { LoaderSearch } from './loader-search.ts';
import { Missing } from './missing.ts';
import type { RootFiles } from './root-files.ts';
import type { Rule } from './rule.ts';
import type { Taker } from './taker.ts';

export interface PamOptions {
  readonly files: RootFiles;
  readonly search: LoaderSearch;
  readonly taker: Taker;
  readonly libraries: Libraries;
}

/** libpam's buffer; and the pattern below takes square time on a line. */
const MOST_LINE = 1024;
/** The administrator's first, then the distribution's. */
const DIRECTORIES = ['/etc/pam.d', '/usr/lib/pam.d', '/usr/share/pam.d', '/usr/etc/pam.d'];
const PAM_FILE = /(?:^|\/)pam\.(?:d\/[^/]+|conf)$/;

export class Pam implements Rule {
  readonly #options: PamOptions;
  readonly #modules: (PamModule & { readonly by: string })[] = [];
  readonly #missing: Missing;

  constructor(options: PamOptions) {
    this.#options = options;
    this.#missing = new Missing(options.files);
  }

  offer({ path, stat }: Draft): void {
    if (stat?.type !== 'file' || !PAM_FILE.test(path)) return;
    const { files, taker } = this.#options;
    const text = files.whole(path)?.toString('latin1') ?? '';
    const { modules, includes } = parsePam(text, path.endsWith('/pam.conf'));
    for (const one of modules) this.#modules.push({ ...one, by: path });
    for (const name of includes) {
      const places = name.startsWith('/') ? [name] : DIRECTORIES.map((one) => `${one}/${name}`);
      const found = places.find((place) => files.file(place) !== null);
      if (found === undefined) this.#missing.add(name, path);
      else taker.take(found, { kind: 'named-by', about: path });
    }
  }

  /** Late: the programs say for which machines. */
  settle(): void {
    const { search, taker, libraries } = this.#options;
    const machines = libraries.machines();
    if (machines.length === 0) return;
    for (const { name, optional, settings, by } of this.#modules.splice(0)) {
      let found = false;
      for (const setting of settings) this.#takeFile(setting, { kind: 'named-by', about: by });
      for (const machine of machines) {
        const { plain } = search.inDirectories(
          // libpam's own directory is some `security` beside the libraries; `$ISA` is of old.
          name.startsWith('/') ? name.slice(name.lastIndexOf('/') + 1) : name,
          name.startsWith('/')
            ? [name.slice(0, name.lastIndexOf('/'))]
            : search.systemDirectories(machine).map((directory) => `${directory}/security`),
          machine,
        );
        if (plain === null) continue;
        found = true;
        const module = taker.take(plain.opened, { kind: 'named-by', about: by });
        if (module === null) continue;
        for (const setting of this.#settingsOf(name))
          this.#takeFile(setting, { kind: 'needed-by', about: module });
      }
      if (!found && !optional) this.#missing.add(name, by);
    }
  }

  /**
   * What a module reads wherever it is used. Without limits.conf pam_limits refuses every session
   * (Linux-PAM 1.5).
   */
  #settingsOf(module: string): string[] {
    const [, name] = /(?:^|\/)pam_([^/]+)\.so$/.exec(module) ?? [];
    if (name === undefined) return [];
    const folder = '/etc/security';
    const more = this.#options.files.list(`${folder}/${name}.d`);
    return [
      ...[`${folder}/${name}.conf`, `${folder}/pam_${name}.conf`],
      ...more.filter((one) => one.endsWith('.conf')).map((one) => `${folder}/${name}.d/${one}`),
    ];
  }

  #takeFile(path: string, reason: DraftReason): void {
    const { files, taker } = this.#options;
    if (files.file(path) !== null) taker.take(path, reason);
  }

  problems(): Problem[] {
    return this.#missing.problem({
      code: 'missing-pam',
      what: 'modules or files that the PAM configuration in the image names are not in the root',
      hint: 'services that use them refuse everyone; install what is missing, or take it out of pam.d',
    });
  }
}

export interface PamModule {
  readonly name: string;
  /** PAM goes on without it. */
  readonly optional: boolean;
  /** Files that its arguments name, as in `file=/etc/allowed`. */
  readonly settings: readonly string[];
}

/** `withService`: lines begin with a service's name (pam.conf). */
export function parsePam(
  text: string,
  withService: boolean,
): { modules: PamModule[]; includes: string[] } {
  const modules: PamModule[] = [];
  const includes: string[] = [];
  for (const raw of text.replaceAll('\\\n', ' ').split('\n')) {
    const line = (raw.slice(0, MOST_LINE).split('#')[0] ?? '').trim();
    if (line.startsWith('@include')) {
      const name = line.slice('@include'.length).trim();
      if (name !== '') includes.push(name);
      continue;
    }
    // A control in brackets has blanks.
    const words = line.match(/\[[^\]]*\]|[^ \t[]+/g) ?? [];
    const [type = '', control = '', name, ...rest] = withService ? words.slice(1) : words;
    if (name === undefined) continue;
    if (control === 'include' || control === 'substack') includes.push(name);
    else
      modules.push({
        name: name.replace('$ISA/', ''),
        optional:
          type.startsWith('-') || control === 'optional' || /module_unknown=ignore/.test(control),
        settings: rest.flatMap((one) => /^\[?\w+=(\/[^\]]*)\]?$/.exec(one)?.[1] ?? []),
      });
  }
  return { modules, includes };
}
