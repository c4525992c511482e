/**
 * Reads what `strace -e trace=%file` writes: joins calls that were interrupted, follows chdir(2) and
 * chroot(2), and tells which path each call used for what. Owns the calls that are not finished.
 */
import { normal } from '../bytes.ts';
import { doneTo, FILE_CALLS, type FileCall, type NamedPath, type Outcome } from '../file-calls.ts';
import type { ListReader, Sink } from '../use.ts';
import { directoryOf, isOwnDirectory, splitCall, stringOf } from './arguments.ts';
import { parseLine } from './line.ts';
import { Processes, resolve, seenBy, wholePath, type Place, type Process } from '../processes.ts';

const FORKS = new Set(['clone', 'clone2', 'clone3', 'fork', 'vfork']);
const MOST_UNFINISHED = 65_536;
const NOT_THERE = /^-1 (?:ENOENT|ENOTDIR|ENAMETOOLONG|EFAULT)\b/;

/** On a terminal strace says this in the middle of a line, which goes on in the next one. */
const ATTACHED = /^([^]+)strace: Process \d+ (?:attached|detached)$/;
const MOST_HELD = 1024 * 1024;

interface Finished {
  readonly name: string;
  readonly args: readonly string[];
  readonly result: string;
  readonly outcome: Outcome;
  readonly atUs: number | null;
}

export class StraceReader implements ListReader {
  readonly #sink: Sink;
  /** The root, if it can be what a relative path to a directory that is not known means. */
  readonly #rootNamed: (directory: Buffer) => Buffer | null;
  readonly #processes = new Processes();
  /** By process: the first part of its call. */
  readonly #unfinished = new Map<string, { readonly text: string; readonly atUs: number | null }>();

  /** The beginning of a line that strace has interrupted itself. */
  #held = '';

  constructor(options: {
    readonly sink: Sink;
    readonly rootNamed: (directory: Buffer) => Buffer | null;
  }) {
    this.#sink = options.sink;
    this.#rootNamed = options.rootNamed;
  }

  static matches(line: string): boolean {
    const event = parseLine(line)?.event;
    if (event?.kind !== 'call') return event !== undefined && event.kind !== 'other';
    return FILE_CALLS.has(nameOf(event.text));
  }

  read(line: Buffer): void {
    if (line.length === 0) return;
    const text = this.#held + line.toString('latin1');
    const [, before] = ATTACHED.exec(text) ?? [];
    this.#held = before ?? '';
    if (before === undefined) this.#line(text);
    else if (before.length > MOST_HELD) {
      this.#held = '';
      this.#sink.refuse('too-long');
    }
  }

