/**
 * Makes a snapshot: records a root, finds out what images need of it, and keeps that. Owns the order
 * of it, its bounds, and the leaving of nothing behind when it fails. Must not know sessions.
 */
import { statfs } from 'node:fs/promises';
import { TraceError } from '../common/errors.ts';
import { copyFile } from '../fanotify-ts/copy-file.ts';
import type { NativeTree } from '../fanotify-ts/tree.ts';
import type { ImageRule } from '../image/choices.ts';
import type { SessionFile } from '../image/plan.ts';
import { Blobs } from './blobs.ts';
import type { ContentFolder } from './content-folder.ts';
import { KnownContent } from './known-content.ts';
import { type RecordedObject, recordRoot, type RootRecord } from './root-record.ts';
import type { SnapshotHead } from './snapshot-file.ts';
import { Snapshots } from './snapshots.ts';
import { wantedFiles } from './wanted-files.ts';

export interface KeepRequest {
  readonly folder: ContentFolder;
  /** Of all blobs. */
  readonly maxBytes: number;
  /** In its one way of writing. */
  readonly expression: string;
  /** What images of it are made of, and what may be in them beside that. */
  readonly files: readonly SessionFile[];
  readonly rules: readonly ImageRule[];
  readonly tree: NativeTree;
  /** Of this program. */
  readonly version: string;
  readonly signal?: AbortSignal | undefined;
}

export interface Kept {
  readonly head: SnapshotHead;
  /** Of blobs that were not there before. */
  readonly added: AddedBlobs;
}

export interface AddedBlobs {
  readonly blobs: number;
  readonly bytes: number;
  /** How many share their blocks with the root's files. */
  readonly shared: number;
}

/** A root that is written to is not the same from one end to the other. */
const ATTEMPTS = 3;
/** Files at a time: a sync of several costs little more than one. */
const AT_ONCE = 8;
/** What copies leave free: a recording may have its database there, too. */
const RESERVED_SHARE = 0.05;
const RESERVED_BYTES = 1 << 30;

/**
 * Throws `content-full`, `content-no-space`, `root-changing`, `root-too-large`, what trees and plans
 * throw, or the signal's reason; then nothing of it is kept.
 */
export async function keepContent(request: KeepRequest): Promise<Kept> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await keepOnce(request);
    } catch (error) {
      if (!(error instanceof TraceError) || error.code !== 'drift') throw error;
      if (attempt === ATTEMPTS) throw changing(request.tree, error);
    }
  }
}

async function keepOnce(request: KeepRequest): Promise<Kept> {
  const { folder, expression, files, rules, tree, version, signal } = request;
  const atUs = Date.now() * 1000;
  const record = await recordRoot(tree, signal);
  const read = tree.read.bind(tree);
  const wanted = await wantedFiles({ record, read, files, rules });
  const snapshots = new Snapshots(folder);
  const known = await KnownContent.of(snapshots, tree.path);
  const keeper = await Keeper.open(request, known);
  try {
    await inParallel(namesOfObjects(record, wanted), AT_ONCE, (names) => keeper.keep(names));
    await keeper.sync();
    const head = headOf(record, { expression, root: tree.path, atUs, version });
    await snapshots.write({ head, record });
    return { head, added: keeper.added() };
  } catch (error) {
    await keeper.undo();
    throw error;
  }
}

/** One object of a root by all its names. */
interface Names {
  readonly path: Buffer;
  readonly objects: readonly [RecordedObject, ...RecordedObject[]];
}

function namesOfObjects(record: RootRecord, wanted: ReadonlySet<string>): Names[] {
  const names = new Map<string, { path: Buffer; objects: [RecordedObject, ...RecordedObject[]] }>();
  for (const path of wanted) {
    const object = record.get(path);
    if (object === undefined || names.has(identityOf(object))) continue;
    names.set(identityOf(object), { path: Buffer.from(path, 'latin1'), objects: [object] });
  }
  for (const object of record.values()) {
    if (object.stat.type !== 'file' || object.stat.nlink < 2) continue;
    names.get(identityOf(object))?.objects.push(object);
  }
  return [...names.values()];
}

function identityOf({ stat: { dev, ino } }: RecordedObject): string {
  return `${dev}:${ino}`;
}

