/**
 * Goes through an image as the kernel does: plain archives, compressed members and zeros, one behind
 * the other. Owns what may follow what. Must not know what becomes of the records.
 */
import {
  BadMember,
  type Compression,
  compressionAt,
  KIND_BYTES,
  unknownKind,
} from './compression.ts';
import type { Input } from './input.ts';
import { RecordReader, type RecordTaker, type Stop } from './record-reader.ts';
import { unpackMember } from './unpack-member.ts';

/** A stretch of plain records, or one compressed frame. */
export interface Member {
  /** In the image. */
  readonly offset: number;
  /**
   * Null of a frame that the kernel stops in: nobody knows where it ends, and how far it was read is a
   * matter of how it came.
   */
  readonly bytes: number | null;
  readonly compression: Compression | null;
  readonly unpackedBytes: number;
}

export interface ImageTaker extends RecordTaker {
  member?(member: Pick<Member, 'offset' | 'compression'>): void;
  memberEnd?(member: Member): void;
  /** Nothing more is wanted of the image. */
  enough?(): boolean;
}

export interface WalkedImage {
  /** Null if the kernel takes all of it. */
  readonly stop: Stop | null;
  /** In words, for a person; of a stop before or in a compressed member. */
  readonly why: string | null;
  /** Read of the image: all of it, if nothing stopped it. */
  readonly bytes: number;
  readonly members: number;
}

const DIGIT = 0x30;
const UNKNOWN = 'invalid magic at start of compressed archive';

/**
 * @param options.strict also what the kernel does not look at must be right: gzip's checksum
 * Throws `program-missing` for what this machine cannot unpack.
 */
export async function walkImage(
  input: Input,
  taker: ImageTaker,
  { strict = false }: { readonly strict?: boolean } = {},
): Promise<WalkedImage> {
  const reader = new RecordReader(taker);
  let members = 0;
  let why: string | null = null;
  const goesOn = (): boolean => reader.stop === null && taker.enough?.() !== true;
  while (goesOn()) {
    const head = input.window(2);
    const first = head[0];
    if (first === undefined) break;
    const offset = input.at;
    if (first === 0) {
      passZeros(input, head);
      continue;
    }
    const isPlain = first === DIGIT && offset % 4 === 0;
    const compression = isPlain ? null : compressionAt(head);
    reader.member(isPlain ? offset : 0);
    members++;
    if (!isPlain && compression === null) {
      why = unknownKind(input.window(KIND_BYTES));
      reader.fail('unknown-magic', UNKNOWN, offset);
      break;
    }
    taker.member?.({ offset, compression });
    let unpackedBytes = 0;
    let whole = compression === null;
    if (compression === null) plain(input, reader, goesOn);
    else
      try {
        for await (const chunk of unpackMember(input, compression, { strict })) {
          unpackedBytes += chunk.length;
          feed(chunk, reader);
          if (!goesOn()) break;
        }
        whole = goesOn();
        if (whole && !reader.resting)
          reader.fail('junk-at-end', 'junk at the end of compressed archive');
      } catch (error) {
        if (!(error instanceof BadMember)) throw error;
        why = error.message;
        reader.fail('cannot-unpack', 'decompressor failed', offset);
      }
    const { stop } = reader;
    if (!whole && stop !== null && stop.code !== 'cannot-unpack') unpackedBytes = stop.offset;
    const bytes = input.at - offset;
    taker.memberEnd?.({
      offset,
      bytes: whole ? bytes : null,
      compression,
      unpackedBytes: compression === null ? bytes : unpackedBytes,
    });
  }
  return { stop: reader.stop, why, bytes: input.at, members };
}

function passZeros(input: Input, window: Buffer): void {
  const other = window.findIndex((byte) => byte !== 0);
  input.consume(other < 0 ? window.length : other);
}

/** Plain records, up to what is no zero and no record. */
function plain(input: Input, reader: RecordReader, goesOn: () => boolean): void {
  reader.start();
  while (goesOn()) {
    const window = input.window();
    if (window.length === 0) {
      // The kernel says nothing: what was there is there.
      if (!reader.whole) reader.fail('cut-off', null);
      return;
    }
    const used = reader.push(window);
    input.consume(used);
    if (reader.resting && used < window.length) {
      if (window[used] !== DIGIT) return;
      reader.start();
    }
    const { ahead } = reader;
    if (ahead > 0) reader.pass(input.skip(ahead));
  }
}

function feed(chunk: Buffer, reader: RecordReader): void {
  for (let rest = chunk; ;) {
    rest = rest.subarray(reader.push(rest));
    if (rest.length === 0 || reader.stop !== null) return;
    if (rest[0] !== DIGIT) {
      reader.fail('junk', 'junk within compressed archive');
      return;
    }
    reader.start();
  }
}
