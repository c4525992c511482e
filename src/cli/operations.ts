/** A list of operations as a person gives it: `read,readlink`. */
import { TraceError } from '../common/errors.ts';
import { OPERATIONS, operationBit, type Operation } from '../common/words.ts';

/** @throws TraceError for a word that is no operation */
export function bitsOf(list: string): number {
  let bits = 0;
  for (const word of list.split(',')) {
    if (!(OPERATIONS as readonly string[]).includes(word))
      throw new TraceError({
        code: 'bad-operation',
        message: `'${word}' is not an operation`,
        hint: `operations: ${OPERATIONS.join(', ')}`,
        exit: 'usage',
      });
    bits |= operationBit(word as Operation);
  }
  return bits;
}
