/**
 * The language of rules' patterns, on byte strings: parses one and tells which paths it matches.
 * Owns the language. Must not know the tree or what a match is for.
 *
 * A pattern is matched name by name, so that a walk can leave out what nothing can match, and what
 * is between two stars is looked for on its own: picomatch gives it a regular expression of a fixed
 * length. Whatever the pattern and the path, there is nothing to try twice.
 */
import picomatch from 'picomatch/posix.js';

import { TraceError } from '../../common/errors.ts';

/** `any`: no or several directories (`**`). */
export type GlobPart = 'any' | { readonly literal: string } | { readonly pieces: readonly Piece[] };

/** What is between two stars. */
interface Piece {
  /** Bytes that it matches. */
  readonly length: number;
  readonly test: RegExp;
}

export interface GlobPath {
  /** From the root; empty = the root itself. */
  readonly parts: readonly GlobPart[];
  /** The directory that the parts match, with all that is in it. */
  readonly tree: boolean;
}

/** Bytes of a pattern. */
export const MAX_GLOB = 1024;
/** What braces may multiply to. */
const MAX_ALTERNATIVES = 256;
/** Names of a pattern. */
const MAX_PARTS = 64;

/**
 * The paths that a pattern stands for: one for each alternative of its braces.
 * @throws TraceError `bad-glob`
 */
export function parseGlob(glob: string): readonly GlobPath[] {
  if (glob === '') throw badGlob(glob, 'it is empty');
  if (glob.length > MAX_GLOB) throw badGlob(glob.slice(0, 40), `over ${MAX_GLOB} bytes`);
  if (glob.includes('\0')) throw badGlob(glob, 'it holds a NUL');
  return expandBraces(glob).map((one) => parsePath(one, glob));
}

/** States of a match: indices into the parts; `parts.length` = all of them have matched. */
export type GlobState = ReadonlySet<number>;

export function startOf({ parts }: GlobPath): GlobState {
  return settle(parts, [0]);
}

/** The state after one more name. */
export function stepInto({ parts, tree }: GlobPath, state: GlobState, name: string): GlobState {
  const next: number[] = [];
  for (const at of state) {
    const part = parts[at];
    if (part === undefined) {
      if (tree) next.push(at);
    } else if (part === 'any') next.push(at);
    else if (fits(part, name)) next.push(at + 1);
  }
  return settle(parts, next);
}

/** Whether a state is a match of the whole pattern. */
export function isEnd({ parts }: GlobPath, state: GlobState): boolean {
  return state.has(parts.length);
}

/** The names that can come next, null when any can. */
export function namesAfter({ parts, tree }: GlobPath, state: GlobState): readonly string[] | null {
  const names: string[] = [];
  for (const at of state) {
    const part = parts[at];
    if (part === undefined) {
      if (tree) return null;
    } else if (part === 'any' || 'pieces' in part) return null;
    else names.push(part.literal);
  }
  return names;
}

/**
 * Whether a path matches: `directory` = only if it is one, since a tree begins with a directory.
 */
export function matchPath(glob: GlobPath, names: readonly string[]): boolean | 'directory' {
  // Nearly all paths differ from a pattern in their first or last name already.
  const [first] = glob.parts;
  const last = glob.tree ? undefined : glob.parts.at(-1);
  if (first !== undefined && !fits(first, names[0])) return false;
  if (last !== undefined && !fits(last, names.at(-1))) return false;
  let state = startOf(glob);
  for (const name of names) {
    // What is below the top of a tree needs no more looking at.
    if (glob.tree && isEnd(glob, state)) return true;
    state = stepInto(glob, state, name);
    if (state.size === 0) return false;
  }
  if (!isEnd(glob, state)) return false;
  return glob.tree ? 'directory' : true;
}

function fits(part: GlobPart, name: string | undefined): boolean {
  if (part === 'any') return true;
  if (name === undefined) return false;
  return 'literal' in part ? part.literal === name : matchName(part.pieces, name);
}

function settle(parts: readonly GlobPart[], states: readonly number[]): GlobState {
  const all = new Set<number>();
  for (let at of states) {
    all.add(at);
    while (parts[at] === 'any') all.add(++at);
  }
  return all;
}

