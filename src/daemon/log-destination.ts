/**
 * Where the daemon's log lines go: a descriptor, written at once. Owns what happens when it takes
 * none. Must not know what a line says.
 *
 * Pino's own destination would end the process then, and a full disk, whose log may lie beside the
 * database, is when the daemon must live on: what waits for room is in its memory.
 */
import { writeSync } from 'node:fs';

/** A pipe that is full is asked again this often, this many milliseconds apart. */
const TRIES = 20;
const PAUSE_MS = 5;

export class LogDestination {
  readonly #fd: number;
  #missed = 0;

  constructor(options: { readonly fd: number }) {
    this.#fd = options.fd;
  }

  /** One line of JSON. One that cannot be written is counted, and the next one that can says so. */
  write(line: string): void {
    const before = this.#missed === 0 ? '' : missedLine(this.#missed);
    if (this.#writeAll(Buffer.from(before + line))) this.#missed = 0;
    else this.#missed += 1;
  }

  #writeAll(data: Buffer): boolean {
    let tries = TRIES;
    for (let done = 0; done < data.length;)
      try {
        done += writeSync(this.#fd, data, done);
      } catch (error) {
        tries -= 1;
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || tries === 0) return false;
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PAUSE_MS);
      }
    return true;
  }
}

function missedLine(count: number): string {
  const time = Date.now();
  // What was cut off ends here.
  return `\n${JSON.stringify({ level: 40, time, msg: `${count} lines of this log could not be written` })}\n`;
}
