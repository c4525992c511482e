/**
 * Where the processes of a log are: the working directory and the root of each, as far as the log
 * tells. Owns that memory, and what is guessed of a process whose beginning is not in the log.
 */
import { below, climbs, isAbsolute, join, tidy, within } from './bytes.ts';

/** A directory, as whoever has this as its root names it; null: as whoever wrote the log does. */
export interface Place {
  readonly path: Buffer;
  readonly chroot: Buffer | null;
}

/**
 * Why it is not known what a process has as its root. `parent`: its parent may be one of several that
 * have not the same. `gone`: it took one that the log does not tell.
 */
export type Lost = 'parent' | 'gone';

/** Those that share it (CLONE_FS) are one. */
export interface Process {
  cwd: Place | null;
  chroot: Buffer | null;
  lost: Lost | null;
}

/** A log can name any number of processes; the oldest are forgotten. */
const MOST = 65_536;
/** As the kernel: PATH_MAX. */
const MOST_PATH = 4096;
const UNKNOWN: Readonly<Process> = { cwd: null, chroot: null, lost: null };

export interface Beginning {
  /** If the log tells it. */
  readonly parent?: string;
  /** Those that are about to have a child; whether it shares what they have (CLONE_FS). */
  readonly forking?: ReadonlyMap<string, boolean>;
}

export class Processes {
  readonly #all = new Map<string, Process>();

  /** The process that something is told of. */
  of(pid: string, beginning: Beginning = {}): Process {
    return this.#all.get(pid) ?? this.#put(pid, this.#begun(pid, beginning));
  }

  /**
   * A process is another's child; what was guessed of it before stays, if it has run already.
   * @param shares it has the same directory and root, whoever of the two changes them
   */
  fork(parent: Process, pid: string, shares: boolean): void {
    const known = this.#all.get(pid);
    if (known === undefined || shares) this.#put(pid, shares ? parent : { ...parent });
    else if (known.lost === 'parent') {
      known.chroot = parent.chroot;
      known.lost = parent.lost;
    }
  }

  /** What was told of a process without its number is this one's. */
  number(pid: string): void {
    const known = this.#all.get('');
    this.#all.delete('');
    if (known !== undefined) this.#put(pid, known);
  }

  /** It shares nothing with others from now on. */
  unshare(pid: string): void {
    const known = this.#all.get(pid);
    if (known !== undefined) this.#put(pid, { ...known });
  }

  end(pid: string): void {
    this.#all.delete(pid);
  }

  #put(pid: string, process: Process): Process {
    this.#all.set(pid, process);
    if (this.#all.size > MOST) {
      const [oldest = ''] = this.#all.keys();
      this.#all.delete(oldest);
    }
    return process;
  }

  #begun(pid: string, { parent, forking = new Map<string, boolean>() }: Beginning): Process {
    if (parent !== undefined) return { ...UNKNOWN, ...this.#all.get(parent) };
    const same = this.#renamed(pid, forking);
    if (same !== null) return same;
    const parents = [...forking.keys()].flatMap((pid) => this.#all.get(pid) ?? []);
    const [only] = parents;
    const [shares] = forking.values();
    if (only !== undefined && forking.size === 1) return shares === true ? only : { ...only };
    return common(parents.length > 0 ? parents : this.#all.values());
  }

  /** On a terminal strace gives numbers only while there are several processes. */
  #renamed(pid: string, forking: ReadonlyMap<string, boolean>): Process | null {
    const [only] = this.#all.keys();
    const before = pid === '' && this.#all.size === 1 ? (only ?? '') : '';
    if (forking.has(before)) return null;
    const same = this.#all.get(before) ?? null;
    this.#all.delete(before);
    return same;
  }
}

/** Its parent is one of these: what all of them have, it has. */
function common(parents: Iterable<Process>): Process {
  let found: Process | null = null;
  for (const one of parents) {
    found ??= { ...one };
    if (one.lost !== found.lost || !sameBytes(one.chroot, found.chroot))
      return { cwd: null, chroot: null, lost: 'parent' };
    if (!samePlace(one.cwd, found.cwd)) found.cwd = null;
  }
  return found ?? { ...UNKNOWN };
}

/**
 * Where a path leads for a process; null: relative to a directory that is not known, or the root is
 * not.
 */
export function resolve(process: Process, path: Buffer, directory?: Place | null): Place | null {
  if (process.lost === 'gone') return null;
  if (isAbsolute(path)) return process.lost === null ? { path, chroot: process.chroot } : null;
  const from = directory === undefined ? process.cwd : directory;
  return from === null ? null : { path: join(from.path, path), chroot: from.chroot };
}

/** A place as a working directory: where `..` in it leads is not known here, so it can only grow. */
export function asDirectory(place: Place | null): Place | null {
  const path = tidy(place?.path ?? Buffer.alloc(0));
  return place === null || path.length > MOST_PATH ? null : { path, chroot: place.chroot };
}

/** A directory as strace itself names it, as the process names it if it can. */
export function seenBy(process: Process, path: Buffer): Place {
  const own = process.chroot === null ? null : within(path, process.chroot);
  return own === null ? { path, chroot: null } : { path: own, chroot: process.chroot };
}

/** A directory as the server names it; null: `..` may stop at the root of whoever names it so. */
export function wholePath({ path, chroot }: Place): Buffer | null {
  const inner = tidy(path);
  if (chroot === null || chroot.length === 1) return trimmed(inner);
  return climbs(path) ? null : trimmed(below(chroot, inner));
}

function trimmed(path: Buffer): Buffer {
  return path.length > 1 && path.at(-1) === 0x2f ? path.subarray(0, -1) : path;
}

function samePlace(a: Place | null, b: Place | null): boolean {
  if (a === null || b === null || a === b) return a === b;
  const whole = wholePath(a);
  return whole !== null && sameBytes(whole, wholePath(b));
}

function sameBytes(a: Buffer | null, b: Buffer | null): boolean {
  return a === null || b === null ? a === b : a === b || a.equals(b);
}
