/**
 * A file that goes into an image as it is, before it or behind it. Owns the open file. Must not know
 * where it goes, or formats.
 */
import { constants, fstatSync, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { TraceError } from '../../common/errors.ts';
import type { CompressionMethod } from '../choices.ts';
import { notReadable } from '../not-readable.ts';
import { Input } from '../tools/input.ts';
import { badPart, checkPart } from './check-part.ts';

const PIECE = 1 << 20;

export class PartFile {
  /** As a person gave it. */
  readonly name: string;
  /** Null for a plain archive. */
  readonly compression: CompressionMethod | null;
  readonly bytes: number;
  readonly #file: FileHandle;
  readonly #stat: Stats;

  private constructor(options: {
    readonly name: string;
    readonly compression: CompressionMethod | null;
    readonly file: FileHandle;
    readonly stat: Stats;
  }) {
    this.name = options.name;
    this.compression = options.compression;
    this.#file = options.file;
    this.#stat = options.stat;
    this.bytes = options.stat.size;
  }

  /**
   * @param options.early only a plain archive will do
   * Throws `part-not-readable`, and what {@link checkPart} throws.
   */
  static async open(name: string, { early }: { readonly early: boolean }): Promise<PartFile> {
    // A fifo without a writer must not hold everything up.
    const flags = constants.O_RDONLY | constants.O_NONBLOCK;
    const file = await open(name, flags).catch((cause: unknown) => {
      throw unreadable(name, cause);
    });
    try {
      const stat = fstatSync(file.fd);
      if (!stat.isFile()) throw badPart(name, 'not a file', 'give the archive itself');
      const compression = await checkPart(Input.ofDescriptor(file.fd, name), { early });
      return new PartFile({ name, compression, file, stat });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The file's bytes. Throws `part-changed` unless it is what it was when it was opened. */
  async *pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < this.bytes;) {
      const part = await readAt(this.#file, at, Math.min(PIECE, this.bytes - at), this.name);
      if (part.length === 0) throw this.#changed();
      yield part;
      at += part.length;
    }
    const now = fstatSync(this.#file.fd);
    const { size, mtimeMs, ctimeMs } = this.#stat;
    if (now.size !== size || now.mtimeMs !== mtimeMs || now.ctimeMs !== ctimeMs)
      throw this.#changed();
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  #changed(): TraceError {
    return new TraceError({
      code: 'part-changed',
      message: `${this.name} changed while it was read`,
      hint: 'export again when nobody writes to it',
      exit: 'failed',
    });
  }
}

async function readAt(
  file: FileHandle,
  offset: number,
  length: number,
  name: string,
): Promise<Buffer> {
  const target = Buffer.allocUnsafe(length);
  try {
    const { bytesRead } = await file.read(target, 0, length, offset);
    return target.subarray(0, bytesRead);
  } catch (cause) {
    throw unreadable(name, cause);
  }
}

function unreadable(name: string, cause: unknown): TraceError {
  const hint = 'give an archive that you may read';
  return notReadable(name, { code: 'part-not-readable', hint, cause });
}