function headOf(
  record: RootRecord,
  about: { expression: string; root: Buffer; atUs: number; version: string },
): SnapshotHead {
  const kept = [...record.values()].filter(({ blob }) => blob !== null);
  const sizes = new Map(kept.map(({ blob, stat }) => [blob, stat.size]));
  return {
    snapshot: 1,
    ...about,
    root: about.root.toString('base64'),
    objects: record.size,
    files: kept.length,
    bytes: sum(sizes.values()),
  };
}

/** Puts files into the folder, within its bounds, and remembers which were new. */
class Keeper {
  readonly #request: KeepRequest;
  readonly #known: KnownContent;
  readonly #blobs: Blobs;
  readonly #new = new Map<string, number>();
  #shared = 0;
  /** Of all blobs, those on their way included. */
  #bytes: number;

  private constructor(request: KeepRequest, known: KnownContent, blobs: Blobs, bytes: number) {
    this.#request = request;
    this.#known = known;
    this.#blobs = blobs;
    this.#bytes = bytes;
  }

  static async open(request: KeepRequest, known: KnownContent): Promise<Keeper> {
    const blobs = new Blobs(request.folder);
    return new Keeper(request, known, blobs, (await blobs.count()).bytes);
  }

  async keep({ path, objects }: Names): Promise<void> {
    this.#request.signal?.throwIfAborted();
    const [{ stat }] = objects;
    const known = this.#known.hashOf(stat);
    const there = known !== undefined && (await this.#blobs.size(known)) === stat.size;
    const hash = there ? known : await this.#copy(path, objects[0]);
    for (const object of objects) object.blob = hash;
  }

  async #copy(path: Buffer, { stat }: RecordedObject): Promise<string> {
    const { tree, maxBytes, folder } = this.#request;
    if (stat.size > maxBytes) throw full(maxBytes);
    let shared = false;
    const write = async (fd: number): Promise<void> => {
      shared = await copyFile({ tree, path, stat, fd }).catch((error: unknown) => {
        throw error instanceof TraceError && error.code === 'output-full' ? noSpace(error) : error;
      });
      const { bavail, blocks, bsize } = await statfs(folder.path);
      const reserved = Math.min(RESERVED_SHARE * blocks * bsize, RESERVED_BYTES);
      if (!shared && bavail * bsize < reserved) throw noSpace();
    };
    const admit = (hash: string): void => {
      if (this.#new.has(hash)) return;
      if (this.#bytes + stat.size > maxBytes) throw full(maxBytes);
      this.#bytes += stat.size;
      this.#new.set(hash, stat.size);
      this.#shared += Number(shared);
    };
    return this.#blobs.add(write, admit);
  }

  added(): AddedBlobs {
    return { blobs: this.#new.size, bytes: sum(this.#new.values()), shared: this.#shared };
  }

  sync(): Promise<void> {
    return this.#blobs.syncNames(this.#new.keys());
  }

  undo(): Promise<void> {
    return this.#blobs.remove(this.#new.keys());
  }
}

/** Waits for all that has begun, also when one fails. */
async function inParallel<T>(
  items: readonly T[],
  atOnce: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const waiting = items.values();
  let failed = false;
  const worker = async (): Promise<void> => {
    for (const item of waiting) {
      if (failed) return;
      await work(item).catch((error: unknown) => {
        failed = true;
        throw error;
      });
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: atOnce }, worker));
  for (const one of ended) if (one.status === 'rejected') throw one.reason;
}

function sum(values: Iterable<number>): number {
  let total = 0;
  for (const value of values) total += value;
  return total;
}

function full(maxBytes: number): TraceError {
  return new TraceError({
    code: 'content-full',
    message: `kept content would be over its bound of ${Math.floor(maxBytes / 2 ** 20)} MiB`,
    hint: '`trace content remove` lets go of snapshots; or raise contentMaxMb in the configuration',
    exit: 'io',
  });
}

function noSpace(cause?: unknown): TraceError {
  return new TraceError({
    code: 'content-no-space',
    message: 'too little space is left to keep content',
    hint: 'free some, let go of snapshots with `trace content remove`, or name another folder as contentDir',
    exit: 'io',
    cause,
  });
}

function changing(tree: NativeTree, cause: TraceError): TraceError {
  return new TraceError({
    code: 'root-changing',
    message: `${tree.path.toString()} changed ${ATTEMPTS} times while its content was to be kept: ${cause.message}`,
    hint: 'try again when nothing writes to the root',
    exit: 'failed',
    cause,
  });
}
