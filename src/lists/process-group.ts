/**
 * Processes by number, and what all of them have. Owns the counts that tell this without a look at
 * each of them: a log can have 65,536 that run, and ask at each of its lines.
 */
import { wholePath, type Place, type Process } from './place.ts';
import { Tally } from './tally.ts';

/** What is alike has the same key. */
interface Keys {
  readonly root: string;
  readonly cwd: string | Place | null;
}

export class ProcessGroup {
  readonly #byNumber = new Map<string, Process>();
  /** Of each process, what it is counted with, and how many numbers it has. */
  readonly #counted = new Map<Process, { keys: Keys; numbers: number }>();
  readonly #roots = new Tally<Keys['root']>();
  readonly #cwds = new Tally<Keys['cwd']>();
  /** Stands behind the first number: one that begins anew goes through all that are gone, each time. */
  #turns = this.#byNumber.keys();
  #first: string | undefined;

  get size(): number {
    return this.#byNumber.size;
  }

  /** The number that came first. */
  first(): string | undefined {
    this.#first ??= this.#turns.next().value;
    // An iterator that has come to the end stays there, whatever comes.
    if (this.#first === undefined) this.#turns = this.#byNumber.keys();
    return (this.#first ??= this.#turns.next().value);
  }

  get(number: string): Process | undefined {
    return this.#byNumber.get(number);
  }

  /** A number that is there already keeps its turn. */
  set(number: string, process: Process): void {
    const before = this.#byNumber.get(number);
    if (before === process) return;
    if (before !== undefined) this.#release(before);
    this.#byNumber.set(number, process);
    const counted = this.#counted.get(process);
    if (counted !== undefined) counted.numbers += 1;
    else {
      this.#counted.set(process, { keys: this.#add(keysOf(process)), numbers: 1 });
    }
  }

  delete(number: string): void {
    const before = this.#byNumber.get(number);
    if (before === undefined) return;
    this.#byNumber.delete(number);
    if (number === this.#first) this.#first = undefined;
    this.#release(before);
  }

  /** A process has another directory or root, if it is one of these. */
  changed(process: Process): void {
    const counted = this.#counted.get(process);
    if (counted === undefined) return;
    this.#remove(counted.keys);
    counted.keys = this.#add(keysOf(process));
  }

  /** Not one of them: it has what all of them have, as the first has it. null: there are none. */
  common(): Process | null {
    const first = this.get(this.first() ?? '');
    if (first === undefined) return null;
    if (this.#roots.kinds > 1) return { cwd: null, chroot: null, lost: 'parent' };
    return { ...first, cwd: this.#cwds.kinds > 1 ? null : first.cwd };
  }

  #release(process: Process): void {
    const counted = this.#counted.get(process);
    if (counted === undefined) return;
    counted.numbers -= 1;
    if (counted.numbers > 0) return;
    this.#counted.delete(process);
    this.#remove(counted.keys);
  }

  /** What it is counted with: thousands may be in one directory, whose path has 4096 bytes. */
  #add({ root, cwd }: Keys): Keys {
    return { root: this.#roots.add(root), cwd: this.#cwds.add(cwd) };
  }

  #remove({ root, cwd }: Keys): void {
    this.#roots.remove(root);
    this.#cwds.remove(cwd);
  }
}

/** A directory with no whole path is only ever the same as itself. */
function keysOf({ cwd, chroot, lost }: Process): Keys {
  const whole = cwd === null ? null : wholePath(cwd);
  const root = [String(lost), ...(chroot === null ? [] : [chroot.toString('latin1')])].join(' ');
  return { root, cwd: whole === null ? cwd : whole.toString('latin1') };
}
