/**
 * Compressed frames kept in a folder, by what they were made from. Owns the frames' files, whom it
 * trusts, and its bound. Must not know archives or how frames are made.
 *
 * A kept frame is what compressing would give, byte for byte: its name is a hash of the frame's
 * content, the method, level and version. It ends with a hash over its name and data, so that a
 * damaged or misplaced one is found and made again. A file's time is its last use.
 */
import { createHash, type Hash, randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { TraceError } from '../../common/errors.ts';
import { FrameIndex } from './frame-index.ts';

/** Changes with what is in the files, or with the meaning of a key. */
const VERSION = 'nfsroot-trace frame 1';
const DIGEST_BYTES = 32;
const PIECE = 1 << 20;
/** Frames that are not larger are read at once, and checked on a worker thread. */
const WHOLE_MOST = 16 << 20;
const NAME = /^[0-9a-f]{64}$/;
const PARTIAL = /^\.[0-9a-f]{32}\.partial$/;
/** Nobody takes so long for one frame: whoever made it was killed. */
const ABANDONED_MS = 3_600_000;

export interface CacheCounts {
  readonly hits: number;
  readonly misses: number;
  /** Of the misses: there was one, but damaged. */
  readonly damaged: number;
  /** Frames that could not be kept: no space, or no permission. */
  readonly failed: number;
}

/** A frame that is looked for. */
export interface Wanted {
  /** What it is made from, as a hash; null where that says nothing of its content. */
  readonly identity: string | null;
  /** Method, level and version of what makes it. */
  readonly compressor: string;
  /** SHA-256 of its content; asked for only if the identity has not been seen with one. */
  readonly hash: () => Promise<string>;
}

export class FrameCache {
  readonly #index: FrameIndex;
  readonly #folder: FileHandle;
  readonly #maxBytes: number;
  readonly #counts = { hits: 0, misses: 0, damaged: 0, failed: 0 };

  private constructor(index: FrameIndex, folder: FileHandle, maxBytes: number) {
    this.#index = index;
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /**
   * Makes the folder if there is none. Throws `frame-cache-unsafe` if others than this user and
   * root may write to it, `frame-cache-failed` if it cannot be used.
   */
  static async open(options: {
    readonly folder: string;
    /** Frames that were not used for longest go when there are more bytes than this. */
    readonly maxBytes: number;
  }): Promise<FrameCache> {
    const { folder, maxBytes } = options;
    let handle: FileHandle;
    try {
      await mkdir(folder, { mode: 0o700 }).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      });
      handle = await open(folder, constants.O_RDONLY | constants.O_DIRECTORY);
    } catch (cause) {
      throw new TraceError({
        code: 'frame-cache-failed',
        message: `cannot use ${folder} for frames: ${(cause as Error).message}`,
        hint: 'give a folder of your own with --frame-cache',
        exit: 'cannotCreate',
        cause,
      });
    }
    const { uid, mode } = await handle.stat();
    // An ACL that lets others write shows as the group's bit, which is then its mask.
    if ((uid === 0 || uid === process.geteuid?.()) && (mode & 0o022) === 0)
      return new FrameCache(await FrameIndex.load(pathOf(handle)), handle, maxBytes);
    await handle.close();
    throw new TraceError({
      code: 'frame-cache-unsafe',
      message: `others may write to ${folder}: what is in it would end up in the image`,
      hint: `chown it to yourself and chmod 700 it, or give another folder with --frame-cache`,
      exit: 'permission',
    });
  }

  get counts(): CacheCounts {
    return { ...this.#counts };
  }

  /** The frame that is wanted, or null, and the key to keep it under. */
  async lookUp({ identity, compressor, hash }: Wanted): Promise<{
    readonly key: string;
    readonly kept: AsyncIterable<Buffer> | null;
  }> {
    const known = this.#index.contentOf(identity);
    const content = known ?? (await hash());
    if (identity !== null && known === null) this.#index.learn(identity, content);
    const key = this.key(Buffer.from(content, 'hex'), compressor);
    return { key, kept: await this.find(key) };
  }

  /** The name of the frame that `compressor` makes of content with this hash. */
  key(content: Buffer, compressor: string): string {
    return createHash('sha256').update(`${VERSION}\n${compressor}\n`).update(content).digest('hex');
  }

  /** A kept frame in pieces, checked from end to end before the first; null if there is none. */
  async find(key: string): Promise<AsyncIterable<Buffer> | null> {
    const file = await this.#openKept(key);
    if (file !== null) {
      const frame = await checked(file, key).catch(() => null);
      if (frame !== null) {
        this.#counts.hits++;
        const now = new Date();
        // The time is the order in which frames go; a frame in a folder of root's keeps its own.
        await file.utimes(now, now).catch(() => undefined);
        return frame;
      }
      this.#counts.damaged++;
      await file.close();
    }
    this.#counts.misses++;
    return null;
  }

  async #openKept(key: string): Promise<FileHandle | null> {
    try {
      return await open(this.#path(key), constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch {
      return null;
    }
  }

  /** Keeps what is written to it; a failure to do so is counted and fails nothing else. */
  async keep(key: string): Promise<FrameKeeper> {
    const path = this.#path(`.${randomBytes(16).toString('hex')}.partial`);
    const file = await open(path, 'wx', 0o600).catch(() => null);
    return new FrameKeeper({
      file,
      path,
      target: this.#path(key),
      key,
      failed: () => this.#counts.failed++,
    });
  }

  /** Removes what is beyond the bound and what killed runs have left; lets go of the folder. */
  async close(): Promise<void> {
    try {
      await this.#index.save();
      await this.#prune();
    } finally {
      await this.#folder.close();
    }
  }

  async #prune(): Promise<void> {
    const kept: { name: string; used: number; size: number }[] = [];
    for (const name of await readdir(this.#path('.')).catch(() => [])) {
      const found = await lstat(this.#path(name)).catch(() => null);
      if (found?.isFile() !== true) continue;
      if (PARTIAL.test(name) && Date.now() - found.mtimeMs > ABANDONED_MS)
        await unlink(this.#path(name)).catch(() => undefined);
      if (NAME.test(name)) kept.push({ name, used: found.mtimeMs, size: found.size });
    }
    kept.sort((a, b) => b.used - a.used || (a.name < b.name ? -1 : 1));
    let bytes = 0;
    for (const { name, size } of kept) {
      bytes += size;
      if (bytes > this.#maxBytes) await unlink(this.#path(name)).catch(() => undefined);
    }
  }

  /** By the folder that was looked at, whatever becomes of its name. */
  #path(name: string): string {
    return join(pathOf(this.#folder), name);
  }
}

function pathOf(folder: FileHandle): string {
  return `/proc/self/fd/${folder.fd}`;
}

interface Keeping {
  readonly file: FileHandle | null;
  readonly path: string;
  readonly target: string;
  readonly key: string;
  readonly failed: () => void;
}

/** Writes one frame beside its place and puts it there when it is whole. */
export class FrameKeeper {
  readonly #given: Keeping;
  readonly #hash: Hash;
  #good: boolean;

  constructor(given: Keeping) {
    this.#given = given;
    this.#hash = createHash('sha256').update(given.key);
    this.#good = given.file !== null;
  }

  async write(part: Buffer): Promise<void> {
    if (!this.#good) return;
    this.#hash.update(part);
    await this.#try(async () => this.#given.file?.writeFile(part));
  }

  /** No sync: a frame that a power cut has left incomplete shows by its hash. */
  async commit(): Promise<void> {
    await this.#try(async () => this.#given.file?.writeFile(this.#hash.digest()));
    await this.#try(() => rename(this.#given.path, this.#given.target));
    if (!this.#good) this.#given.failed();
    await this.discard();
  }

  /** After a commit there is nothing left to remove. */
  async discard(): Promise<void> {
    await this.#given.file?.close();
    await unlink(this.#given.path).catch(() => undefined);
  }

  async #try(action: () => Promise<void>): Promise<void> {
    if (!this.#good) return;
    await action().catch(() => (this.#good = false));
  }
}

/** A kept frame in pieces; null if it is not what was kept under this key. The last piece closes it. */
async function checked(file: FileHandle, key: string): Promise<AsyncIterable<Buffer> | null> {
  const found = await file.stat();
  const length = found.size - DIGEST_BYTES;
  if (!found.isFile() || length < 0) return null;
  if (length > WHOLE_MOST)
    return (await isWhole(file, { key, length })) ? pieces(file, length) : null;
  const bytes = Buffer.allocUnsafeSlow(key.length + found.size);
  bytes.write(key, 'latin1');
  const { bytesRead } = await file.read(bytes, key.length, found.size, 0);
  const end = bytes.length - DIGEST_BYTES;
  const hash = Buffer.from(await crypto.subtle.digest('SHA-256', bytes.subarray(0, end)));
  if (bytesRead < found.size || !hash.equals(bytes.subarray(end))) return null;
  return one(file, bytes.subarray(key.length, end));
}

async function isWhole(
  file: FileHandle,
  { key, length }: { readonly key: string; readonly length: number },
): Promise<boolean> {
  const hash = createHash('sha256').update(key);
  for (let at = 0; at < length;) {
    const part = await readAt(file, at, Math.min(PIECE, length - at));
    if (part.length === 0) return false;
    hash.update(part);
    at += part.length;
  }
  return hash.digest().equals(await readAt(file, length, DIGEST_BYTES));
}

async function* one(file: FileHandle, bytes: Buffer): AsyncGenerator<Buffer> {
  await file.close();
  yield bytes;
}

async function* pieces(file: FileHandle, length: number): AsyncGenerator<Buffer> {
  try {
    for (let at = 0; at < length;) {
      const part = await readAt(file, at, Math.min(PIECE, length - at));
      if (part.length === 0)
        throw new TraceError({
          code: 'frame-cache-failed',
          message: 'a kept frame became shorter while it was read',
          hint: 'export again',
          exit: 'io',
        });
      yield part;
      at += part.length;
    }
  } finally {
    await file.close();
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(length), 0, length, position);
  return buffer.subarray(0, bytesRead);
}