function parsePath(text: string, glob: string): GlobPath {
  const [, slash = '', body = '', end = ''] = /^(\/?)(.*?)((?:\/(?:\*\*)?)*)$/s.exec(text) ?? [];
  if (/\/\//.test(slash + body + end)) throw badGlob(glob, 'two slashes in a row');
  if (body === '' || body === '**') return { parts: [], tree: true };
  const names = body.split('/');
  if (names.length > MAX_PARTS) throw badGlob(glob, `more than ${MAX_PARTS} names`);
  const parts = names.map((name) => parseName(name, glob));
  const anchored = slash !== '' || parts.length > 1;
  return { parts: anchored ? parts : ['any', ...parts], tree: end !== '' };
}

function parseName(name: string, glob: string): GlobPart {
  if (name === '') throw badGlob(glob, 'two slashes in a row');
  if (name === '.' || name === '..') throw badGlob(glob, `'${name}' is no name in a root`);
  if (name === '**') return 'any';
  let literal = '';
  let pattern = '';
  let length = 0;
  let wild = false;
  const pieces: Piece[] = [];
  const finish = () => {
    pieces.push({ length, test: pattern === '' ? /^$/ : toExpression(pattern, glob) });
    pattern = '';
    length = 0;
  };
  for (let at = 0; at < name.length; at++) {
    const character = name.charAt(at);
    if (character === '\\') {
      const quoted = name.charAt(++at);
      if (quoted === '') throw badGlob(glob, 'nothing to quote after the last \\');
      literal += quoted;
      pattern += quote(quoted);
      length += 1;
    } else if (character === '*') {
      wild = true;
      finish();
    } else if (character === '?') {
      wild = true;
      pattern += character;
      length += 1;
    } else if (character === '[') {
      const [all = '', not = '', inside = ''] =
        /\[([!^]?)(\]?(?:\\.|\[:[a-z]+:\]|[^\]\\])*)\]/sy.exec(name.slice(at)) ?? [];
      if (all === '') throw badGlob(glob, "']' is missing after '['");
      if (inside === '') throw badGlob(glob, 'nothing between [ and ]');
      wild = true;
      pattern += `[${not && '^'}${inside.replace(/^\]/, '\\]')}]`;
      length += 1;
      at += all.length - 1;
    } else {
      literal += character;
      pattern += quote(character);
      length += 1;
    }
  }
  if (!wild) return { literal };
  finish();
  return { pieces };
}

/** The first piece begins the name, the last ends it, the others follow where they first can. */
function matchName(pieces: readonly Piece[], name: string): boolean {
  const isAt = ({ length, test }: Piece, at: number) => test.test(name.slice(at, at + length));
  const [first, ...rest] = pieces;
  const last = rest.pop();
  if (first === undefined || !isAt(first, 0)) return false;
  if (last === undefined) return name.length === first.length;
  const end = name.length - last.length;
  let at = first.length;
  for (const piece of rest) {
    while (at + piece.length <= end && !isAt(piece, at)) at += 1;
    at += piece.length;
  }
  return at <= end && isAt(last, end);
}

/** What picomatch gives a meaning that the language does not have. */
function quote(character: string): string {
  return /[\w\x80-\xff]/.test(character) ? character : `\\${character}`;
}

function toExpression(pattern: string, glob: string): RegExp {
  try {
    return picomatch.makeRe(pattern, {
      // A root's dot files are files like others, and a name may begin with a newline.
      dot: true,
      flags: 's',
      // The whole of the language is in the pattern already.
      posix: true,
      nobrace: true,
      noextglob: true,
      nonegate: true,
      fastpaths: false,
      strictSlashes: true,
      literalBrackets: false,
      // An impossible range ([z-a]) throws, instead of matching nothing.
      debug: true,
    });
  } catch (cause) {
    throw badGlob(glob, 'a range between [ and ] is out of order', cause);
  }
}

/** `a{b,c/d}e` is `abe` and `ac/de`; braces without a comma are themselves. */
function expandBraces(glob: string): string[] {
  const done: string[] = [];
  const waiting = [glob];
  for (let text = waiting.pop(); text !== undefined; text = waiting.pop()) {
    const found = firstBraces(text, glob);
    if (found === null) done.push(text);
    else {
      const { from, to, options } = found;
      for (const option of options.reverse())
        waiting.push(text.slice(0, from) + option + text.slice(to));
    }
    if (done.length + waiting.length > MAX_ALTERNATIVES)
      throw badGlob(glob, `its braces make more than ${MAX_ALTERNATIVES} patterns`);
  }
  return done;
}

interface Braces {
  readonly from: number;
  /** Behind the closing one. */
  readonly to: number;
  readonly options: string[];
}

/** The first outermost pair of braces with a comma. */
function firstBraces(text: string, glob: string): Braces | null {
  for (let from = 0; from < text.length; from++) {
    const character = text.charAt(from);
    if (character === '\\') from += 1;
    if (character !== '{') continue;
    const options: string[] = [];
    let start = from + 1;
    let depth = 1;
    for (let at = from + 1; at < text.length && depth > 0; at++) {
      const inner = text.charAt(at);
      if (inner === '\\') at += 1;
      else if (inner === '{') depth += 1;
      else if (inner === '}') depth -= 1;
      if (depth === 0 || (depth === 1 && inner === ',')) {
        options.push(text.slice(start, at));
        start = at + 1;
      }
    }
    if (depth > 0) {
      if (isBetweenBrackets(text, from)) continue;
      throw badGlob(glob, "'}' is missing after '{'");
    }
    if (options.length > 1) return { from, to: start, options };
  }
  return null;
}

/** There a brace is itself: `[{]`. */
function isBetweenBrackets(text: string, at: number): boolean {
  const before = text.slice(0, at).replace(/\\./gs, '');
  return before.lastIndexOf('[') > before.lastIndexOf(']') && text.includes(']', at);
}

function badGlob(glob: string, why: string, cause?: unknown): TraceError {
  return new TraceError({
    code: 'bad-glob',
    message: `'${Buffer.from(glob, 'latin1').toString()}' is not a pattern: ${why}`,
    hint: 'write it like /usr/share/man/** or *.la: ** is any directories, \\ quotes what follows',
    exit: 'usage',
    cause,
  });
}
