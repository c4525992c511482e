/**
 * The parts of an image as a person thinks of them: archives and compressed pieces that follow each
 * other. Owns where one ends: at an end record, at another compression, at zeros between.
 */
import type { Compression } from './compression.ts';
import type { Input } from './input.ts';
import { type ImageTaker, walkImage, type WalkedImage } from './walk-image.ts';

export interface Part {
  readonly offset: number;
  /** Zeros behind it not counted. */
  bytes: number;
  readonly compression: Compression | null;
  /** Compressed pieces that follow each other at once, each ending with a record. */
  frames: number;
  unpackedBytes: number;
  entries: number;
  /** End records. */
  trailers: number;
  /** Zeros up to the next part, or to the end. */
  padding: number;
}

export interface ImageParts extends WalkedImage {
  readonly parts: readonly Part[];
  /** From where the kernel stopped: bytes that it does not take. */
  readonly rest: number;
}

/**
 * Reads an image through. Offsets and lengths are bytes of the image.
 * @throws TraceError `image-not-readable`, and `program-missing` for what this machine cannot unpack
 */
export async function partsOf(input: Input): Promise<ImageParts> {
  const parts: Part[] = [];
  let current: Part | null = null;
  /** Of a plain part: where its last record, or its end record, ends. */
  let end = 0;
  let ended = false;
  const open = (offset: number, compression: Compression | null): Part => {
    const part = { offset, bytes: 0, compression, frames: 0, unpackedBytes: 0 };
    current = { ...part, entries: 0, trailers: 0, padding: 0 };
    parts.push(current);
    ended = false;
    return current;
  };
  const close = (part: Part): void => {
    part.bytes = end - part.offset;
    part.unpackedBytes = part.bytes;
  };
  const taker: ImageTaker = {
    member: ({ offset, compression }) => {
      const last = parts.at(-1);
      const goesOn =
        compression !== null &&
        last?.compression === compression &&
        last.offset + last.bytes === offset;
      const part = goesOn ? last : open(offset, compression);
      if (compression !== null) part.frames++;
      current = part;
      end = offset;
    },
    memberEnd: ({ bytes, compression, unpackedBytes, offset }) => {
      const part = parts.at(-1);
      if (part === undefined) return;
      if (compression === null) close(part);
      else {
        part.bytes = bytes === null ? Infinity : offset + bytes - part.offset;
        part.unpackedBytes += unpackedBytes;
      }
    },
    record: ({ offset, dataOffset, size }) => {
      if (current === null) return null;
      if (current.compression === null) {
        if (ended) {
          close(current);
          open(offset, null);
        }
        end = dataOffset + size + (-(dataOffset + size) & 3);
      }
      current.entries++;
      return null;
    },
    trailer: (at) => {
      if (current === null) return;
      current.trailers++;
      if (current.compression !== null) return;
      ({ end } = at);
      ended = true;
    },
  };
  const walked = await walkImage(input, taker);
  const stopped = walked.stop !== null;
  const all = stopped ? walked.bytes + input.skip(Infinity) : walked.bytes;
  for (const [index, part] of parts.entries()) {
    const last = stopped ? Math.min(all, part.offset + part.bytes) : all;
    const next = parts[index + 1]?.offset ?? last;
    part.bytes = Math.min(part.bytes, next - part.offset);
    part.padding = next - part.offset - part.bytes;
  }
  const last = parts.at(-1);
  const known = last === undefined ? 0 : last.offset + last.bytes + last.padding;
  return { ...walked, bytes: all, parts, rest: stopped ? Math.max(0, all - known) : 0 };
}
