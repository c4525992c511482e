/**
 * Ways in which the same things could have reached the daemon: flushed at other times, one source
 * late, batches handed over twice. The recorded batches are taken apart into single events, which
 * the replay counts up again at each drain, as the sensors do. Owns the random numbers.
 */
import { handleHash } from '../../src/attribution/handle.ts';
import type {
  FileBatch,
  FileEvent,
  FileHandle,
  NfsBatch,
  NfsRow,
} from '../../src/common/batches.ts';
import type { Piece } from '../../src/capture/replay-source.ts';
import { FAN_ACCESS, FAN_CREATE, FAN_MOVED_TO } from '../../src/fanotify-ts/masks.ts';
import type { Recorded } from './fixture.ts';
import type { Plan } from './player.ts';

export type Random = (below: number) => number;

/** Numbers from 0 to below `below`, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

export interface Variation {
  /** Mean time between two flushes, microseconds. */
  readonly flushUs: number;
  /** How late, at most, what a source has can be drained; a sync brings it nevertheless. */
  readonly traceLateUs?: number;
  readonly filesLateUs?: number;
  /** One in so many flushes is whole; 0 = none. */
  readonly wholeOneIn?: number;
  /** One in so many drains hands the last batch over again; 0 = none. */
  readonly againOneIn?: number;
}

export function planOf(recorded: Recorded, variation: Variation, random: Random): Plan {
  const { flushUs, traceLateUs = 0, filesLateUs = 0, wholeOneIn = 0, againOneIn = 0 } = variation;
  const flushes: { atUs: number; whole: boolean }[] = [];
  for (let atUs = recorded.fromUs; atUs < recorded.untilUs;) {
    atUs += Math.floor(flushUs / 2) + random(flushUs);
    flushes.push({ atUs, whole: wholeOneIn > 0 && random(wholeOneIn) === 0 });
  }
  const trace = traceEvents(recorded, random);
  return {
    files: late(fileEvents(recorded, trace, random), filesLateUs, random),
    trace: late(trace, traceLateUs, random),
    flushes,
    again: () => againOneIn > 0 && random(againOneIn) === 0,
  };
}

/** In the order in which things happened, some later than others, none overtaking another. */
function late<T>(pieces: Piece<T>[], mostUs: number, random: Random): Piece<T>[] {
  let last = 0;
  return pieces
    .sort((a, b) => a.atUs - b.atUs)
    .map((piece) => {
      // Most of the time as it comes: a source that lags does so for a while.
      const lag = random(20) === 0 ? random(mostUs + 1) : 0;
      last = Math.max(last, piece.atUs + lag);
      return { ...piece, arrivesUs: last };
    });
}

/** Most events that one recorded row is taken apart into. */
const MOST_PARTS = 4;

function traceEvents({ trace, untilUs }: Recorded, random: Random): Piece<NfsBatch>[] {
  const rows = trace
    .flatMap((batch) => batch.rows)
    .flatMap((row) => partsOf(row, random))
    .sort((a, b) => a.epoch - b.epoch || a.firstUs - b.firstUs || a.order - b.order)
    .map((row, order) => ({ ...row, order }));
  const piece = (batch: Partial<NfsBatch>, atUs: number): Piece<NfsBatch> => ({
    arrivesUs: atUs,
    atUs,
    batch: { rows: [], markers: [], losses: [], untilUs: atUs, ...batch },
  });
  return [
    ...trace.flatMap(({ markers }) => markers.map((m) => piece({ markers: [m] }, m.atUs))),
    ...rows.map((row) => piece({ rows: [row] }, row.lastUs)),
    piece({ losses: trace.flatMap(({ losses }) => losses) }, untilUs),
  ];
}

