/**
 * The flat batch that the addon hands over (native/nfsd/batch_table.cc), as plain rows.
 * Pure; owns the format's reading and nothing else.
 */
import type {
  LossCount,
  NfsBatch,
  NfsLookup,
  NfsMarker,
  NfsRow,
  NfsRowKind,
} from '../common/batches.ts';
import { TraceError } from '../common/errors.ts';

const MAGIC = 0x3344464e;
const ROW_KINDS: readonly NfsRowKind[] = ['verify', 'verify-error', 'read', 'write'];
const MARKER_KINDS: readonly NfsMarker['kind'][] = [
  'fsinfo',
  'fresh',
  'confirmed',
  'confirmed_r',
  'destroyed',
  'verf_mismatch',
  'replaced',
  'stale',
  'expire_unconf',
  'purged',
  'reclaim_complete',
];

class Reader {
  #at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  u32(): number {
    this.#at += 4;
    return this.#bytes.readUInt32LE(this.#at - 4);
  }

  number(): number {
    this.#at += 8;
    const value = this.#bytes.readDoubleLE(this.#at - 8);
    // A small one without a box of its own: a full table has 200,000 of them.
    const small = value | 0;
    return small === value ? small : value;
  }

  /** A reader of the next bytes. */
  part(length: number): Reader {
    this.#at += length;
    return new Reader(this.#bytes.subarray(this.#at - length, this.#at));
  }

  bytes(): Buffer {
    const length = this.#bytes.readUInt16LE(this.#at);
    const from = this.#at + 2;
    this.#at = from + length;
    return this.#bytes.subarray(from, this.#at);
  }
}

/** Where in the batch an index must lead somewhere. */
function pick<T>(list: readonly T[], index: number, what: string): T {
  const value = list[index];
  if (value === undefined) {
    throw new TraceError({
      code: 'bad-nfs-batch',
      message: `the addon's batch has no ${what} ${index}`,
      hint: 'the addon and the program are of different versions: build the addon again',
      exit: 'bug',
    });
  }
  return value;
}

/**
 * Decodes one drained batch. Throws TraceError `bad-nfs-batch` when it is of another version.
 * @param named the spelling of a client's address
 */
export function decodeNfsBatch(encoded: Buffer, named?: (client: string) => string): NfsBatch {
  return pick([...partsOfNfsBatch(encoded, named)], 0, 'part');
}

/**
 * The same in parts of so many rows, each decoded when it is asked for: a full table's rows are
 * 20 MB of objects at once, which V8 keeps for longer than they are used. In the stream's order:
 * markers and lookups come with the rows that they stand before.
 */
export function* partsOfNfsBatch(
  encoded: Buffer,
  named: (client: string) => string = (client) => client,
  mostRows = Infinity,
): Generator<NfsBatch, void> {
  const from = new Reader(encoded);
  pick([true], from.u32() === MAGIC ? 0 : 1, 'version');
  const clientCount = from.u32();
  const rowCount = from.u32();
  const markerCount = from.u32();
  const lossCount = from.u32();
  const lookupCount = from.u32();
  const droppedCount = from.u32();
  const unsignedCount = from.u32();
  const untilUs = from.number();
  const clients = many(clientCount, () => named(from.bytes().toString('latin1')));
  const ofRows = from.part(rowCount * ROW_BYTES);
  const markers = many(markerCount, () => markerOf(from, named));
  const losses = many(lossCount, () => lossOf(from));
  const lookups = many(lookupCount, () => lookupOf(from, clients));
  const lookupsDropped = many(droppedCount, () => ({
    client: pick(clients, from.u32(), 'client'),
    count: from.number(),
  }));
  const unsigned = new Map(many(unsignedCount, () => [from.u32(), from.u32()] as const));

  for (let left = rowCount; left > mostRows; left -= mostRows) {
    const rows = many(mostRows, () => rowOf(ofRows, clients));
    const { epoch, order } = pick(rows, rows.length - 1, 'row');
    const first = { losses: [], lookupsDropped: [], unsigned: new Map(unsigned), untilUs };
    unsigned.clear();
    yield {
      ...first,
      rows,
      markers: takeWhile(markers, (marker) => marker.epoch <= epoch),
      lookups: takeWhile(lookups, (one) => one.epoch < epoch || one.order <= order),
      more: true,
    };
  }
  const rows = many(rowCount % mostRows || Math.min(rowCount, mostRows), () =>
    rowOf(ofRows, clients),
  );
  yield { rows, markers, losses, lookups, lookupsDropped, unsigned, untilUs };
}

function many<T>(count: number, next: () => T): T[] {
  const list: T[] = [];
  for (let i = 0; i < count; i++) list.push(next());
  return list;
}

/** Removes them from the list's beginning. */
function takeWhile<T>(list: T[], wanted: (one: T) => boolean): T[] {
  const end = list.findIndex((one) => !wanted(one));
  return list.splice(0, end < 0 ? list.length : end);
}

/** Bytes of a row: six 32-bit numbers and six doubles. */
const ROW_BYTES = 72;

function rowOf(from: Reader, clients: readonly string[]): NfsRow {
  return {
    epoch: from.u32(),
    client: pick(clients, from.u32(), 'client'),
    hash: from.u32(),
    kind: pick(ROW_KINDS, from.u32(), 'row kind'),
    type: from.u32(),
    access: from.u32(),
    count: from.number(),
    bytes: from.number(),
    minOffset: from.number(),
    firstUs: from.number(),
    lastUs: from.number(),
    order: from.number(),
  };
}

function markerOf(from: Reader, named: (client: string) => string): NfsMarker {
  const epoch = from.u32();
  const kind = pick(MARKER_KINDS, from.u32(), 'marker kind');
  const hash = from.u32();
  const clBoot = from.u32();
  const clId = from.u32();
  const hasName = from.u32() !== 0;
  const atUs = from.number();
  const client = named(from.bytes().toString('latin1'));
  const verifier = from.bytes().toString('hex');
  const oldVerifier = from.bytes().toString('hex');
  const name = Buffer.from(from.bytes());
  return {
    epoch,
    kind,
    atUs,
    client,
    hash,
    clBoot,
    clId,
    verifier,
    oldVerifier,
    name: hasName ? name : null,
  };
}

function lossOf(from: Reader): LossCount {
  return {
    where: from.bytes().toString('latin1'),
    count: from.number(),
    fromUs: from.number(),
    toUs: from.number(),
  };
}

function lookupOf(from: Reader, clients: readonly string[]): NfsLookup {
  return {
    epoch: from.u32(),
    client: pick(clients, from.u32(), 'client'),
    directory: from.u32(),
    count: from.number(),
    firstUs: from.number(),
    lastUs: from.number(),
    order: from.number(),
    name: Buffer.from(from.bytes()),
  };
}
