/**
 * A file that goes into an image as it is, before it or behind it. Owns the open file and what is
 * asked of it: that the kernel will unpack it. Must not know where it goes.
 */
import { constants, fstatSync, readSync, type Stats } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { type ExitName, TraceError } from '../../common/errors.ts';
import type { CompressionMethod } from '../choices.ts';
import {
  CpioFormatError,
  type CpioRecord,
  type CpioSource,
  HEADER_BYTES,
  paddingOf,
  readRecords,
} from '../cpio.ts';
import { compressionOf } from './magic.ts';

const PIECE = 1 << 20;
const END = Buffer.from('TRAILER!!!\0');

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
   * Throws `part-not-readable`, `bad-part` for what the kernel would not unpack, `early-names`.
   */
  static async open(name: string, { early }: { readonly early: boolean }): Promise<PartFile> {
    // A fifo without a writer must not hold everything up.
    const flags = constants.O_RDONLY | constants.O_NONBLOCK;
    const file = await open(name, flags).catch((cause: unknown) => {
      throw notReadable(name, cause);
    });
    try {
      const stat = fstatSync(file.fd);
      if (!stat.isFile()) throw bad(name, 'not a file', 'give the archive itself');
      const source = new FileSource(name, file.fd, stat.size);
      const compression = compressionOf(source.read(0, 16), name);
      if (compression === null) checkArchive(source, { name, early });
      else if (early)
        throw bad(
          name,
          `compressed by ${compression}`,
          'what the kernel looks for before it unpacks anything must be plain; unpack it first, or use --append',
        );
      return new PartFile({ name, compression, file, stat });
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** The file's bytes. Throws `part-changed` unless it is what it was when it was opened. */
  async *pieces(): AsyncGenerator<Buffer> {
    for (let at = 0; at < this.bytes;) {
      const part = await this.#read(at, Math.min(PIECE, this.bytes - at));
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

  async #read(offset: number, length: number): Promise<Buffer> {
    const target = Buffer.allocUnsafe(length);
    try {
      const { bytesRead } = await this.#file.read(target, 0, length, offset);
      return target.subarray(0, bytesRead);
    } catch (cause) {
      throw notReadable(this.name, cause);
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

/** Reads through a window: an archive is looked at by its headers, near each other or far apart. */
class FileSource implements CpioSource {
  readonly size: number;
  readonly #name: string;
  readonly #fd: number;
  readonly #window = Buffer.allocUnsafe(64 << 10);
  #start = 0;
  #length = 0;

  constructor(name: string, fd: number, size: number) {
    this.#name = name;
    this.#fd = fd;
    this.size = size;
  }

  /** At most 4096 bytes are ever asked for; they are the caller's. */
  read(offset: number, length: number): Buffer {
    if (offset < this.#start || offset + length > this.#start + this.#length) this.#move(offset);
    const from = offset - this.#start;
    return Buffer.from(this.#window.subarray(from, Math.min(from + length, this.#length)));
  }

  #move(offset: number): void {
    try {
      this.#length = readSync(this.#fd, this.#window, 0, this.#window.length, offset);
    } catch (cause) {
      throw notReadable(this.#name, cause);
    }
    this.#start = offset;
  }
}

/** The whole of it, from the first record to the zeros at the end. */
function checkArchive(
  source: CpioSource,
  { name, early }: { readonly name: string; readonly early: boolean },
): void {
  let last: CpioRecord | null = null;
  try {
    for (const record of readRecords(source)) {
      last = record;
      if (early && record.name.toString('latin1').startsWith('./kernel/'))
        throw new TraceError({
          code: 'early-names',
          message: `${name} has ${record.name.toString()}, and the kernel looks for names without ./`,
          hint: 'make it with: find kernel | LC_ALL=C sort | cpio -o -H newc',
          exit: 'data',
        });
    }
  } catch (cause) {
    if (!(cause instanceof CpioFormatError)) throw cause;
    throw bad(name, `not a whole newc archive: ${cause.message}`, NEWC_HINT, cause);
  }
  if (last === null) throw bad(name, 'an archive without a record', NEWC_HINT);
  // Without it the kernel would go on with this archive's hard links in the next one.
  const end = last.dataOffset + last.size + paddingOf(last.size);
  if (!source.read(end + HEADER_BYTES, END.length).equals(END))
    throw bad(name, 'not a whole newc archive: it has no end record', NEWC_HINT);
}

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

function notReadable(name: string, cause: unknown): TraceError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const exits: Readonly<Record<string, ExitName>> = {
    ENOENT: 'notFound',
    EACCES: 'permission',
    EPERM: 'permission',
  };
  return new TraceError({
    code: 'part-not-readable',
    message: `cannot read ${name}: ${message}`,
    hint: 'give an archive that you may read',
    exit: exits[code ?? ''] ?? 'io',
    cause,
  });
}
