/**
 * What a list comes to: uses of paths below the root as rows to give, those of one path as one, and
 * the count of everything else, with the first line of each kind. Owns both.
 */
import type { GivingRow } from '../../daemon/given-stream-client.ts';
import { tidy } from '../../lists/bytes.ts';
import type { RootPaths } from '../../lists/root-paths.ts';
import {
  PASSES,
  REFUSALS,
  type ListedUse,
  type Pass,
  type Refusal,
  type Sink,
} from '../../lists/use.ts';

/** Rows that are given at once. */
const ENOUGH = 20_000;
/** As the kernel: PATH_MAX. */
const MOST_PATH = 4096;
/** Bytes of names that are remembered; after that nothing is told to be made. */
const MOST_REMEMBERED = 16 << 20;

export interface Refused {
  readonly why: Refusal;
  readonly count: number;
  readonly firstLine: number;
}

type Growing = { -readonly [K in keyof Required<GivingRow>]: Required<GivingRow>[K] };

export class UsedPaths implements Sink {
  /** The line that is being read. */
  line = 0;
  uses = 0;
  readonly #paths: RootPaths;
  #rows = new Map<string, Growing>();
  /** Where something was for all that the list tells, be it what a process made. */
  readonly #filled = new Set<string>();
  #remembered = 0;
  readonly #passed = new Map<Pass, number>();
  readonly #refused = new Map<Refusal, { count: number; readonly firstLine: number }>();

  constructor(paths: RootPaths) {
    this.#paths = paths;
  }

  use({ path: written, chroot, atUs, ...what }: ListedUse): void {
    const path = this.#paths.inRoot(written, chroot);
    if (path === null) this.pass('outside');
    else if (path.length > MOST_PATH) this.refuse('too-long');
    else this.#add(path, atUs, what);
  }

  pass(what: Pass): void {
    this.#passed.set(what, (this.#passed.get(what) ?? 0) + 1);
  }

  refuse(why: Refusal): void {
    const before = this.#refused.get(why);
    if (before === undefined) this.#refused.set(why, { count: 1, firstLine: this.line });
    else before.count += 1;
  }

  /** Is it time to give what there is? */
  get enough(): boolean {
    return this.#rows.size >= ENOUGH;
  }

  takeRows(): GivingRow[] {
    const rows = [...this.#rows.values()];
    this.#rows = new Map();
    return rows;
  }

  passed(): Record<Pass, number> {
    const counts = PASSES.map((what) => [what, this.#passed.get(what) ?? 0]);
    return Object.fromEntries(counts) as Record<Pass, number>;
  }

  refused(): Refused[] {
    return REFUSALS.flatMap((why) => {
      const found = this.#refused.get(why);
      return found === undefined ? [] : [{ why, ...found }];
    });
  }

  #add(
    path: Buffer,
    atUs: number | null,
    what: Pick<ListedUse, 'operations' | 'follow' | 'created' | 'there'>,
  ): void {
    this.uses += 1;
    const { operations, follow } = what;
    const created = this.#isNew(path, what);
    const key = `${Number(follow)}${Number(operations === 0)}${path.toString('latin1')}`;
    const before = this.#rows.get(key);
    if (before === undefined) {
      const times = { firstUs: atUs, lastUs: atUs };
      // The line that it is a part of goes.
      const own = Buffer.from(path);
      this.#rows.set(key, { path: own, operations, follow, created, count: 1, bytes: 0, ...times });
      return;
    }
    before.operations |= operations;
    before.created ||= created;
    before.count += 1;
    // Interrupted calls come out of order.
    if (atUs !== null) {
      before.firstUs = Math.min(before.firstUs ?? atUs, atUs);
      before.lastUs = Math.max(before.lastUs ?? atUs, atUs);
    }
  }

  /** Made where nothing was: what was used there before is another file, which must be there. */
  #isNew(path: Buffer, { created, there }: Pick<ListedUse, 'created' | 'there'>): boolean {
    if (!there || this.#remembered >= MOST_REMEMBERED) return false;
    const name = tidy(path)
      .toString('latin1')
      .replace(/(?<=.)\/$/, '');
    if (this.#filled.has(name)) return false;
    this.#filled.add(name);
    this.#remembered += name.length;
    return created;
  }
}
