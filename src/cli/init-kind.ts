/** An init as a person names it: `exec`. */
import { TraceError } from '../common/errors.ts';
import { INIT_KINDS, type InitKind } from '../image/choices.ts';

/** @throws TraceError for a word that is none */
export function initKind(word: string): InitKind {
  const kind = INIT_KINDS.find((known) => known === word);
  if (kind !== undefined) return kind;
  throw new TraceError({
    code: 'bad-init',
    message: `'${word}' is not an init`,
    hint: `inits: ${INIT_KINDS.join(', ')}`,
    exit: 'usage',
  });
}
