/**
 * Gathers what one flush will write: one access row a (session, file), however many kernel rows
 * it came from. Owns the merging; must not know where rows come from.
 */
import type { Evidence } from '../common/words.ts';
import type {
  AccessUpdate,
  LossGrowth,
  LossUpdate,
  MissingDropped,
  MissingLookup,
  NameChange,
  NewFile,
} from '../store/types.ts';

export class BatchBuilder {
  readonly files: NewFile[] = [];
  /** Beside those of the roots that are recorded. */
  readonly names: NameChange[] = [];
  losses: LossUpdate[] = [];
  readonly grown: LossGrowth[] = [];
  readonly missing: MissingLookup[] = [];
  readonly missingDropped: MissingDropped[] = [];
  /** By evidence, session, file. */
  readonly #accesses = new Map<Evidence, Map<number, Map<number, Growing>>>();
  readonly #inOrder: AccessUpdate[] = [];
  readonly #refused = new Map<number, LossUpdate>();

  /** Takes the sighting over. */
  add(sighting: AccessUpdate): void {
    const sessions = getOrAdd(
      this.#accesses,
      sighting.evidence,
      newMap<number, Map<number, Growing>>,
    );
    const files = getOrAdd(sessions, sighting.sessionId, newMap<number, Growing>);
    const before = files.get(sighting.fileId);
    if (before === undefined) {
      files.set(sighting.fileId, sighting);
      this.#inOrder.push(sighting);
      return;
    }
    // In place: a flush may have some ten thousand rows, and each copy is garbage at once.
    before.operations |= sighting.operations;
    before.count += sighting.count;
    before.bytes += sighting.bytes;
    before.firstUs = Math.min(before.firstUs, sighting.firstUs);
    before.lastUs = Math.max(before.lastUs, sighting.lastUs);
    before.order = Math.min(before.order, sighting.order);
    before.created = before.created === true || sighting.created === true;
  }

  /** Accesses of clients for which there was no session: one loss of the recording. */
  refuse(
    recordingId: number,
    { count, firstUs, lastUs }: Pick<AccessUpdate, 'count' | 'firstUs' | 'lastUs'>,
  ): void {
    const before = this.#refused.get(recordingId);
    const loss = {
      recordingId,
      sessionId: null,
      where: 'session-limit',
      count: (before?.count ?? 0) + count,
      fromUs: Math.min(before?.fromUs ?? firstUs, firstUs),
      toUs: Math.max(before?.toUs ?? lastUs, lastUs),
      detail: 'more clients came than sessions may be opened',
      alone: true,
    };
    if (before === undefined) this.losses.push(loss);
    else this.losses[this.losses.indexOf(before)] = loss;
    this.#refused.set(recordingId, loss);
  }

  /** Has the session touched the file in this flush? */
  has(sessionId: number, fileId: number): boolean {
    return [...this.#accesses.values()].some((ofSession) => ofSession.get(sessionId)?.has(fileId));
  }

  accesses(): AccessUpdate[] {
    return this.#inOrder;
  }
}

type Growing = { -readonly [K in keyof AccessUpdate]: AccessUpdate[K] };

function newMap<K, V>(): Map<K, V> {
  return new Map<K, V>();
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
