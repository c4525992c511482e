/**
 * Reads what `strace -e trace=%file` writes: joins calls that were interrupted, follows chdir(2) and
 * chroot(2), and tells which path each call used for what. Owns the calls that are not finished.
 */
import { climbs, join } from '../bytes.ts';
import {
  doneTo,
  failedWith,
  FILE_CALLS,
  type FileCall,
  type NamedPath,
  type Outcome,
} from '../file-calls.ts';
import type { ListReader, Sink } from '../use.ts';
import { directoryOf, isOwnDirectory, splitCall, stringOf } from './arguments.ts';
import { parseLine } from './line.ts';
import { asDirectory, resolve, seenBy, wholePath, type Place, type Process } from '../place.ts';
import { Processes } from '../processes.ts';

const FORKS = new Set(['clone', 'clone2', 'clone3', 'fork', 'vfork']);
/** What else tells or changes where a process is; those that name files are in the table of them. */
const MOVES = new Set([...FORKS, 'getcwd', 'fchdir', 'unshare', 'setns']);
/** openat2(2): the directory is the root of the path, and of the links in it. */
const IN_ROOT = /\bRESOLVE_IN_ROOT\b/;
const ROOT = Buffer.from('/');
const MOST_UNFINISHED = 65_536;
const NOT_THERE = /^-1 (?:ENOENT|ENOTDIR|ENAMETOOLONG|EFAULT)\b/;

/** On a terminal strace says this in the middle of a line, which goes on in the next one. */
const ATTACHED = /^([^]*)strace: Process \d+ (?:attached|detached)$/;
const MOST_HELD = 1024 * 1024;

