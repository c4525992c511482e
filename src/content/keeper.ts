/**
 * Puts files of a root into a content folder, within its bounds. Owns which blobs were new, and that
 * each is of the file that the record tells of, also when that changes meanwhile. Must not know which
 * files are wanted.
 */
import { statfs } from 'node:fs/promises';
import { TraceError } from '../common/errors.ts';
import { copyFile } from '../fanotify-ts/copy-file.ts';
import type { NativeTree } from '../fanotify-ts/tree.ts';
import type { TreeStat } from '../image/tree.ts';
import { Blobs } from './blobs.ts';
import type { ContentFolder } from './content-folder.ts';
import { identityOf, type KnownContent } from './known-content.ts';
import { recordObject, type RecordedObject, type RootRecord } from './root-record.ts';

export interface KeeperOptions {
  readonly folder: ContentFolder;
  /** Of all blobs. */
  readonly maxBytes: number;
  readonly tree: NativeTree;
  /** What changes meanwhile is told here as it is then. */
  readonly record: RootRecord;
  readonly known: KnownContent;
  readonly signal?: AbortSignal | undefined;
}

export interface AddedBlobs {
  readonly blobs: number;
  readonly bytes: number;
  /** How many share their blocks with the root's files. */
  readonly shared: number;
}

/** How often a file may change while it is copied. */
const ATTEMPTS = 5;
/** What copies leave free: a recording may have its database there, too. */
const RESERVED_SHARE = 0.05;
const RESERVED_BYTES = 1 << 30;

export class Keeper {
  readonly #options: KeeperOptions;
  readonly #blobs: Blobs;
  readonly #new = new Map<string, number>();
  #shared = 0;
  /** Of all blobs, those on their way included. */
  #bytes: number;
  /** Bytes that copies leave free. */
  readonly #reserved: number;
  #changed = false;

  private constructor(
    options: KeeperOptions,
    { bytes, reserved }: { readonly bytes: number; readonly reserved: number },
  ) {
    this.#options = options;
    this.#blobs = new Blobs(options.folder);
    this.#bytes = bytes;
    this.#reserved = reserved;
  }

  static async open(options: KeeperOptions): Promise<Keeper> {
    const { bytes } = await new Blobs(options.folder).count();
    const { blocks, bsize } = await statfs(options.folder.path);
    const reserved = Math.floor(Math.min(RESERVED_SHARE * blocks * bsize, RESERVED_BYTES));
    return new Keeper(options, { bytes, reserved });
  }

  /** Whether the record has changed since the last call. */
  takeChanged(): boolean {
    const changed = this.#changed;
    this.#changed = false;
    return changed;
  }

  /**
   * Keeps the content of one object by all its names that are told of it. Throws `content-full`,
   * `content-no-space`, `root-changing`, what a tree throws, or the signal's reason.
   */
  async keep(names: readonly string[]): Promise<void> {
    const { record } = this.#options;
    for (let attempt = 1; ; attempt++) {
      this.#options.signal?.throwIfAborted();
      const path = names.find((name) => record.get(name)?.stat.type === 'file');
      const object = path === undefined ? undefined : record.get(path);
      if (path === undefined || object === undefined) return;
      try {
        object.blob = await this.#blobOf(path, object.stat);
        this.#tellOf(object, names);
        return;
      } catch (error) {
        if (!(error instanceof TraceError) || error.code !== 'drift') throw error;
        if (attempt === ATTEMPTS) throw changing(this.#options.tree, error);
        for (const name of names) this.#lookAgain(name);
      }
    }
  }

  added(): AddedBlobs {
    let bytes = 0;
    for (const size of this.#new.values()) bytes += size;
    return { blobs: this.#new.size, bytes, shared: this.#shared };
  }

  /** Makes what was added outlive a power cut. */
  sync(): Promise<void> {
    return this.#blobs.syncNames(this.#new.keys());
  }

  /** Removes what was added. */
  undo(): Promise<void> {
    return this.#blobs.remove(this.#new.keys());
  }

  /** The walk may have come by its names at times between which the object changed. */
  #tellOf(object: RecordedObject, names: readonly string[]): void {
    const { record } = this.#options;
    const { dev, ino, foreign } = object.stat;
    for (const name of names) {
      const stat = record.get(name)?.stat;
      if (stat?.ino !== ino || stat.dev !== dev || stat.foreign !== foreign) continue;
      if (identityOf(stat) !== identityOf(object.stat)) this.#changed = true;
      record.set(name, object);
    }
  }

  #lookAgain(name: string): void {
    const { record, tree } = this.#options;
    const object = recordObject(tree, Buffer.from(name, 'latin1'));
    this.#changed = true;
    // What a link or a directory has taken the place of has gone, as far as this record tells.
    if (object?.stat.type === 'file' && record.has(name)) record.set(name, object);
    else record.delete(name);
  }

  async #blobOf(path: string, stat: TreeStat): Promise<string> {
    const known = this.#options.known.hashOf(stat);
    const there = known !== undefined && (await this.#blobs.size(known)) === stat.size;
    return there ? known : this.#copy(Buffer.from(path, 'latin1'), stat);
  }

  #copy(path: Buffer, stat: TreeStat): Promise<string> {
    const { tree, maxBytes } = this.#options;
    const leave = this.#reserved;
    if (stat.size > maxBytes) throw full(maxBytes);
    let shared = false;
    const write = async (fd: number): Promise<void> => {
      shared = await copyFile({ tree, path, stat, fd, leave }).catch((error: unknown) => {
        throw error instanceof TraceError && error.code === 'output-full' ? noSpace(error) : error;
      });
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
}

function full(maxBytes: number): TraceError {
  return new TraceError({
    code: 'content-full',
    message: `kept content would be over its bound of ${Math.floor(maxBytes / 2 ** 20)} MiB`,
    hint: '`trace content prune` removes what no snapshot needs, `trace content remove` a snapshot; or raise contentMaxMb in the configuration',
    exit: 'io',
  });
}

function noSpace(cause: TraceError): TraceError {
  return new TraceError({
    code: 'content-no-space',
    message: 'too little space is left to keep content',
    hint: 'free some, with `trace content prune` or `trace content remove` too; or name another folder as contentDir',
    exit: 'io',
    cause,
  });
}

/** A root that is written to all the time. */
export function changing(tree: NativeTree, cause?: TraceError): TraceError {
  return new TraceError({
    code: 'root-changing',
    message: `${tree.path.toString()} changes while its content is to be kept${cause === undefined ? '' : `: ${cause.message}`}`,
    hint: 'try again when nothing writes to the root',
    exit: 'failed',
    cause,
  });
}
