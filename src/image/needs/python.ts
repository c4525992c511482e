/**
 * The rule for Python: with a compiled module comes the source that it was made from. Python looks for
 * sources, and only with one does what lies in `__pycache__` count (PEP 3147). A client that has
 * listed the directory knows that the source is there, and what it is, without asking for it, so
 * that no trace shows it. Owns how the names go together.
 */
import type { Draft } from '../closure.ts';
import type { Rule } from './rule.ts';
import type { Taker } from './taker.ts';

/** As importlib.util.source_from_cache() takes it: NAME.TAG.pyc or NAME.TAG.opt-LEVEL.pyc. */
const COMPILED = /^(.*?)__pycache__\/([^/.]+)\.[^/.]+(?:\.opt-[^/.]+)?\.pyc$/;

export class Python implements Rule {
  readonly #taker: Taker;

  constructor(taker: Taker) {
    this.#taker = taker;
  }

  offer({ path, stat }: Draft): void {
    const [, folder, name] = (stat?.type === 'file' ? COMPILED.exec(path) : null) ?? [];
    if (folder === undefined || name === undefined) return;
    this.#taker.take(`${folder}${name}.py`, { kind: 'needed-by', about: path });
  }
}
