/**
 * The bytes of an image, from a file or a pipe, front to back. Owns the window that is in memory: a
 * file's data is passed over without being read. Must not know what the bytes are.
 *
 * Reads are synchronous: an image is looked at by a command that has nothing else to do.
 */
import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs';
import { TraceError } from '../../common/errors.ts';
import { notReadable } from '../not-readable.ts';

const MOST = 256 * 1024;
/** After data was passed over, as much as a header and a name need. */
const LEAST = 4 * 1024;
const PATIENCE_MS = 5;

export class Input {
  /** For messages. */
  readonly name: string;
  /** Of a regular file; null for what has no end yet. */
  readonly size: number | null;
  readonly #fd: number;
  #buffer = Buffer.allocUnsafe(MOST);
  #start = 0;
  #end = 0;
  #at = 0;
  #step = LEAST;
  #ended = false;

  private constructor(fd: number, name: string, size: number | null) {
    this.#fd = fd;
    this.name = name;
    this.size = size;
  }

  /** `-` is standard input. Throws `image-not-readable`. */
  static open(path: string | Buffer): Input {
    const isStandard = path.toString() === '-';
    const name = isStandard ? 'standard input' : path.toString();
    try {
      const fd = isStandard ? 0 : openSync(path, constants.O_RDONLY);
      return Input.ofDescriptor(fd, name);
    } catch (cause) {
      throw unreadable(name, cause);
    }
  }

  /** A regular file is read from its beginning, wherever the descriptor stands. */
  static ofDescriptor(fd: number, name: string): Input {
    const stat = fstatSync(fd);
    return new Input(fd, name, stat.isFile() ? stat.size : null);
  }

  /** The same regular file from its beginning; it is closed with this one. */
  again(): Input {
    return new Input(this.#fd, this.name, this.size);
  }

  /** Bytes that are behind. */
  get at(): number {
    return this.#at;
  }

  /** What is next: at least so many bytes, if there are; none at the end. Good until the next call. */
  window(least = 1): Buffer {
    while (this.#end - this.#start < least && !this.#ended) this.#fill(least);
    return this.#buffer.subarray(this.#start, this.#end);
  }

  consume(bytes: number): void {
    this.#start += bytes;
    this.#at += bytes;
  }

  /** Passes over bytes, fewer at the end; says how many. */
  skip(bytes: number): number {
    const from = this.#at;
    const end = from + bytes;
    while (this.#at < end) {
      const inside = Math.min(this.#end - this.#start, end - this.#at);
      this.consume(inside);
      if (this.#at === end) break;
      if (this.size === null) {
        if (this.window().length === 0) break;
      } else {
        this.#at = Math.min(end, Math.max(this.size, this.#at));
        this.#step = LEAST;
        if (this.#at < end) break;
      }
    }
    return this.#at - from;
  }

  /** Part of a regular file, wherever it lies. */
  read(offset: number, length: number): Buffer {
    const target = Buffer.allocUnsafe(length);
    let done = 0;
    while (done < length) {
      const count = this.#read(target, done, length - done, offset + done);
      if (count === 0) break;
      done += count;
    }
    return target.subarray(0, done);
  }

  close(): void {
    if (this.#fd !== 0) closeSync(this.#fd);
  }

  #fill(least: number): void {
    const waiting = this.#end - this.#start;
    if (waiting > 0) this.#buffer.copyWithin(0, this.#start, this.#end);
    this.#start = 0;
    this.#end = waiting;
    if (least > this.#buffer.length) throw new Error(`a window of ${least} bytes`);
    const room = this.#buffer.length - waiting;
    const wanted = Math.min(room, Math.max(least - waiting, this.#step));
    this.#step = Math.min(MOST, this.#step * 4);
    const count = this.#read(
      this.#buffer,
      waiting,
      this.size === null ? room : wanted,
      this.size === null ? null : this.#at + waiting,
    );
    this.#end += count;
    this.#ended = count === 0;
    if (this.size !== null && this.#ended && this.#at + waiting < this.size)
      throw shrunk(this.name);
  }

  #read(target: Buffer, at: number, length: number, position: number | null): number {
    for (;;)
      try {
        return readSync(this.#fd, target, at, length, position);
      } catch (cause) {
        const { code } = cause as NodeJS.ErrnoException;
        if (code === 'EOF') return 0;
        if (code !== 'EAGAIN') throw unreadable(this.name, cause);
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, PATIENCE_MS);
      }
  }
}

function shrunk(name: string): TraceError {
  return new TraceError({
    code: 'image-not-readable',
    message: `${name} became shorter while it was read`,
    hint: 'wait until it is not written to any more',
    exit: 'io',
  });
}

function unreadable(name: string, cause: unknown): TraceError {
  const hint = 'give an image that you may read, or - for standard input';
  return notReadable(name, { code: 'image-not-readable', hint, cause });
}
