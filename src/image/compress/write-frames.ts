/**
 * An archive as compressed frames, in order. Owns how many are made at once and what is asked of
 * the cache. Must not know methods, entries or where the bytes go.
 *
 * Frames of up to 16 MiB are read, compressed and waited for whole, several at a time; at most
 * twice as many as threads exist at once, so memory has a bound. A larger one, which is a single
 * large file, goes through in pieces when its turn comes.
 */
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import type { Compressor } from './compressor.ts';
import { type Frame, FRAME_MOST } from './cut-frames.ts';
import type { FrameCache } from './frame-cache.ts';

/** The archive's bytes. */
export interface FrameSource {
  read(from: number, length: number): Promise<Buffer>;
}

export interface FramesOptions {
  readonly source: FrameSource;
  readonly frames: readonly Frame[];
  /** Of each frame what it is made from, as a hash; null where that says nothing of its bytes. */
  readonly identities?: readonly (string | null)[] | undefined;
  readonly compressor: Compressor;
  readonly cache: FrameCache | null;
  readonly threads: number;
  /** Takes the bytes; called for one part after the other. */
  readonly put: (part: Buffer) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the archive that are through. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** Pieces of a large frame. Part of what decides its bytes. */
const PIECE = 4 << 20;
/** Smaller ones are compressed sooner than they are found. */
const LEAST_KEPT = 64 << 10;

/** libuv's pool has four threads by default: one is left for everything else. */
export function usualThreads(): number {
  const pool = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) || 4;
  return Math.max(1, Math.min(availableParallelism(), pool - 1));
}

/** The bytes are the same whatever the number of threads. */
export async function writeFrames(options: FramesOptions): Promise<void> {
  const { frames, identities = [], threads, put, signal, onProgress } = options;
  const slots = new Slots(threads);
  const begun: Promise<Buffer | null>[] = [];
  const begin = (frame: Frame, identity: string | null): Promise<Buffer | null> => {
    if (isLarge(frame)) return Promise.resolve(null);
    const made = slots.run(() => {
      signal?.throwIfAborted();
      return compressWhole(frame, { ...options, identity });
    });
    // It is waited for in its turn; a failure before that is not an unhandled one.
    made.catch(() => undefined);
    return made;
  };
  try {
    for (const [index, frame] of frames.entries()) {
      while (begun.length < Math.min(frames.length, index + 2 * threads)) {
        const next = frames[begun.length];
        if (next !== undefined) begun.push(begin(next, identities[begun.length] ?? null));
      }
      signal?.throwIfAborted();
      const made = await begun[index];
      begun[index] = Promise.resolve(null);
      if (made) await put(made);
      else {
        const identity = identities[index] ?? null;
        for await (const part of compressLarge(frame, { ...options, identity })) await put(part);
      }
      onProgress?.(frame.end);
    }
  } catch (error) {
    slots.stop();
    await Promise.allSettled(begun);
    throw error;
  }
}

const isLarge = ({ start, end }: Frame): boolean => end - start > FRAME_MOST;

type FrameOptions = FramesOptions & { readonly identity: string | null };

async function compressWhole(frame: Frame, options: FrameOptions): Promise<Buffer> {
  const { source, compressor, cache, identity } = options;
  let bytes: Buffer | undefined;
  const read = async (): Promise<Buffer> =>
    (bytes ??= await source.read(frame.start, frame.end - frame.start));
  if (cache === null || frame.end - frame.start < LEAST_KEPT) return compressor.whole(await read());
  const { key, kept } = await cache.lookUp({
    identity,
    compressor: compressor.key,
    // On a worker thread, unlike createHash: whoever builds here may have more to do.
    hash: async () => hex(await crypto.subtle.digest('SHA-256', plain(await read()))),
  });
  if (kept !== null) {
    const parts: Buffer[] = [];
    for await (const part of kept) parts.push(part);
    return parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts);
  }
  const made = await compressor.whole(await read());
  const keeper = await cache.keep(key);
  await keeper.write(made);
  await keeper.commit();
  return made;
}

const hex = (bytes: ArrayBuffer): string => Buffer.from(bytes).toString('hex');
const plain = (bytes: Buffer): Uint8Array<ArrayBuffer> => bytes as Uint8Array<ArrayBuffer>;

async function* compressLarge(frame: Frame, options: FrameOptions): AsyncGenerator<Buffer> {
  const { source, compressor, cache, identity } = options;
  const length = frame.end - frame.start;
  if (cache === null) {
    yield* compressor.stream(pieces(source, frame), length);
    return;
  }
  const { key, kept } = await cache.lookUp({
    identity,
    compressor: compressor.key,
    hash: async () => {
      const hash = createHash('sha256');
      for await (const piece of pieces(source, frame)) hash.update(piece);
      return hash.digest('hex');
    },
  });
  if (kept !== null) {
    yield* kept;
    return;
  }
  const keeper = await cache.keep(key);
  let complete = false;
  try {
    for await (const part of compressor.stream(pieces(source, frame), length)) {
      await keeper.write(part);
      yield part;
    }
    complete = true;
  } finally {
    await (complete ? keeper.commit() : keeper.discard());
  }
}

async function* pieces(source: FrameSource, { start, end }: Frame): AsyncGenerator<Buffer> {
  for (let at = start; at < end; at += PIECE)
    yield await source.read(at, Math.min(PIECE, end - at));
}

/** Lets so many actions run at once, in the order in which they came. */
class Slots {
  #free: number;
  #stopped = false;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  async run<T>(action: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      if (this.#stopped) throw new Error('stopped');
      return await action();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next();
    }
  }

  /** What has not begun fails. */
  stop(): void {
    this.#stopped = true;
  }
}
