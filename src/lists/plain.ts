/** A list of paths, one a line. */
import { NAMED, type ListReader, type Sink } from './use.ts';

/** As the kernel: PATH_MAX. */
const MOST_PATH = 4096;

export class PlainReader implements ListReader {
  readonly #sink: Sink;

  constructor(sink: Sink) {
    this.#sink = sink;
  }

  read(path: Buffer): void {
    if (path.length === 0) return;
    if (path.length > MOST_PATH) this.#sink.refuse('too-long');
    else this.#sink.use({ path, ...NAMED });
  }

  end(): void {
    // Every line was whole.
  }
}
