/**
 * A file that goes into an image as it is, before it or behind it. Owns the open file and what is
 * asked of it: that the kernel will unpack it. Must not know where it goes.
 */
import { constants, fstatSync, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { TraceError } from '../../common/errors.ts';
import type { CompressionMethod } from '../choices.ts';
import { CpioFormatError, type CpioRecord } from '../cpio.ts';
import { notReadable } from '../not-readable.ts';
import { checkArchive } from './check-archive.ts';
import { compressionOf } from './magic.ts';
import { unpack } from './unpack.ts';
import { checkZstdFrames } from './zstd-frames.ts';

const PIECE = 1 << 20;
/** What tells one format from another. */
const HEAD_BYTES = 16;

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
   * Throws `part-not-readable`, `bad-part` for what the kernel would not unpack, `early-names`,
   * `part-changed`, `program-missing`.
   */
  static async open(name: string, { early }: { readonly early: boolean }): Promise<PartFile> {
    // A fifo without a writer must not hold everything up.
    const flags = constants.O_RDONLY | constants.O_NONBLOCK;
    const file = await open(name, flags).catch((cause: unknown) => {
      throw unreadable(name, cause);
    });
    try {
      const stat = fstatSync(file.fd);
      if (!stat.isFile()) throw bad(name, 'not a file', 'give the archive itself');
      const compression = compressionOf(await readAt(file, 0, HEAD_BYTES, name), name);
      if (compression !== null && early)
        throw bad(
          name,
          `compressed by ${compression}`,
          'what the kernel looks for before it unpacks anything must be plain; unpack it first, or use --append',
        );
      const part = new PartFile({ name, compression, file, stat });
      await part.#check(early);
      return part;
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

  async #check(early: boolean): Promise<void> {
    const { name, compression } = this;
    const content = compression === null ? this.pieces() : unpack(this.pieces(), compression);
    try {
      if (compression === 'zstd') await checkZstdFrames(this.pieces());
      await checkArchive(content, early ? (record) => hasFoundName(name, record) : undefined);
    } catch (cause) {
      if (cause instanceof CpioFormatError)
        throw bad(name, `not a whole newc archive: ${cause.message}`, NEWC_HINT, cause);
      if (cause instanceof TraceError && cause.code !== 'program-failed') throw cause;
      throw bad(name, `not whole: ${(cause as Error).message}`, WHOLE_HINT, cause);
    }
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

function hasFoundName(name: string, record: CpioRecord): void {
  if (!record.name.toString('latin1').startsWith('./kernel/')) return;
  throw new TraceError({
    code: 'early-names',
    message: `${name} has ${record.name.toString()}, and the kernel looks for names without ./`,
    hint: 'make it with: find kernel | LC_ALL=C sort | cpio -o -H newc',
    exit: 'data',
  });
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

const WHOLE_HINT = 'make it again; one that follows another of another kind is appended by itself';
const NEWC_HINT = 'make it with cpio -o -H newc; --append also takes gzip, zstd, xz and lz4 -l';

function bad(name: string, what: string, hint: string, cause?: unknown): TraceError {
  return new TraceError({
    code: 'bad-part',
    message: `${name} is ${what}`,
    hint,
    exit: 'data',
    ...(cause !== undefined && { cause }),
  });
}

function unreadable(name: string, cause: unknown): TraceError {
  const hint = 'give an archive that you may read';
  return notReadable(name, { code: 'part-not-readable', hint, cause });
}
