/**
 * Where the processes of a log are: the working directory and the root of each, as far as the log
 * tells. Owns that memory, and what is guessed of a process whose beginning is not in the log.
 */
import { isAbsolute, join, normal, within } from './bytes.ts';

/** A directory, as whoever has this as its root names it; null: as whoever wrote the log does. */
export interface Place {
  readonly path: Buffer;
  readonly chroot: Buffer | null;
}

export interface Process {
  cwd: Place | null;
  chroot: Buffer | null;
}

/** A log can name any number of processes; the oldest are forgotten. */
const MOST = 65_536;

export class Processes {
  readonly #all = new Map<string, Process>();
  #last: Process | null = null;

  /**
   * The process that something is told of.
   * @param parent if the log tells it
   */
  of(pid: string, parent?: string): Process {
    const process = this.#all.get(pid) ?? this.#put(pid, this.#begun(parent));
    this.#last = process;
    return process;
  }

  /** A process is another's child; what was guessed of it before stays, if it has run already. */
  fork(parent: Process, pid: string): void {
    if (!this.#all.has(pid)) this.#put(pid, { ...parent });
  }

  end(pid: string): void {
    const process = this.#all.get(pid);
    this.#all.delete(pid);
    if (process === this.#last) this.#last = null;
  }

  #put(pid: string, process: Process): Process {
    this.#all.set(pid, process);
    if (this.#all.size > MOST) {
      const [oldest = ''] = this.#all.keys();
      this.#all.delete(oldest);
    }
    return process;
  }

  #begun(parent: string | undefined): Process {
    if (parent === undefined) return this.#guess();
    return { cwd: null, chroot: null, ...this.#all.get(parent) };
  }

  /**
   * Its parent is one of those that live. If all of them are in one directory, so is it; its root is
   * that of whichever showed last.
   */
  #guess(): Process {
    const [first, ...others] = this.#all.values();
    const chroot = (this.#last ?? first)?.chroot ?? null;
    const cwd = first?.cwd ?? null;
    const agreed = others.every((other) => samePlace(other.cwd, cwd));
    return { cwd: agreed ? cwd : null, chroot };
  }
}

/** Where a path leads for a process; null: relative to a directory that is not known. */
export function resolve(process: Process, path: Buffer, directory?: Place | null): Place | null {
  if (isAbsolute(path)) return { path, chroot: process.chroot };
  const from = directory === undefined ? process.cwd : directory;
  return from === null ? null : { path: join(from.path, path), chroot: from.chroot };
}

/** A directory as strace itself names it, as the process names it if it can. */
export function seenBy(process: Process, path: Buffer): Place {
  const own = process.chroot === null ? null : within(path, process.chroot);
  return own === null ? { path, chroot: null } : { path: own, chroot: process.chroot };
}

/** A place as the server names it. */
export function wholePath({ path, chroot }: Place): Buffer {
  const inner = normal(path);
  if (chroot === null || chroot.length === 1) return inner;
  return inner.length === 1 ? chroot : Buffer.concat([chroot, inner]);
}

function samePlace(a: Place | null, b: Place | null): boolean {
  if (a === null || b === null) return a === b;
  return wholePath(a).equals(wholePath(b));
}
