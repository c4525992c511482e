/**
 * Whether an image that is there is what would be made of a request, without reading the session or
 * planning. Owns the record that tells, beside the image. Must not know how images are made, or what
 * belongs to one.
 *
 * The record holds every path of the root that anything was asked about while the image was made, and
 * what was told of it. It begins with a hash of that, of the request, and of all that the answers came
 * from as it was then: the program, the database, and what statx(2) says of each path. The image
 * itself is vouched for by the record of the last export. Whatever is different is another hash, and
 * then the image is planned and compared as ever.
 */
import { statSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { dirname } from 'node:path';
import { createHash } from '../common/hashing.ts';
import { NativeTree, type TreeStates } from '../fanotify-ts/tree.ts';
import { openCompressor } from '../image/compress/compressor.ts';
import { FileIdentity } from '../image/identity.ts';
import { unpackerProblems } from '../image/kernel-config.ts';
import { LastExport } from '../image/last-export.ts';
import { readOwnRecord, recordBeside, writeOwnRecord } from '../image/own-record.ts';
import type { BuildRequest } from './build-image.ts';
import type { ImageReport } from './image-report.ts';
import type { Witness } from './image-source.ts';
import { mountsBelow } from './mounts-below.ts';
import { programState } from './program-state.ts';

/** Changes with the meaning of what is hashed. */
const VERSION = 'nfsroot-trace remembered image 2';
/** Half of it are the paths of some 500,000 files. */
const MOST_BYTES = 64 << 20;
const DIGEST_LENGTH = 64;

interface Told {
  /** The session's, as a byte string. */
  readonly root: string;
  /** The hash of {@link LastExport}. */
  readonly made: string;
  readonly report: ImageReport;
}

export class RememberedImage {
  readonly #request: BuildRequest & { readonly output: string };
  /** Of the program, the compressor and the database, from before any of them was used. */
  readonly #state: readonly string[];
  #made: string | null = null;

  private constructor(
    request: BuildRequest & { readonly output: string },
    state: readonly string[],
  ) {
    this.#request = request;
    this.#state = state;
  }

  /**
   * Before anything is read for the request; null where more is asked than whether the image is the
   * same, or the database may change without showing it.
   */
  static async of(request: BuildRequest): Promise<RememberedImage | null> {
    const { store, output, ifChanged, recorded, weigh, outer, settledSeconds, choices } = request;
    if (ifChanged !== true || typeof output !== 'string') return null;
    if (recorded !== undefined || weigh === true || outer !== undefined) return null;
    const database = databaseState(store.path, settledSeconds);
    if (database === null) return null;
    const state = [programState(), await compressorOf(choices), database];
    return new RememberedImage({ ...request, output }, state);
  }

  /** What was told of the image, if it is there and would be the same; else null. */
  async told(): Promise<ImageReport | null> {
    const { store, tree: elsewhere, output } = this.#request;
    let tree: NativeTree | undefined;
    try {
      const record = await readOwnRecord(await this.#place(), MOST_BYTES);
      const end = record.indexOf('\n', DIGEST_LENGTH + 1);
      const text = record.subarray(DIGEST_LENGTH + 1, end);
      const paths = record.subarray(end + 1);
      const told = JSON.parse(text.toString()) as Told;
      const root = Buffer.from(told.root, 'latin1');
      tree = NativeTree.open(elsewhere ?? root, { mounts: store.mounts(root) });
      const identity = FileIdentity.now(tree);
      if (identity === null) return null;
      const { made, report } = told;
      const [{ states }, image] = await Promise.all([
        tree.states(paths),
        new LastExport({ output, made }).told(),
      ]);
      if (image === null) return null;
      const hash = this.#hash({ text, paths, identity, states });
      if (hash !== record.toString('latin1', 0, DIGEST_LENGTH)) return null;
      const { compression } = report;
      return {
        ...report,
        compression: compression && { ...compression, cache: null },
        unchanged: true,
      };
    } catch {
      // None, somebody else's, or no such root any more: the image is made, or that is told.
      return null;
    } finally {
      tree?.close();
    }
  }

  /** For the export: what the image is made from, as {@link LastExport} has it. */
  readonly onKept = (made: string): void => {
    this.#made = made;
  };

  /**
   * Leaves the record for the next export, if every change since the image was begun would show in
   * it. Where it cannot be written, that export plans.
   * @param witness.identity from before anything was asked
   */
  async keep(
    report: ImageReport,
    { root, witness }: { readonly root: Buffer; readonly witness: Witness },
  ): Promise<void> {
    const { compress } = this.#request.choices;
    const made = this.#made;
    if (made === null) return;
    // It may be installed by the next time, and nothing that is compared would show it.
    if (report.problems.some(({ code }) => code === 'missing-unpacker')) return;
    const { tree, identity, mounts } = witness;
    try {
      // Writing the image has asked this of the root itself.
      if (compress !== undefined) unpackerProblems(tree, compress.method);
      const paths = tree.asked();
      if (paths.length > MOST_BYTES / 2) return;
      const seen = await tree.native.states(paths);
      // That something was mounted meanwhile, and is there no more, shows in nothing else.
      if (!isAtRest(seen, identity) || mountsBelow(tree.native.path) !== mounts) return;
      const told: Told = { root: root.toString('latin1'), made, report };
      const text = Buffer.from(JSON.stringify(told));
      const hash = this.#hash({ text, paths, identity, states: seen.states });
      await writeOwnRecord(
        await this.#place(),
        Buffer.concat([Buffer.from(`${hash}\n`), text, Buffer.from('\n'), paths]),
      );
    } catch {
      // Nothing to tell: the image itself is there and right.
    }
  }

  async #place(): Promise<string> {
    return recordBeside(await realpath(this.#request.output), 'nfsroot-trace-asked');
  }

  #hash(from: {
    readonly text: Buffer;
    readonly paths: Buffer;
    readonly identity: FileIdentity;
    readonly states: ArrayBuffer;
  }): string {
    const { text, paths, identity, states } = from;
    const { expression, acceptLoss, choices, tree } = this.#request;
    const hash = createHash('sha256').update(`${VERSION}\n`);
    // Each with its length, so that no bytes can pass from one to the next.
    for (const part of [
      JSON.stringify({ expression, acceptLoss, choices, tree: tree?.toString('latin1') }),
      ...this.#state,
      identity.place,
      text,
      paths,
      new Uint8Array(states),
    ])
      hash.update(`${part.length}\n`).update(part);
    return hash.digest('hex');
  }
}

/** Another version of xz may give other bytes. */
async function compressorOf({ compress }: BuildRequest['choices']): Promise<string> {
  return compress === undefined ? '' : (await openCompressor(compress)).key;
}

/**
 * Which database this is and what is in it, as the times of its files tell; null where they may not
 * tell of the next change.
 */
function databaseState(path: string, settledSeconds: number | undefined): string | null {
  let folder: NativeTree | undefined;
  try {
    folder = NativeTree.open(dirname(path));
    const identity = FileIdentity.now(folder, settledSeconds);
    if (identity === null) return null;
    const state = [identity.place];
    // The database is what these say together; an empty one says nothing.
    for (const name of [path, `${path}-wal`, `${path}-journal`]) {
      const found = statSync(name, { bigint: true, throwIfNoEntry: false });
      if (found === undefined || found.size === 0n) continue;
      const { dev, ino, size, mtimeNs, ctimeNs } = found;
      if (!identity.isLongAgo(Number(ctimeNs) / 1e9)) return null;
      state.push([name, dev, ino, size, mtimeNs, ctimeNs].join(' '));
    }
    return state.join('\n');
  } catch {
    return null;
  } finally {
    folder?.close();
  }
}

/** Of an object that is mounted over another, the times are another file system's. */
function isAtRest({ newest, foreign }: TreeStates, identity: FileIdentity): boolean {
  return identity.isLongAgo(newest) && !foreign;
}
