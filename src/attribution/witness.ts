/**
 * Do the two witnesses agree? Every object read according to the NFS server's trace must be read
 * according to fanotify at about the same time, and the reverse. Pure; must not know sessions.
 *
 * "About" is one flush to either side: the two queues are drained one after the other, so the
 * halves of one read may fall into neighbouring flushes. fanotify merges events, so counts are
 * not compared.
 */

export interface Disagreement {
  readonly objectId: number;
  /** The source that does not know of the read. */
  readonly missing: 'trace' | 'file';
  /** The flush in which the other source had it. */
  readonly flush: number;
}

interface Flush {
  readonly trace: Set<number>;
  readonly file: Set<number>;
}

export class Witness {
  readonly #flushes = new Map<number, Flush>();
  /** Every flush up to this one has been judged. */
  #judged = -Infinity;

  /** The trace holds a READ of the object that moved at least one byte (else there is no event). */
  trace(objectId: number, flushNo: number): void {
    this.#at(flushNo).trace.add(objectId);
  }

  /** fanotify holds a FAN_ACCESS of the object by an nfsd thread. */
  file(objectId: number, flushNo: number): void {
    this.#at(flushNo).file.add(objectId);
  }

  /**
   * Judges every flush whose neighbours are complete when flush `flushNo` is: up to
   * `flushNo - 1`, excluded. Each disagreement is told once.
   * @param options.final nothing comes any more: judge all
   */
  judge(flushNo: number, options: { readonly final?: boolean } = {}): Disagreement[] {
    const due = [...this.#flushes.keys()]
      .filter((flush) => flush > this.#judged && (options.final === true || flush <= flushNo - 2))
      .sort((a, b) => a - b);
    const found = due.flatMap((flush) => [
      ...this.#missing(flush, 'trace', 'file'),
      ...this.#missing(flush, 'file', 'trace'),
    ]);
    const last = options.final === true ? Math.max(flushNo, due.at(-1) ?? -Infinity) : flushNo - 2;
    this.#judged = Math.max(this.#judged, last);
    for (const flush of [...this.#flushes.keys()])
      if (flush < this.#judged) this.#flushes.delete(flush);
    return found;
  }

  /** A row that comes late is judged with the earliest flush that still can be. */
  #at(flushNo: number): Flush {
    const at = Math.max(flushNo, this.#judged + 1);
    let flush = this.#flushes.get(at);
    if (flush === undefined) {
      flush = { trace: new Set(), file: new Set() };
      this.#flushes.set(at, flush);
    }
    return flush;
  }

  #missing(flush: number, source: keyof Flush, other: keyof Flush): Disagreement[] {
    const known = (objectId: number) =>
      [flush - 1, flush, flush + 1].some((near) => this.#flushes.get(near)?.[other].has(objectId));
    return [...(this.#flushes.get(flush)?.[source] ?? [])]
      .filter((objectId) => !known(objectId))
      .sort((a, b) => a - b)
      .map((objectId) => ({ objectId, missing: other, flush }));
  }
}
