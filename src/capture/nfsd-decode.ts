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
    return this.#bytes.readDoubleLE(this.#at - 8);
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
export function decodeNfsBatch(
  encoded: Buffer,
  named: (client: string) => string = (client) => client,
): NfsBatch {
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

  const clients: string[] = [];
  for (let i = 0; i < clientCount; i++) clients.push(named(from.bytes().toString('latin1')));

  const rows: NfsRow[] = [];
  for (let i = 0; i < rowCount; i++) {
    rows.push({
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
    });
  }

  const markers: NfsMarker[] = [];
  for (let i = 0; i < markerCount; i++) {
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
    markers.push({
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
    });
  }

  const losses: LossCount[] = [];
  for (let i = 0; i < lossCount; i++) {
    losses.push({
      where: from.bytes().toString('latin1'),
      count: from.number(),
      fromUs: from.number(),
      toUs: from.number(),
    });
  }

  const lookups: NfsLookup[] = [];
  for (let i = 0; i < lookupCount; i++) {
    lookups.push({
      epoch: from.u32(),
      client: pick(clients, from.u32(), 'client'),
      directory: from.u32(),
      count: from.number(),
      firstUs: from.number(),
      lastUs: from.number(),
      order: from.number(),
      name: Buffer.from(from.bytes()),
    });
  }
  const lookupsDropped: { client: string; count: number }[] = [];
  for (let i = 0; i < droppedCount; i++)
    lookupsDropped.push({ client: pick(clients, from.u32(), 'client'), count: from.number() });
  const unsigned = new Map<number, number>();
  for (let i = 0; i < unsignedCount; i++) unsigned.set(from.u32(), from.u32());
  return { rows, markers, losses, lookups, lookupsDropped, unsigned, untilUs };
}
