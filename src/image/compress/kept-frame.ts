/**
 * A compressed frame in a file of its own: its bytes, then a sum over its name and these, so that one
 * that is damaged or has another's name is found out. Owns the form of the file. Must not know where
 * such files are.
 */
import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { TraceError } from '../../common/errors.ts';
import { writeArchive, type WriteArchiveOptions } from '../../fanotify-ts/archive-writer.ts';
import { sumFile } from '../../fanotify-ts/sum-file.ts';

const SUM_BYTES = 8;
const NO_BYTES = Buffer.alloc(0);
const NO_FILES = new Float64Array();
/** What a failure to read is called, or that there was less than it had. */
const UNREAD = new Set(['drift', 'root-unreadable', 'root-not-readable']);

export class KeptFrame {
  readonly file: FileHandle;
  /** Bytes of the frame: the first ones of the file. */
  readonly length: number;

  private constructor(file: FileHandle, length: number) {
    this.file = file;
    this.length = length;
  }

  /** Open, until it is closed; null if there is none, `damaged` if it is not what was kept as `name`. */
  static async open(path: string, name: string): Promise<KeptFrame | 'damaged' | null> {
    let file: FileHandle;
    try {
      file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch {
      return null;
    }
    const length = await wholeLength(file, name).catch(() => null);
    if (length !== null) return new KeptFrame(file, length);
    await file.close();
    return 'damaged';
  }

  /**
   * Writes the frame on a worker thread, as archives are written, and gives its length. Throws what
   * {@link writeArchive} does of outputs, and `frame-cache-failed`.
   */
  async writeTo(output: Pick<WriteArchiveOptions, 'tree' | 'fd' | 'signal'>): Promise<number> {
    const tail = { fd: this.file.fd, length: this.length };
    try {
      return await writeArchive({ ...output, head: NO_BYTES, files: NO_FILES, tail });
    } catch (cause) {
      if (!(cause instanceof TraceError) || !UNREAD.has(cause.code)) throw cause;
      throw new TraceError({
        code: 'frame-cache-failed',
        message: 'a kept frame could not be read to its end',
        hint: 'export again',
        exit: 'io',
        cause,
      });
    }
  }

  /** Ends a file, open to read and write, that has all of a frame in it. */
  static async seal(file: FileHandle, name: string): Promise<void> {
    const { size } = await file.stat();
    await file.write(await sumOf(file, name, size), 0, SUM_BYTES, size);
  }
}

async function wholeLength(file: FileHandle, name: string): Promise<number | null> {
  const found = await file.stat();
  const length = found.size - SUM_BYTES;
  if (!found.isFile() || length < 0) return null;
  const { buffer: sum } = await file.read(Buffer.alloc(SUM_BYTES), 0, SUM_BYTES, length);
  return sum.equals(await sumOf(file, name, length)) ? length : null;
}

async function sumOf(file: FileHandle, name: string, length: number): Promise<Buffer> {
  const bytes = Buffer.alloc(SUM_BYTES);
  bytes.writeBigUInt64LE(await sumFile(file.fd, length, Buffer.from(name, 'latin1')));
  return bytes;
}
