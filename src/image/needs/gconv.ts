/**
 * The rule for character conversion of glibc: where a module of it or an index was used, the
 * indexes that iconv needs to find a module come along. Further modules do not: which a program may
 * want is known only from its use.
 */
import type { Draft } from '../closure.ts';
import type { RootFiles } from './root-files.ts';
import type { Rule } from './rule.ts';
import type { Taker } from './taker.ts';

const USED = /(?:^|\/)gconv\/(?:[^/]+\.so|gconv-modules(?:\.cache|\.d\/[^/]+)?)$/;

export class Gconv implements Rule {
  readonly #files: RootFiles;
  readonly #taker: Taker;
  readonly #done = new Set<string>();

  constructor(files: RootFiles, taker: Taker) {
    this.#files = files;
    this.#taker = taker;
  }

  offer({ path, stat }: Draft): void {
    if (stat?.type !== 'file' || !USED.test(path)) return;
    const directory = path.slice(0, path.lastIndexOf('gconv/') + 'gconv'.length);
    if (this.#done.has(directory)) return;
    this.#done.add(directory);
    const more = this.#files
      .list(`${directory}/gconv-modules.d`)
      .filter((name) => name.endsWith('.conf'))
      .map((name) => `gconv-modules.d/${name}`);
    for (const name of ['gconv-modules', 'gconv-modules.cache', ...more])
      if (this.#files.file(`${directory}/${name}`) !== null)
        this.#taker.take(`${directory}/${name}`, { kind: 'index-of', about: path });
  }
}
