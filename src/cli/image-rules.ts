/**
 * Rules of an image as a person gives them: on the command line and in a file. Owns the reading of
 * that file, and the order: the command line's first.
 */
import { closeSync, openSync, readSync } from 'node:fs';
import { TraceError } from '../common/errors.ts';
import type { ImageRule } from '../image/choices.ts';
import { parseGlob } from '../image/rules/glob.ts';
import { MAX_RULES, MAX_RULES_FILE, parseRules } from '../image/rules/parse-rules.ts';

/** @throws TraceError `bad-glob`, `bad-rules`, `rules-not-readable`, `too-many-rules` */
export function imageRulesOf(
  given: readonly ImageRule[],
  file: string | undefined,
): readonly ImageRule[] {
  for (const { glob } of given) parseGlob(glob);
  const rules = [...given, ...(file === undefined ? [] : parseRules(readRules(file), file))];
  if (rules.length > MAX_RULES)
    throw new TraceError({
      code: 'too-many-rules',
      message: `${rules.length} rules, and ${MAX_RULES} is the most`,
      hint: 'one pattern can stand for several: {a,b}, * and **',
      exit: 'usage',
    });
  return rules;
}

/** A rule of the command line. Its words come as UTF-8, so any other name needs a file. */
export function ruleArgument(include: boolean, text: string): ImageRule {
  return { include, glob: Buffer.from(text).toString('latin1') };
}

/** No more than is one byte too much: the file may be a device, or without an end. */
function readRules(path: string): Buffer {
  const buffer = Buffer.alloc(MAX_RULES_FILE + 1);
  let length = 0;
  try {
    const fd = openSync(path, 'r');
    try {
      for (let got = -1; got !== 0 && length < buffer.length; length += got)
        got = readSync(fd, buffer, length, buffer.length - length, null);
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new TraceError({
      code: 'rules-not-readable',
      message: `cannot read the rules in ${path}: ${code ?? String(cause)}`,
      hint: '--rules takes a text file with one rule a line',
      exit: code === 'ENOENT' ? 'notFound' : 'io',
      cause,
    });
  }
  return buffer.subarray(0, length);
}
