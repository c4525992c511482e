/** Bytes that come in pieces, by counts of them. Owns what was read and is not used yet. */
export class Pieces {
  /** Bytes that are behind. */
  at = 0;
  readonly #source: AsyncIterator<Buffer>;
  #waiting: Buffer = Buffer.alloc(0);

  constructor(pieces: AsyncIterable<Buffer>) {
    this.#source = pieces[Symbol.asyncIterator]();
  }

  /** So many bytes, or fewer at the end. */
  async peek(length: number): Promise<Buffer> {
    while (this.#waiting.length < length) {
      const next = await this.#source.next();
      if (next.done === true) break;
      this.#waiting = Buffer.concat([this.#waiting, next.value]);
    }
    return this.#waiting.subarray(0, length);
  }

  /** False if there are not so many. */
  async skip(length: number): Promise<boolean> {
    const end = this.at + length;
    while (this.at < end) {
      if ((await this.peek(1)).length === 0) return false;
      this.#take(Math.min(this.#waiting.length, end - this.at));
    }
    return true;
  }

  async skipZeros(most = Infinity): Promise<void> {
    const end = this.at + most;
    while (this.at < end && (await this.peek(1))[0] === 0) {
      const other = this.#waiting.findIndex((byte) => byte !== 0);
      const zeros = other < 0 ? this.#waiting.length : other;
      this.#take(Math.min(zeros, end - this.at));
    }
  }

  /** Lets go of the source, wherever it is. */
  async close(): Promise<void> {
    await this.#source.return?.();
  }

  #take(length: number): void {
    this.#waiting = this.#waiting.subarray(length);
    this.at += length;
  }
}
