/** The arguments of a call as strace writes them. Pure; text is latin1, one character a byte. */
import { unescaped } from '../escapes.ts';

export interface Call {
  readonly args: readonly string[];
  /** What stands behind the closing parenthesis. */
  readonly rest: string;
}

const CLOSED: Readonly<Record<string, number>> = { ')': -1, ']': -1, '}': -1 };
const OPENED: Readonly<Record<string, number>> = { '(': 1, '[': 1, '{': 1 };

/** @param text what follows the call's opening parenthesis; null if that is never closed */
export function splitCall(text: string): Call | null {
  const args: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const letter = text[at] ?? '';
    if (letter === '"') at = endOfString(text, at);
    else if (letter === '<' && /[\dD]/.test(text[at - 1] ?? '')) at = endOfNote(text, at);
    else if (letter === '/' && text[at + 1] === '*') at = endOf(text, '*/', at);
    else if (letter === ',' && depth === 0) {
      args.push(text.slice(from, at).trim());
      from = at + 1;
    } else if (letter === ')' && depth === 0) {
      args.push(text.slice(from, at).trim());
      return { args, rest: text.slice(at + 1) };
    } else depth += OPENED[letter] ?? CLOSED[letter] ?? 0;
  }
  return null;
}

/** A quoted path; null: none is quoted there, as of an address that could not be read. */
export function stringOf(arg: string): { readonly bytes: Buffer; readonly cut: boolean } | null {
  const [, inner, more] = /^"((?:[^"\\]|\\[^])*)"(\.\.\.)?$/.exec(arg) ?? [];
  return inner === undefined ? null : { bytes: unescaped(inner), cut: more !== undefined };
}

/** The directory that a file descriptor is of (`-y`): `3</etc>`; null if it is not told. */
export function directoryOf(arg: string): Buffer | null {
  const [, path] = /^(?:AT_FDCWD|\d+)<(\/[^<>]*)/.exec(arg) ?? [];
  return path === undefined ? null : unescaped(path);
}

export function isOwnDirectory(arg: string): boolean {
  return arg.startsWith('AT_FDCWD');
}

function endOfString(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at += 1)
    if (text[at] === '\\') at += 1;
    else if (text[at] === '"') return at;
  return text.length;
}

/** `<` and `>` of a path are escaped; what is in a note of its own (`<char 1:3>`) has both. */
function endOfNote(text: string, from: number): number {
  let depth = 0;
  for (let at = from; at < text.length; at += 1)
    if (text[at] === '<') depth += 1;
    else if (text[at] === '>' && (depth -= 1) === 0) return at;
  return text.length;
}

function endOf(text: string, what: string, from: number): number {
  const at = text.indexOf(what, from);
  return at < 0 ? text.length : at + what.length - 1;
}
