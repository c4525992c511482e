/**
 * What a traced command did, path by path, between two looks. Owns the reading of file events as
 * operations. Pure; must not know where the rows go.
 */
import { operationBit } from '../../common/words.ts';
import { SEEN } from './records.ts';

export interface UsedPath {
  /** In the root, absolute. */
  readonly path: Buffer;
  /** Operation bits. */
  readonly operations: number;
  readonly count: number;
  /** Wall clock, microseconds. */
  readonly firstUs: number;
  readonly lastUs: number;
  /** Everything was done to what the run itself had made. */
  readonly created: boolean;
}

interface Use {
  operations: number;
  count: number;
  readonly firstUs: number;
  lastUs: number;
  /** The last that happened to its name is that it went. */
  removed: boolean;
}

const CHANGES: readonly (readonly [number, number])[] = [
  [SEEN.modify, operationBit('write')],
  [SEEN.attributes, operationBit('setattr')],
  [SEEN.create | SEEN.movedTo, operationBit('create')],
  [SEEN.delete | SEEN.movedFrom, operationBit('remove')],
];
const READ = operationBit('read');
const READDIR = operationBit('readdir');
const GETATTR = operationBit('getattr');

export class UsedPaths {
  readonly #uses = new Map<string, Use>();
  /** Paths at which something was used that the run had not made, ever. */
  readonly #older = new Set<string>();
  #removed = 0;

  /** Paths that the root had, that the run used and then took away: they are in no row. */
  get removed(): number {
    return this.#removed;
  }

  note({ mask, path }: { readonly mask: number; readonly path: Buffer }, nowUs: number): void {
    const key = path.toString('latin1');
    let use = this.#uses.get(key);
    if (use === undefined) {
      use = { operations: 0, count: 0, firstUs: nowUs, lastUs: nowUs, removed: false };
      this.#uses.set(key, use);
    }
    if ((mask & SEEN.created) === 0) this.#older.add(key);
    use.operations |= operationsOf(mask);
    use.count += 1;
    use.lastUs = nowUs;
    const removed = (mask & (SEEN.delete | SEEN.movedFrom)) !== 0;
    // Both in one event: the kernel merges what came close together; the name may be there.
    const appeared = (mask & (SEEN.create | SEEN.movedTo)) !== 0;
    if (removed !== appeared) use.removed = removed;
  }

  /**
   * The rows since the last call; what came and went in between is none. What the run itself made
   * waits for the end, since most of it goes again.
   */
  take({ atEnd }: { readonly atEnd: boolean }): UsedPath[] {
    const rows: UsedPath[] = [];
    for (const [key, { removed, ...use }] of this.#uses) {
      const created = !this.#older.has(key);
      if (created && !atEnd) continue;
      this.#uses.delete(key);
      if (!removed) rows.push({ path: Buffer.from(key, 'latin1'), ...use, created });
      else if (!created) this.#removed += 1;
    }
    return rows;
  }
}

function operationsOf(mask: number): number {
  let operations = 0;
  for (const [bits, operation] of CHANGES) if ((mask & bits) !== 0) operations |= operation;
  const opened = (mask & SEEN.open) !== 0;
  const read = (mask & SEEN.access) !== 0;
  // A file's content may be used without a read: it is mapped, or executed. A directory's is not.
  if ((mask & SEEN.directory) === 0) return opened || read ? operations | READ : operations;
  return operations | (read ? READDIR : 0) | (opened ? GETATTR : 0);
}
