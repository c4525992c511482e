/**
 * Do the two witnesses agree? Every object read according to the NFS server's trace must be read
 * according to fanotify at about the same time, and the reverse. Pure; must not know sessions.
 *
 * The two queues are drained one after the other and a busy machine may leave either behind, so
 * the halves of one read may fall into different flushes: the other half may be a few flushes
 * earlier, or later up to the last one drained. Before judging, the caller makes sure that both
 * queues are drained beyond the flush in question. fanotify merges events, so counts are not
 * compared.
 */

/** How many flushes earlier the other half of a read may have been drained. */
const EARLIER = 3;

export interface Disagreement {
  readonly objectId: number;
  /** The source that does not know of the read. */
  readonly missing: 'trace' | 'file';
  /** The flush in which the other source had it. */
  readonly flush: number;
}

type Side = Disagreement['missing'];

interface Flush {
  readonly trace: Set<number>;
  readonly file: Set<number>;
  /** In the trace, but perhaps before the file side looked: it may know of it or not. */
  readonly excused: Set<number>;
}

export class Witness {
  readonly #flushes = new Map<number, Flush>();
  /** Every flush up to this one has been judged. */
  #judged = -Infinity;

  /**
   * The trace holds a READ of the object that moved at least one byte (else there is no event).
   * @param excused its file event may have come before the file side looked
   */
  trace(objectId: number, flushNo: number, excused = false): void {
    const flush = this.#at(flushNo);
    (excused ? flush.excused : flush.trace).add(objectId);
  }

  /** fanotify holds a FAN_ACCESS of the object by an nfsd thread. */
  file(objectId: number, flushNo: number): void {
    this.#at(flushNo).file.add(objectId);
  }

  /** Is there an object up to flush `upTo`, not judged yet, that only one side knows of? */
  unmatched(upTo: number): boolean {
    return this.#due(upTo).some(
      (flush) =>
        this.#missing(flush, 'trace', 'file').length > 0 ||
        this.#missing(flush, 'file', 'trace').length > 0,
    );
  }

  /**
   * Judges every flush up to `upTo`, included. Each disagreement is told once. Both queues must
   * have been drained since that flush.
   */
  judge(upTo: number): Disagreement[] {
    const found = this.#due(upTo).flatMap((flush) => [
      ...this.#missing(flush, 'trace', 'file'),
      ...this.#missing(flush, 'file', 'trace'),
    ]);
    this.#judged = Math.max(this.#judged, upTo);
    for (const flush of [...this.#flushes.keys()])
      if (flush <= this.#judged - EARLIER) this.#flushes.delete(flush);
    return found;
  }

  #due(upTo: number): number[] {
    return [...this.#flushes.keys()]
      .filter((flush) => flush > this.#judged && flush <= upTo)
      .sort((a, b) => a - b);
  }

  /** A row that comes late is judged with the earliest flush that still can be. */
  #at(flushNo: number): Flush {
    const at = Math.max(flushNo, this.#judged + 1);
    let flush = this.#flushes.get(at);
    if (flush === undefined) {
      flush = { trace: new Set(), file: new Set(), excused: new Set() };
      this.#flushes.set(at, flush);
    }
    return flush;
  }

  #missing(flush: number, source: Side, other: Side): Disagreement[] {
    const near = [...this.#flushes].filter(([number]) => number >= flush - EARLIER);
    const known = (objectId: number) =>
      near.some(
        ([, sets]) =>
          sets[other].has(objectId) || (other === 'trace' && sets.excused.has(objectId)),
      );
    return [...(this.#flushes.get(flush)?.[source] ?? [])]
      .filter((objectId) => !known(objectId))
      .sort((a, b) => a - b)
      .map((objectId) => ({ objectId, missing: other, flush }));
  }
}
