/**
 * The face of the native archive window: any stretch of an archive's bytes, without writing it.
 * Owns nothing but the native object. Must not know the archive's format.
 */
import type { ArchiveContent } from './archive-content.ts';
import { archiveFailure } from './archive-writer.ts';
import { addon } from './binding.ts';
import { isSystemError } from './system-error.ts';
import type { NativeTree, RootTreeHandle } from './tree.ts';

interface ArchiveWindowHandle {
  read(from: number, to: Buffer): Promise<void>;
  sums(): Promise<Uint32Array>;
  close(): void;
}

const Handle = addon['ArchiveWindow'] as new (
  tree: RootTreeHandle,
  head: Buffer,
  files: Float64Array,
  names: Buffer,
) => ArchiveWindowHandle;

/**
 * Calls may overlap; each runs on a worker thread. Each file that a call reads is compared with the
 * plan before and after. They throw `drift`, `root-not-readable` or `root-unreadable`.
 */
export class ArchiveWindow {
  readonly #handle: ArchiveWindowHandle;

  constructor({ tree, head, files, names = head }: ArchiveContent & { readonly tree: NativeTree }) {
    this.#handle = new Handle(tree.handle, head, files, names);
  }

  /** `length` bytes of the archive from `from`. */
  async read(from: number, length: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafeSlow(length);
    await told(() => this.#handle.read(from, bytes));
    return bytes;
  }

  /** The sum of the bytes of each file in {@link ArchiveContent.files}, modulo 2^32. */
  sums(): Promise<Uint32Array> {
    return told(() => this.#handle.sums());
  }

  /** Calls that run go on. */
  close(): void {
    this.#handle.close();
  }
}

async function told<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    throw isSystemError(cause) ? archiveFailure(cause) : cause;
  }
}
