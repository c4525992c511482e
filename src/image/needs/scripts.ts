/**
 * The rule for `#!`: the interpreter of an executable script, and the program that `env` starts.
 * Owns the kernel's reading of that line (fs/binfmt_script.c) and env's of its argument.
 */
import type { Draft } from '../closure.ts';
import type { Problem } from '../plan-types.ts';
import { Missing } from './missing.ts';
import type { RootFiles } from './root-files.ts';
import type { Rule } from './rule.ts';
import type { Taker } from './taker.ts';

const MAGIC = Buffer.from('#!');
/** BINPRM_BUF_SIZE. */
const FIRST_BYTES = 256;
/** What init systems, sshd and login give to what they start, in one order or another. */
const USUAL_PATH = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'];

export class Scripts implements Rule {
  readonly #files: RootFiles;
  readonly #taker: Taker;
  readonly #missing: Missing;

  constructor(files: RootFiles, taker: Taker) {
    this.#files = files;
    this.#taker = taker;
    this.#missing = new Missing(files);
  }

  offer({ path, stat }: Draft): void {
    // One that may not be executed is read by something that is running already.
    if (stat?.type !== 'file' || (stat.mode & 0o111) === 0 || stat.size < 3) return;
    // Of nearly all files these are known already.
    if (!this.#files.read(path, 0, 4).subarray(0, 2).equals(MAGIC)) return;
    const line = parseShebang(this.#files.read(path, 0, FIRST_BYTES));
    if (line === null) return;
    const reason = { kind: 'interpreter-of', about: path } as const;
    // Another is relative to a working directory that nobody knows.
    if (!line.interpreter.startsWith('/')) return;
    if (this.#taker.take(line.interpreter, reason) === null) {
      this.#missing.add(line.interpreter, path);
      return;
    }
    if (!line.interpreter.endsWith('/env') || line.argument === null) return;
    const program = parseEnv(line.argument);
    if (program === null) return;
    const found = program.includes('/')
      ? this.#executable(program)
      : USUAL_PATH.map((directory) => this.#executable(`${directory}/${program}`)).find(
          (one) => one !== null,
        );
    if (typeof found === 'string') this.#taker.take(found, reason);
    else this.#missing.add(program, path);
  }

  problems(): Problem[] {
    return this.#missing.problem({
      code: 'missing-script-interpreter',
      what: 'interpreters that scripts in the image ask for are not in the root',
      hint: 'those scripts do not start; install what is missing into the root',
    });
  }

  #executable(path: string): string | null {
    const stat = this.#files.find(path)?.stat;
    return stat?.type === 'file' && (stat.mode & 0o111) !== 0 ? path : null;
  }
}

export interface Shebang {
  readonly interpreter: string;
  /** All the rest of the line: the kernel gives it as one argument. */
  readonly argument: string | null;
}

/** Null for what the kernel does not take for a script. Byte strings. */
export function parseShebang(head: Buffer): Shebang | null {
  const text = head.toString('latin1', 0, FIRST_BYTES);
  if (!text.startsWith('#!')) return null;
  const end = text.indexOf('\n');
  const [line = ''] = (end < 0 ? text : text.slice(0, end)).slice(2).split('\0');
  const inside = line.replace(/^[ \t]+/, '');
  const length = inside.search(/[ \t]/);
  // A name that the buffer may have cut is refused (Linux 5.0).
  if (inside === '' || (length < 0 && end < 0 && text.length === FIRST_BYTES)) return null;
  if (length < 0) return { interpreter: inside, argument: null };
  const argument = trim(inside.slice(length));
  return { interpreter: inside.slice(0, length), argument: argument === '' ? null : argument };
}

/** Blanks off both ends; by hand, as a pattern for it takes square time on blanks. */
function trim(text: string): string {
  const blank = (at: number) => text[at] === ' ' || text[at] === '\t';
  let [start, end] = [0, text.length];
  while (start < end && blank(start)) start++;
  while (end > start && blank(end - 1)) end--;
  return text.slice(start, end);
}

/** `-S`, with other short options before it or not, and what follows at once or as the next word. */
const SPLIT = /^(?:-[iv0]*S|--split-string(?:=|$))/;
const WITH_VALUE = /^-(?:[iv0]*[uCaP]|-unset|-chdir|-argv0)$/;
/** Stands for a variable of an environment that nobody knows. */
const UNKNOWN = '\0';

/** The program in env's single argument: its name, or after -S a whole command line. */
export function parseEnv(argument: string): string | null {
  // `env NAME=VALUE` and options name no program.
  if (!SPLIT.test(argument))
    return argument.startsWith('-') || argument.includes('=') ? null : argument;
  const words = [argument];
  let options = true;
  for (let word = words.shift(); word !== undefined; word = words.shift()) {
    const split = options ? SPLIT.exec(word) : null;
    if (split !== null) {
      const inner = splitWords(word.slice(split[0].length) || (words.shift() ?? ''));
      if (inner === null) return null;
      words.unshift(...inner);
    } else if (options && word.startsWith('-')) {
      if (word === '--') options = false;
      else if (WITH_VALUE.test(word)) words.shift();
    } else if (word.includes('=')) options = false;
    else return word === '' || word.includes(UNKNOWN) ? null : word;
  }
  return null;
}

const CONTROLS: Readonly<Record<string, string>> = {
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
  v: '\v',
};
const VARIABLE = /\$\{[A-Za-z_][A-Za-z_0-9]*\}/y;

/** As env -S of coreutils does it (build_argv in env.c); null for what that refuses. */
function splitWords(text: string): string[] | null {
  const words: string[] = [];
  let [word, quote, started] = ['', '', false];
  const add = (more: string) => ([word, started] = [word + more, true]);
  const end = () => {
    if (started) words.push(word);
    [word, started] = ['', false];
  };
  for (let at = 0; at < text.length; at++) {
    const sign = text[at] ?? '';
    if (sign === '\\' && (quote !== "'" || /[\\']/.test(text[at + 1] ?? ''))) {
      const next = text[++at] ?? '';
      if (next === 'c' && quote === '') break;
      if (next === '_' && quote === '') end();
      else if (next === '_') add(' ');
      else if (next !== '' && '"#$\'\\'.includes(next)) add(next);
      else {
        const control = CONTROLS[next];
        if (control === undefined) return null;
        add(control);
      }
    } else if (sign === '$' && quote !== "'") {
      VARIABLE.lastIndex = at;
      const [variable] = VARIABLE.exec(text) ?? [];
      if (variable === undefined) return null;
      at += variable.length - 1;
      add(UNKNOWN);
    } else if (quote === sign) quote = '';
    else if (quote !== '') add(sign);
    else if (sign === "'" || sign === '"') [quote, started] = [sign, true];
    else if (/[ \t\n\v\f\r]/.test(sign)) end();
    else if (sign === '#' && !started) break;
    else add(sign);
  }
  end();
  return quote === '' ? words : null;
}
