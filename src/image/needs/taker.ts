/**
 * How rules put something into an image: by a path that may have links, with the links. Owns that
 * an entry says each kind of reason once: the C library would carry one for every program.
 */
import type { Closure, DraftReason } from '../closure.ts';
import type { RootFiles } from './root-files.ts';

export class Taker {
  readonly #files: RootFiles;
  readonly #closure: Closure;

  constructor(files: RootFiles, closure: Closure) {
    this.#files = files;
    this.#closure = closure;
  }

  /** The path without links of what is now in; null when nothing is there. */
  take(path: string, reason: DraftReason): string | null {
    const found = this.#files.find(path);
    if (found === null) return null;
    for (const link of found.through)
      if (!this.has(link)) this.#closure.add(link, { kind: 'way-to', about: found.path });
    const known = this.#closure.drafts.get(found.path);
    if (known === undefined || !known.reasons.some(({ kind }) => kind === reason.kind))
      this.#closure.add(found.path, reason);
    return found.path;
  }

  has(path: string): boolean {
    return this.#closure.drafts.has(path);
  }
}
