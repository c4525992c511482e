/**
 * Where the processes of a log are: the working directory and the root of each, as far as the log
 * tells. Owns that memory, and what is guessed of a process whose beginning is not in the log.
 */
import type { Process } from './place.ts';
import { ProcessGroup } from './process-group.ts';

/** A log can name any number of processes; the oldest are forgotten. */
const MOST = 65_536;
const UNKNOWN: Process = { cwd: null, chroot: null, lost: null };

export class Processes {
  readonly #all = new ProcessGroup();
  /** Those that are about to have a child; whether it shares what they have (CLONE_FS). */
  readonly #forking = new Map<string, boolean>();
  /** Those of them that are known. */
  readonly #parents = new ProcessGroup();

  /**
   * The process that something is told of.
   * @param parent if the log tells it
   */
  of(pid: string, parent?: string): Process {
    const known = this.#all.get(pid);
    if (known !== undefined) return known;
    const begun =
      parent === undefined ? this.#begun(pid) : { ...UNKNOWN, ...this.#all.get(parent) };
    this.#put(pid, begun);
    return begun;
  }

  /** It has another directory or root, and whoever shares it. */
  change(process: Process, what: Partial<Process>): void {
    Object.assign(process, what);
    this.#all.changed(process);
    this.#parents.changed(process);
  }

  /** It is about to have a child. */
  forks(pid: string, shares: boolean): void {
    this.#parents.set(pid, this.of(pid));
    this.#forking.set(pid, shares);
  }

  /** It is not about to have one any more. */
  forked(pid: string): void {
    this.#parents.delete(pid);
    this.#forking.delete(pid);
  }

  /**
   * A process is another's child; what was guessed of it before stays, if it has run already.
   * @param shares it has the same directory and root, whoever of the two changes them
   */
  fork(parent: Process, pid: string, shares: boolean): void {
    const known = this.#all.get(pid);
    if (known === undefined || shares) this.#put(pid, shares ? parent : { ...parent });
    else if (known.lost === 'parent')
      this.change(known, { chroot: parent.chroot, lost: parent.lost });
  }

  /** What was told of a process without its number is this one's. */
  number(pid: string): void {
    const known = this.#all.get('');
    this.end('');
    if (known !== undefined) this.#put(pid, known);
  }

  /** It shares nothing with others from now on. */
  unshare(pid: string): void {
    const known = this.#all.get(pid);
    if (known !== undefined) this.#put(pid, { ...known });
  }

  end(pid: string): void {
    this.#all.delete(pid);
    this.#parents.delete(pid);
  }

  #put(pid: string, process: Process): void {
    this.#all.set(pid, process);
    if (this.#forking.has(pid)) this.#parents.set(pid, process);
    if (this.#all.size > MOST) this.end(this.#all.first() ?? '');
  }

  #begun(pid: string): Process {
    const same = this.#renamed(pid);
    if (same !== null) return same;
    const only = this.#forking.size === 1 ? this.#parents.first() : undefined;
    const parent = only === undefined ? undefined : this.#parents.get(only);
    if (only === undefined || parent === undefined)
      return this.#parents.common() ?? this.#all.common() ?? { ...UNKNOWN };
    return this.#forking.get(only) === true ? parent : { ...parent };
  }

  /** On a terminal strace gives numbers only while there are several processes. */
  #renamed(pid: string): Process | null {
    const before = pid === '' && this.#all.size === 1 ? (this.#all.first() ?? '') : '';
    if (this.#forking.has(before)) return null;
    const same = this.#all.get(before) ?? null;
    this.end(before);
    return same;
  }
}
