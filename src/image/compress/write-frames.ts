/**
 * An archive as compressed frames, in order. Owns how many are made at once and what is asked of
 * the cache. Must not know methods, entries or where the bytes go.
 *
 * Frames of up to 16 MiB are read, compressed and waited for whole, several at a time; at most
 * twice as many as threads wait for their turn, and one for each thread may still be on its way into
 * the cache after it, so memory has a bound. Kept ones are no more than open files until their turn
 * comes: others are made meanwhile that come much later. A frame of more than 16 MiB, which is a
 * single large file, goes through in pieces in its turn.
 */
import { availableParallelism } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { createHash } from '../../common/hashing.ts';
import type { Compressor } from './compressor.ts';
import { type Frame, FRAME_MOST } from './cut-frames.ts';
import type { FrameCache } from './frame-cache.ts';
import { KeptFrame } from './kept-frame.ts';

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
  /** Take bytes, or a kept frame's; called for one part after the other. */
  readonly put: (part: Buffer) => Promise<void>;
  readonly copy: (frame: KeptFrame) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the archive that are through. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** Pieces of a large frame. Part of what decides its bytes. */
const PIECE = 4 << 20;
/** Bytes that are hashed before others have their turn. */
const HASH_STEP = 1 << 20;
/** Smaller ones are compressed sooner than they are found. */
const LEAST_KEPT = 64 << 10;

/** libuv's pool has four threads by default: one is left for everything else. */
export function usualThreads(): number {
  const pool = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4) || 4;
  return Math.max(1, Math.min(availableParallelism(), pool - 1));
}

/** The bytes are the same whatever the number of threads. */
export async function writeFrames(options: FramesOptions): Promise<void> {
  const { frames, threads, put, copy, signal, onProgress } = options;
  const ahead = new Ahead(options, threads);
  try {
    for (const [index, frame] of frames.entries()) {
      signal?.throwIfAborted();
      const made = await ahead.take(index);
      if (made instanceof KeptFrame) await copied(made, copy);
      else if (made !== null) await put(made);
      else await writeLarge(frame, { ...options, identity: identityOf(options, index) });
      onProgress?.(frame.end);
    }
    await ahead.done();
  } finally {
    await ahead.stop();
  }
}

/** Null for a large frame, which is made when its turn comes. */
type Made = Buffer | KeptFrame | null;

/** `done` when it is in the cache too, which whoever writes it need not wait for. */
interface Begun {
  readonly made: Promise<Made>;
  readonly done: Promise<void>;
}

const TAKEN: Begun = { made: Promise.resolve(null), done: Promise.resolve() };

/** Kept frames that are open at once. */
const MOST_OPEN = 64;

/** Frames that are being made, or looked for, before their turn has come. */
class Ahead {
  readonly #options: FramesOptions;
  readonly #slots: Slots;
  readonly #known: boolean;
  /** By their place. */
  readonly #begun: Begun[] = [];
  /** Those that are in memory, or may come to be. */
  #made = 0;
  /** Of these, the one that was taken last. */
  #held = 0;
  #taken = 0;

  constructor(options: FramesOptions, threads: number) {
    this.#options = options;
    this.#slots = new Slots(threads);
    this.#known = options.cache?.knowsAny(options.identities ?? []) ?? false;
  }

  /** The next one; what has room now is begun. */
  async take(index: number): Promise<Made> {
    this.#taken = index;
    this.#made -= this.#held;
    this.#held = 0;
    this.#beginMore();
    const { made, done } = this.#begun[index] ?? TAKEN;
    const one = await made;
    this.#begun[index] = { ...TAKEN, done };
    if (!(one instanceof KeptFrame)) this.#held = 1;
    return one;
  }

