/**
 * What is in a file that the kernel unpacked, by its hash. A file has its whole size before its data
 * comes: of one that is cut off, the rest is zeros. Owns that the zeros cost nothing until they are
 * asked for, since an image of 200 bytes can say 4 GiB. Must not know archives.
 */
import { createHash, type Hash } from 'node:crypto';

const ZEROS = Buffer.alloc(1 << 20);

export class Content {
  readonly #size: number;
  /** Bytes that came. */
  #data = 0;
  /** Of them; null when nothing lacks any more: an image has many files. */
  #hash: Hash | null = createHash('sha256');
  #sha256 = '';

  /** @param size in bytes, of the file */
  constructor(size: number) {
    this.#size = size;
  }

  take(bytes: Buffer): void {
    this.#hash?.update(bytes);
    this.#data += bytes.length;
  }

  /** No more data comes. */
  end(): void {
    if (this.#hash === null || this.#data < this.#size) return;
    this.#sha256 = this.#hash.digest('hex');
    this.#hash = null;
  }

  /** In hexadecimal; of one that is cut off, with all its zeros. */
  get sha256(): string {
    if (this.#sha256 === '') this.#sha256 = this.#filledTo(this.#size);
    return this.#sha256;
  }

  /** Whether the kernel would have the same bytes. Takes no longer than what came of either. */
  equals(other: Content): boolean {
    const most = Math.max(this.#data, other.#data);
    return this.#size === other.#size && this.#filledTo(most) === other.#filledTo(most);
  }

  /** The hash of what came with zeros up to a length, which is the file's if nothing lacks. */
  #filledTo(length: number): string {
    if (this.#hash === null) return this.#sha256;
    const hash = this.#hash.copy();
    for (let left = length - this.#data; left > 0; left -= ZEROS.length)
      hash.update(ZEROS.subarray(0, Math.min(left, ZEROS.length)));
    return hash.digest('hex');
  }
}
