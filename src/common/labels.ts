/**
 * What may be a client's label: a word or a few for people, never something that a terminal obeys
 * or that reads like another client. Owns that rule.
 */
import { parseAddress } from './addresses.ts';
import { TraceError } from './errors.ts';

const LONGEST_LABEL = 64;
/** Control and format characters (also those that turn the direction of text), line ends, and what no character is. */
const UNFIT = /[\p{C}\p{Zl}\p{Zp}]/u;

/** @throws TraceError `bad-label` */
export function soundLabel(text: string): string {
  const why =
    text === ''
      ? 'is empty'
      : Array.from(text).length > LONGEST_LABEL
        ? `is longer than ${LONGEST_LABEL} characters`
        : UNFIT.test(text)
          ? 'has a control character or another that cannot be seen'
          : text.trim() !== text
            ? 'begins or ends with a space'
            : parseAddress(text) !== null
              ? 'is an address'
              : null;
  if (why === null) return text;
  throw new TraceError({
    code: 'bad-label',
    message: `the label ${why}`,
    hint: `take up to ${LONGEST_LABEL} printable characters, like rack1-07`,
    exit: 'usage',
  });
}
