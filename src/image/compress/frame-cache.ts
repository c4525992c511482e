/**
 * Compressed frames kept in a folder, by what they were made from. Owns the frames' files, whom it
 * trusts, and its bound. Must not know archives or how frames are made.
 *
 * A kept frame is what compressing would give, byte for byte: its name is a hash of the frame's
 * content, the method, level and version. A damaged or misplaced one is found and made again. A
 * file's time is its last use.
 */
import { constants } from 'node:fs';
import { type FileHandle, lstat, mkdir, open, readdir, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { TraceError } from '../../common/errors.ts';
import { createHash, randomBytes } from '../../common/hashing.ts';
import { FrameIndex } from './frame-index.ts';
import { KeptFrame } from './kept-frame.ts';

/** Changes with what is in the files, or with the meaning of a key. */
const VERSION = 'nfsroot-trace frame 2';
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

  /** Whether the content of a frame with one of these identities is known. */
  knowsAny(identities: readonly (string | null)[]): boolean {
    return identities.some((identity) => identity !== null && this.#index.has(identity));
  }

  /** The frame that is wanted, or null, and the key to keep it under. */
  async lookUp({ identity, compressor, hash }: Wanted): Promise<{
    readonly key: string;
    readonly kept: KeptFrame | null;
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

  /** A kept frame, checked from end to end, to be closed; null if there is none. */
  async find(key: string): Promise<KeptFrame | null> {
    const frame = await KeptFrame.open(this.#path(key), key);
    if (frame instanceof KeptFrame) {
      this.#counts.hits++;
      const now = new Date();
      // The time is the order in which frames go; a frame in a folder of root's keeps its own.
      await frame.file.utimes(now, now).catch(() => undefined);
      return frame;
    }
    if (frame === 'damaged') this.#counts.damaged++;
    this.#counts.misses++;
    return null;
  }

  /** Keeps what is written to it; a failure to do so is counted and fails nothing else. */
  async keep(key: string): Promise<FrameKeeper> {
    const path = this.#path(`.${randomBytes(16).toString('hex')}.partial`);
    const file = await open(path, 'wx+', 0o600).catch(() => null);
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
    const names = await readdir(this.#path('.')).catch(() => []);
    const look = async (name: string): Promise<void> => {
      const found = await lstat(this.#path(name)).catch(() => null);
      if (found?.isFile() !== true) return;
      if (PARTIAL.test(name) && Date.now() - found.mtimeMs > ABANDONED_MS)
        await unlink(this.#path(name)).catch(() => undefined);
      if (NAME.test(name)) kept.push({ name, used: found.mtimeMs, size: found.size });
    };
    // One after the other takes four times as long: 25 ms for 1000 frames.
    await Promise.all(names.map(look));
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
  #good: boolean;

  constructor(given: Keeping) {
    this.#given = given;
    this.#good = given.file !== null;
  }

  async write(part: Buffer): Promise<void> {
    await this.#try(async () => this.#given.file?.writeFile(part));
  }

  /** No sync: a frame that a power cut has left incomplete shows by its sum. */
  async commit(): Promise<void> {
    const { file, path, target, key } = this.#given;
    await this.#try(async () => (file === null ? undefined : KeptFrame.seal(file, key)));
    await this.#try(() => rename(path, target));
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