interface Begun {
  readonly text: string;
  readonly atUs: number | null;
}

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
  readonly #unfinished = new Map<string, Begun>();

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
    const text = line.toString('latin1');
    const [, before] = ATTACHED.exec(text) ?? [];
    const whole = this.#held + (before ?? text);
    this.#held = '';
    if (before === undefined) this.#line(whole);
    // Nothing is in the middle of.
    else if (whole === '') this.#line(text);
    else if (whole.length > MOST_HELD) this.#sink.refuse('too-long');
    else this.#held = whole;
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
      const first = this.#resumed(pid, event.name);
      if (first !== null && nameOf(first.text) === event.name)
        this.#call(pid, first.text + event.text, first.atUs);
      else {
        if (first !== null) this.#ended(pid, first);
        this.#missed(event.name);
      }
    } else if (event.unfinished) this.#begin(pid, event.text, atUs);
    else {
      this.#giveUp(pid);
      this.#call(pid, event.text, atUs);
    }
  }

  end(): void {
    if (this.#held !== '') this.#line(this.#held);
    this.#held = '';
    for (const pid of [...this.#unfinished.keys()]) this.#giveUp(pid);
  }

  #begin(pid: string, text: string, atUs: number | null): void {
    this.#giveUp(pid);
    if (FORKS.has(nameOf(text))) this.#processes.forks(pid, shares(text));
    this.#unfinished.set(pid, { text, atUs });
    if (this.#unfinished.size <= MOST_UNFINISHED) return;
    const [oldest = ''] = this.#unfinished.keys();
    this.#giveUp(oldest);
  }

  #resumed(pid: string, name: string): Begun | null {
    const nameless = this.#unfinished.get('');
    if (nameless === undefined || this.#unfinished.has(pid) || nameOf(nameless.text) !== name)
      return this.#taken(pid);
    // It was the only one when it began.
    this.#processes.number(pid);
    return this.#taken('');
  }

  /** The call of a process that is not finished; it is not kept any more. */
  #taken(pid: string): Begun | null {
    const first = this.#unfinished.get(pid) ?? null;
    this.#unfinished.delete(pid);
    this.#processes.forked(pid);
    return first;
  }

  /** The end of a call that has none in the log. */
  #giveUp(pid: string): void {
    const first = this.#taken(pid);
    if (first !== null) this.#ended(pid, first);
  }

  #ended(pid: string, { text, atUs }: Begun): void {
    this.#call(pid, `${text}) = ?`, atUs);
  }

  /** The end of a call whose beginning is not in the log. */
  #missed(name: string): void {
    if (FILE_CALLS.has(name)) this.#sink.refuse('not-understood');
    else this.#sink.pass('no-path');
  }

  #call(pid: string, text: string, atUs: number | null): void {
    const name = nameOf(text);
    const call = FILE_CALLS.get(name);
    if (call === undefined && !MOVES.has(name)) {
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
    if (finished.outcome === 'done') this.#follow(pid, process, finished);
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
    else if (named.only !== undefined && !named.only(args, written.bytes))
      this.#sink.pass('no-path');
    else if (written.cut) this.#sink.refuse('truncated');
    else {
      const place = this.#place(process, written.bytes, {
        directory: args[named.directory ?? -1],
        roots: name === 'chroot',
        top: name === 'openat2' && IN_ROOT.test(args[2] ?? ''),
      });
      const done = doneTo(call, named, { flags: flagsOf(call, args), outcome });
      if (place !== null && !this.#stopsUnseen(place)) this.#sink.use({ ...place, ...done, atUs });
      // Looked for from wherever it was, and not there: nothing that an image could have.
      else if (outcome === 'not-there') this.#sink.pass('no-path');
      else this.#sink.refuse('unknown-directory');
    }
  }

  /**
   * @param from.directory the argument that tells what a relative path is from
   * @param from.roots a path that can be the root is, wherever it is relative to
   * @param from.top the directory is the path's root
   */
  #place(
    process: Process,
    path: Buffer,
    {
      directory,
      roots = false,
      top = false,
    }: { directory?: string | undefined; roots?: boolean; top?: boolean },
  ): Place | null {
    if (directory !== undefined) {
      const told = directoryOf(directory);
      const at = told === null ? null : seenBy(process, told);
      const own = isOwnDirectory(directory);
      if (own && at !== null) this.#processes.change(process, { cwd: at });
      if (top) return inDirectory(process, path, own ? process.cwd : at);
      if (!own) return resolve(process, path, at);
    }
    const place = resolve(process, path);
    if (place !== null || !roots || process.lost === 'gone') return place;
    const root = this.#rootNamed(path);
    return root === null ? null : { path: root, chroot: null };
  }

  /** `..` in it may stop at a root that is not the one which the list is about. */
  #stopsUnseen({ path, chroot }: Place): boolean {
    const other = chroot !== null && chroot.length > 1 && climbs(path);
    return other && this.#rootNamed(chroot) === null;
  }

  /** What a call changes about its process, or begins. */
  #follow(pid: string, process: Process, { name, args, result }: Finished): void {
    const [first = ''] = args;
    const path = stringOf(first);
    if (FORKS.has(name))
      this.#processes.fork(process, /^\d+/.exec(result)?.[0] ?? '', shares(args.join()));
    else if (name === 'unshare') {
      if (/\bCLONE_(?:FS|NEWNS)\b/.test(first)) this.#processes.unshare(pid);
    } else if (name === 'setns') {
      if (/\bCLONE_NEWNS\b/.test(args[1] ?? '')) this.#processes.change(process, { lost: 'gone' });
    } else if (name === 'pivot_root') this.#processes.change(process, { lost: 'gone' });
    else if (name === 'fchdir') {
      const told = directoryOf(first);
      this.#processes.change(process, { cwd: told === null ? null : seenBy(process, told) });
    } else if (name === 'chdir') {
      const whole = path === null || path.cut ? null : resolve(process, path.bytes);
      this.#processes.change(process, { cwd: asDirectory(whole) });
    } else if (name === 'chroot') this.#chroot(process, path === null || path.cut ? null : path);
    else if (name === 'getcwd' && path !== null && !path.cut) {
      const told = path.bytes[0] === 0x2f ? resolve(process, path.bytes) : null;
      this.#processes.change(process, { cwd: told });
    }
  }

  #chroot(process: Process, path: { readonly bytes: Buffer } | null): void {
    const place = path === null ? null : this.#place(process, path.bytes, { roots: true });
    const whole = place === null ? null : wholePath(place);
    const chroot = whole === null ? null : (this.#rootNamed(whole) ?? whole);
    this.#processes.change(process, { chroot, lost: whole === null ? 'gone' : null });
  }
}

/** A path of which a directory is the root; null: it is not told which. */
function inDirectory(process: Process, path: Buffer, directory: Place | null): Place | null {
  const chroot = directory === null || process.lost === 'gone' ? null : wholePath(directory);
  return chroot === null ? null : { path: join(ROOT, path), chroot };
}

/** Of a call that makes a process. */
function shares(text: string): boolean {
  return /\bCLONE_FS\b/.test(text);
}

function nameOf(text: string): string {
  return text.slice(0, text.indexOf('('));
}

function outcomeOf(result: string): Outcome {
  if (result.startsWith('?')) return 'unknown';
  if (!result.startsWith('-1 ')) return 'done';
  return NOT_THERE.test(result) ? 'not-there' : failedWith(/^-1 (\w*)/.exec(result)?.[1] ?? '');
}

/** The words of its flags. */
function flagsOf(call: FileCall, args: readonly string[]): ReadonlySet<string> {
  const from = call.opens ?? call.flags ?? Math.max(...call.paths.map(({ path }) => path)) + 1;
  const words = args.slice(from).filter((arg) => !/^"|^\w+</.test(arg));
  return new Set(words.join('|').match(/\b[A-Z]+_[A-Z_]+/g) ?? []);
}
