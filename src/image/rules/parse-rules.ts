/**
 * The file of rules: one a line, `+ GLOB` or `- GLOB`, and comments. Owns that format, and what a
 * rule is. Must not know what rules do.
 */
import { TraceError } from '../../common/errors.ts';
import type { ImageRule } from '../choices.ts';
import { MAX_GLOB, parseGlob } from './glob.ts';

/** Bytes; a request with as many rules must fit into one of the control socket. */
export const MAX_RULES_FILE = 65_536;
export const MAX_RULES = 1000;

/**
 * In the order of the lines. Blanks at both ends of a line are none of its glob, unless quoted.
 * @param name how the file is called in messages
 * @throws TraceError `bad-rules` with the line's number
 */
export function parseRules(bytes: Buffer, name: string): ImageRule[] {
  if (bytes.length > MAX_RULES_FILE)
    throw badRules(name, `it is larger than ${MAX_RULES_FILE} bytes`);
  if (bytes.includes(0)) throw badRules(name, 'it holds NUL bytes: that is no text');
  const rules: ImageRule[] = [];
  for (const [index, line] of bytes.toString('latin1').split('\n').entries()) {
    if (/^[ \t\r]*(#|$)/.test(line)) continue;
    const where = `${name}, line ${index + 1}`;
    // First of all: blanks within a line take the expression a step for each two of them.
    if (line.length > 2 * MAX_GLOB) throw badRules(where, 'it is too long');
    const [, sign, glob] = /^[ \t]*([+-])[ \t]+((?:\\.|[^\\])*?)[ \t\r]*$/.exec(line) ?? [];
    if (sign === undefined || glob === undefined || glob === '')
      throw badRules(where, "a rule is '+ GLOB' or '- GLOB'");
    try {
      parseGlob(glob);
    } catch (cause) {
      if (cause instanceof TraceError) throw badRules(where, cause.message, cause.hint);
      throw cause;
    }
    rules.push({ include: sign === '+', glob });
  }
  return rules;
}

function badRules(where: string, why: string, hint?: string): TraceError {
  return new TraceError({
    code: 'bad-rules',
    message: `${where}: ${why}`,
    hint: hint ?? 'one rule a line, say `- /usr/share/man/**`; lines with # are comments',
    exit: 'data',
  });
}
