/**
 * What a person puts before an image and behind it. Owns the open files, the order and the padding
 * between them. Must not know the image: whoever builds here puts them into the output, and whoever
 * has the daemon build puts them around its stream, with the same bytes.
 */
import type { CompressionMethod } from '../choices.ts';
import { appendPadding, checkOrder, earlyPadding, type ImagePart } from './part.ts';
import { PartFile } from './part-file.ts';

export interface OuterPartsOptions {
  readonly early: readonly string[];
  readonly append: readonly string[];
  /** How the image between them is compressed. */
  readonly compression: CompressionMethod | undefined;
}

export class OuterParts {
  readonly #early: readonly PartFile[];
  readonly #append: readonly PartFile[];

  private constructor(early: readonly PartFile[], append: readonly PartFile[]) {
    this.#early = early;
    this.#append = append;
  }

  /** Throws what {@link PartFile.open} throws, and `lz4-not-last`. */
  static async open({ early, append, compression }: OuterPartsOptions): Promise<OuterParts> {
    const opened: PartFile[] = [];
    try {
      for (const name of early) opened.push(await PartFile.open(name, { early: true }));
      for (const name of append) opened.push(await PartFile.open(name, { early: false }));
      const appended = opened.slice(early.length);
      checkOrder(compression, appended);
      return new OuterParts(opened.slice(0, early.length), appended);
    } catch (error) {
      await closeAll(opened);
      throw error;
    }
  }

  /** What stands before the image. */
  async *before(): AsyncGenerator<Buffer> {
    for (const file of this.#early) {
      yield* file.pieces();
      yield* zeros(earlyPadding(file.bytes));
    }
  }

  /** What stands behind an image of so many bytes. */
  async *after(image: number): AsyncGenerator<Buffer> {
    let at = this.#start() + image;
    for (const file of this.#append) {
      const padding = appendPadding(at, file.compression);
      yield* zeros(padding);
      yield* file.pieces();
      at += padding + file.bytes;
    }
  }

  /** All of it, around an image that comes in pieces. */
  async *around(image: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
    yield* this.before();
    let bytes = 0;
    for await (const part of image) {
      yield part;
      bytes += part.length;
    }
    yield* this.after(bytes);
  }

  /** Where everything is, around the parts of an image of so many bytes. */
  layOut(
    image: readonly ImagePart[],
    bytes: number,
  ): { readonly parts: readonly ImagePart[]; readonly bytes: number } {
    const parts: ImagePart[] = [];
    let at = 0;
    for (const { bytes: length } of this.#early) {
      parts.push({ kind: 'early', compression: null, offset: at, bytes: length });
      at += length + earlyPadding(length);
    }
    for (const part of image) parts.push({ ...part, offset: at + part.offset });
    at += bytes;
    for (const { compression, bytes: length } of this.#append) {
      const offset = at + appendPadding(at, compression);
      parts.push({ kind: 'append', compression, offset, bytes: length });
      at = offset + length;
    }
    return { parts, bytes: at };
  }

  close(): Promise<void> {
    return closeAll([...this.#early, ...this.#append]);
  }

  #start(): number {
    return this.#early.reduce((sum, { bytes }) => sum + bytes + earlyPadding(bytes), 0);
  }
}

async function closeAll(files: readonly PartFile[]): Promise<void> {
  for (const file of files) await file.close();
}

function* zeros(length: number): Generator<Buffer> {
  if (length > 0) yield Buffer.alloc(length);
}