  #line(text: string): void {
    const parsed = parseLine(text);
    if (parsed === null) {
      this.#sink.refuse('not-understood');
      return;
    }
    const { pid, atUs, event } = parsed;
    if (event.kind === 'other') this.#sink.pass('no-path');
    else if (event.kind === 'ended') {
      this.#giveUp(pid);
      this.#processes.end(pid);
      this.#sink.pass('no-path');
    } else if (event.kind === 'resumed') {
      const first = this.#unfinished.get(pid);
      this.#unfinished.delete(pid);
      // What is no file's call was not kept.
      if (first === undefined || nameOf(first.text) !== event.name) this.#missed(event.name);
      else this.#call(pid, first.text + event.text, first.atUs);
    } else if (event.unfinished) this.#begin(pid, event.text, atUs);
    else this.#call(pid, event.text, atUs);
  }

  end(): void {
    if (this.#held !== '') this.#line(this.#held);
    this.#held = '';
    for (const pid of [...this.#unfinished.keys()]) this.#giveUp(pid);
  }

  #begin(pid: string, text: string, atUs: number | null): void {
    this.#giveUp(pid);
    this.#unfinished.set(pid, { text, atUs });
    const [oldest] = this.#unfinished.keys();
    if (this.#unfinished.size > MOST_UNFINISHED && oldest !== undefined) this.#giveUp(oldest);
  }

  /** The end of a call that has none in the log. */
  #giveUp(pid: string): void {
    const first = this.#unfinished.get(pid);
    if (first === undefined) return;
    this.#unfinished.delete(pid);
    this.#call(pid, `${first.text}) = ?`, first.atUs);
  }

  /** The end of a call whose beginning is not in the log. */
  #missed(name: string): void {
    if (FILE_CALLS.has(name)) this.#sink.refuse('not-understood');
    else this.#sink.pass('no-path');
  }

  #call(pid: string, text: string, atUs: number | null): void {
    const name = nameOf(text);
    const call = FILE_CALLS.get(name);
    if (call === undefined && !FORKS.has(name) && name !== 'getcwd' && name !== 'fchdir') {
      this.#sink.pass('no-path');
      return;
    }
    const split = splitCall(text.slice(name.length + 1));
    const [, result] = /^\s*= ([^]*)$/.exec(split?.rest ?? '') ?? [];
    if (split === null || result === undefined) {
      this.#sink.refuse('not-understood');
      return;
    }
    const finished = { name, args: split.args, result, outcome: outcomeOf(result), atUs };
    const process = this.#processes.of(pid);
    if (call !== undefined) this.#paths(process, call, finished);
    else this.#sink.pass('no-path');
    if (finished.outcome === 'done') this.#follow(process, finished);
  }

  #paths(process: Process, call: FileCall, finished: Finished): void {
    for (const named of call.paths) this.#path(process, { call, named, finished });
  }

  #path(
    process: Process,
    { call, named, finished }: { call: FileCall; named: NamedPath; finished: Finished },
  ): void {
    const { name, args, outcome, atUs } = finished;
    const written = stringOf(args[named.path] ?? '');
    // NULL, an address that could not be read, or the descriptor itself.
    if (written === null || (written.bytes.length === 0 && !written.cut))
      this.#sink.pass('no-path');
    else if (written.cut) this.#sink.refuse('truncated');
    else {
      const place = this.#place(process, written.bytes, {
        directory: args[named.directory ?? -1],
        roots: name === 'chroot',
      });
      const done = doneTo(call, named, { flags: flagsOf(call, args), outcome });
      if (place !== null) this.#sink.use({ ...place, ...done, atUs });
      // Looked for from wherever it was, and not there: nothing that an image could have.
      else if (outcome === 'not-there') this.#sink.pass('no-path');
      else this.#sink.refuse('unknown-directory');
    }
  }

  /**
   * @param from.directory the argument that tells what a relative path is from
   * @param from.roots a path that can be the root is, wherever it is relative to
   */
  #place(
    process: Process,
    path: Buffer,
    { directory, roots = false }: { directory?: string | undefined; roots?: boolean },
  ): Place | null {
    if (directory !== undefined) {
      const told = directoryOf(directory);
      const at = told === null ? null : seenBy(process, told);
      if (!isOwnDirectory(directory)) return resolve(process, path, at);
      if (at !== null) process.cwd = at;
    }
    const place = resolve(process, path);
    if (place !== null || !roots) return place;
    const root = this.#rootNamed(path);
    return root === null ? null : { path: root, chroot: null };
  }

  /** What a call changes about its process, or begins. */
  #follow(process: Process, { name, args, result }: Finished): void {
    const [first = ''] = args;
    const path = stringOf(first);
    if (FORKS.has(name)) this.#processes.fork(process, /^\d+/.exec(result)?.[0] ?? '');
    else if (name === 'fchdir') {
      const told = directoryOf(first);
      process.cwd = told === null ? null : seenBy(process, told);
    } else if (path === null || path.cut) return;
    else if (name === 'getcwd')
      process.cwd = path.bytes[0] === 0x2f ? { path: path.bytes, chroot: process.chroot } : null;
    else if (name === 'chdir') {
      const place = resolve(process, path.bytes);
      process.cwd = place === null ? null : { ...place, path: normal(place.path) };
    } else if (name === 'chroot') {
      const place = this.#place(process, path.bytes, { roots: true });
      if (place !== null) process.chroot = trimmed(wholePath(place));
    }
  }
}

function nameOf(text: string): string {
  return text.slice(0, text.indexOf('('));
}

function outcomeOf(result: string): Outcome {
  if (result.startsWith('?')) return 'unknown';
  if (!result.startsWith('-1 ')) return 'done';
  return NOT_THERE.test(result) ? 'not-there' : 'refused';
}

/** The words of its flags. */
function flagsOf(call: FileCall, args: readonly string[]): ReadonlySet<string> {
  const from = call.opens ?? Math.max(...call.paths.map(({ path }) => path)) + 1;
  const words = args.slice(from).filter((arg) => !arg.startsWith('"'));
  return new Set(words.join('|').match(/\b(?:O|AT)_[A-Z_]+/g) ?? []);
}

function trimmed(path: Buffer): Buffer {
  return path.length > 1 && path.at(-1) === 0x2f ? path.subarray(0, -1) : path;
}