/** The events that were counted in one row: the first, the last, and others in between. */
function partsOf(row: NfsRow, random: Random): NfsRow[] {
  const { count, bytes, firstUs, lastUs } = row;
  const parts = Math.min(count, MOST_PARTS);
  // One event that took its time stays what it is.
  if (parts < 2) return [row];
  const times = Array.from({ length: parts }, (_, index) =>
    index === 0 ? firstUs : index === 1 ? lastUs : firstUs + random(lastUs - firstUs + 1),
  ).sort((a, b) => a - b);
  // A READ at the end of a file moves nothing; the first one moves something if any does.
  const share = Math.floor(bytes / parts);
  return times.map((atUs, index) => ({
    ...row,
    count: index < parts - 1 ? 1 : count - (parts - 1),
    bytes: index === 0 ? bytes - share * (parts - 1) : share,
    minOffset: index === 0 ? row.minOffset : row.minOffset + 1,
    firstUs: atUs,
    lastUs: atUs,
  }));
}

/**
 * File events have no time of their own. Reads by nfsd are made anew, one with each READ of the
 * trace that moved bytes, as the kernel makes them; all others get some time of their batch, in
 * its order, and none after the object was used that it tells of.
 */
function fileEvents(
  recorded: Recorded,
  trace: readonly Piece<NfsBatch>[],
  random: Random,
): Piece<FileBatch>[] {
  const ofHash = handlesByHash(recorded);
  const rows = trace.flatMap(({ batch }) => batch.rows);
  const uses = timesOf(rows, ofHash);
  const reads = timesOf(
    rows.filter(({ kind, bytes }) => kind === 'read' && bytes > 0),
    ofHash,
  );
  const read = new Set<string>();
  const pieces: Piece<FileBatch>[] = [];
  const add = (event: FileEvent, atUs: number): void => {
    const batch = { events: [event], losses: [], untilUs: atUs };
    pieces.push({ arrivesUs: atUs, atUs, batch });
  };
  let fromUs = recorded.fromUs;
  for (const { events, losses, untilUs } of recorded.files) {
    const [begin, latest]: [number, number[]] = [fromUs, []];
    for (let i = events.length - 1, bound = untilUs; i >= 0; i--) {
      const { object, mask } = events[i] as FileEvent;
      const used = object === null ? [] : (uses.get(keyOf(object)) ?? []);
      const first = Math.min(...used.filter((us) => us > begin));
      if ((mask & (FAN_CREATE | FAN_MOVED_TO)) !== 0) bound = Math.min(bound, first - 1);
      latest[i] = Math.max(begin, bound);
    }
    let last = begin;
    for (const [index, event] of events.entries()) {
      const key = event.object === null ? '' : keyOf(event.object);
      const times = (event.mask & FAN_ACCESS) !== 0 ? reads.get(key) : undefined;
      if (times !== undefined && event.pidClass === 'nfsd') {
        for (const atUs of read.has(key) ? [] : times) add({ ...event, count: 1 }, atUs);
        read.add(key);
        continue;
      }
      last += random(Math.max(1, ((latest[index] ?? untilUs) - last) >> 3));
      add(event, last);
    }
    pieces.push({ arrivesUs: untilUs, atUs: untilUs, batch: { events: [], losses, untilUs } });
    fromUs = untilUs;
  }
  return pieces;
}

function handlesByHash({ exports, begin, end, files }: Recorded): Map<number, string> {
  const handles = new Map<string, FileHandle>();
  for (const { handle } of [...begin.objects, ...end.objects]) handles.set(keyOf(handle), handle);
  for (const { events } of files)
    for (const { object } of events) if (object !== null) handles.set(keyOf(object), object);
  const ofHash = new Map<number, string>();
  for (const [name, handle] of handles)
    for (const { key } of exports) ofHash.set(handleHash({ ...key, handle }), name);
  return ofHash;
}

/** When the trace has each object, by its handle. */
function timesOf(
  rows: readonly NfsRow[],
  ofHash: ReadonlyMap<number, string>,
): Map<string, number[]> {
  const times = new Map<string, number[]>();
  for (const { hash, firstUs } of rows) {
    const key = ofHash.get(hash);
    if (key !== undefined) times.set(key, [...(times.get(key) ?? []), firstUs]);
  }
  return times;
}

function keyOf({ type, bytes }: FileHandle): string {
  return `${type}:${bytes.toString('latin1')}`;
}