  /** When all are done that were begun. */
  async done(): Promise<void> {
    await Promise.all(this.#begun.map(({ done }) => done));
  }

  /** Nothing more is begun, and what is kept is closed. */
  async stop(): Promise<void> {
    this.#slots.stop();
    await Promise.allSettled(this.#begun.map(({ done }) => done));
    for (const result of await Promise.allSettled(this.#begun.map(({ made }) => made)))
      if (result.status === 'fulfilled' && result.value instanceof KeptFrame)
        await result.value.file.close();
  }

  #beginMore(): void {
    const { frames, threads } = this.#options;
    while (this.#made < 2 * threads && this.#begun.length < this.#taken + MOST_OPEN) {
      const frame = frames[this.#begun.length];
      if (frame === undefined) return;
      this.#made++;
      this.#begun.push(this.#begin(frame, identityOf(this.#options, this.#begun.length)));
    }
  }

  #begin(frame: Frame, identity: string | null): Begun {
    if (isLarge(frame)) return TAKEN;
    const { promise: made, resolve, reject } = Promise.withResolvers<Made>();
    const done = this.#slots.run(async () => {
      this.#options.signal?.throwIfAborted();
      const { made: one, rest } = await makeWhole(frame, {
        ...this.#options,
        identity,
        known: this.#known,
      });
      if (one instanceof KeptFrame) {
        this.#made--;
        this.#beginMore();
      }
      resolve(one);
      await rest;
    });
    // They are waited for in their turn; a failure before that is not an unhandled one.
    done.catch(reject);
    made.catch(() => undefined);
    return { made, done };
  }
}

function identityOf({ identities = [] }: FramesOptions, index: number): string | null {
  return identities[index] ?? null;
}

async function copied(frame: KeptFrame, copy: FramesOptions['copy']): Promise<void> {
  try {
    await copy(frame);
  } finally {
    await frame.file.close();
  }
}

const isLarge = ({ start, end }: Frame): boolean => end - start > FRAME_MOST;

type FrameOptions = FramesOptions & {
  readonly identity: string | null;
  /** Whether any frame of the image was known when it was begun. */
  readonly known: boolean;
};

interface Whole {
  readonly made: Buffer | KeptFrame;
  /** What still goes on for it. */
  readonly rest?: Promise<unknown> | undefined;
}

async function makeWhole(frame: Frame, options: FrameOptions): Promise<Whole> {
  const { source, compressor, cache, identity, known } = options;
  let bytes: Promise<Buffer> | undefined;
  const read = () => (bytes ??= source.read(frame.start, frame.end - frame.start));
  if (cache === null || frame.end - frame.start < LEAST_KEPT)
    return { made: await compressor.whole(await read()) };
  let early: Promise<Buffer> | undefined;
  const { key, kept } = await cache.lookUp({
    identity,
    compressor: compressor.key,
    hash: async () => {
      const content = await read();
      // A frame that is not known, of an image that is, has hardly ever been there before.
      if (compressor.isQuick && known) early = compressor.whole(content);
      // Waited for later, or not at all.
      early?.catch(() => undefined);
      return hashOf(content);
    },
  });
  if (kept !== null) return { made: kept, rest: early?.catch(() => undefined) };
  const made = await (early ?? compressor.whole(await read()));
  return { made, rest: keep(made, { cache, key }) };
}

async function keep(
  made: Buffer,
  { cache, key }: { readonly cache: FrameCache; readonly key: string },
): Promise<void> {
  const keeper = await cache.keep(key);
  await keeper.write(made);
  await keeper.commit();
}

/**
 * In steps of half a millisecond: whoever builds here may have more to do. Web Cryptography, which has
 * worker threads, first copies everything in one go, which takes as long as this.
 */
async function hashOf(bytes: Buffer): Promise<string> {
  const hash = createHash('sha256');
  for (let at = 0; at < bytes.length; at += HASH_STEP) {
    hash.update(bytes.subarray(at, at + HASH_STEP));
    await setImmediate();
  }
  return hash.digest('hex');
}

async function writeLarge(frame: Frame, options: Omit<FrameOptions, 'known'>): Promise<void> {
  const { source, compressor, cache, identity, put, copy } = options;
  const compress = () => compressor.stream(pieces(source, frame), frame.end - frame.start);
  if (cache === null) {
    for await (const part of compress()) await put(part);
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
  if (kept !== null) return copied(kept, copy);
  const keeper = await cache.keep(key);
  let complete = false;
  try {
    for await (const part of compress()) {
      await keeper.write(part);
      await put(part);
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
