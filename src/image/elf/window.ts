/**
 * Random access to a file for the readers of this folder, with bounds. Owns what a short or
 * absurd read becomes. Must not know what is read.
 */

/** Up to `length` bytes from `offset`; fewer at the end of the file. */
export type ReadAt = (offset: number, length: number) => Buffer;

/** What is wrong with a file that begins as ELF does; turned into a result by the readers. */
export class ElfFault extends Error {}

export const ELF_MAGIC = Buffer.from('\x7fELF', 'latin1');

/** Headers, program headers, interpreter and notes of nearly every file lie in the first page. */
const HEAD_BYTES = 4096;

export class Window {
  readonly head: Buffer;
  readonly #read: ReadAt;

  constructor(read: ReadAt) {
    this.#read = read;
    // Nearly all files of a root are something else, and their first bytes are asked for anyway.
    const magic = read(0, ELF_MAGIC.length);
    this.head = magic.equals(ELF_MAGIC) ? read(0, HEAD_BYTES) : magic;
  }

  /** Exactly `length` bytes, of which `most` is the largest that makes sense. */
  at(offset: number, length: number, most: number, what: string): Buffer {
    if (length > most) throw new ElfFault(`${what} of ${length} bytes`);
    const bytes = this.upTo(offset, length);
    if (bytes.length < length) throw new ElfFault(`${what} beyond the end of the file`);
    return bytes;
  }

  upTo(offset: number, length: number): Buffer {
    if (offset + length <= this.head.length) return this.head.subarray(offset, offset + length);
    return Number.isSafeInteger(offset) ? this.#read(offset, length) : Buffer.alloc(0);
  }
}
