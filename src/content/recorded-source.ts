/**
 * A snapshot as what an image is made from: its tree, and where its files' data lies. Owns that no
 * byte is used which is not what was kept. Must not know how images are made of it.
 */
import { setImmediate as turn } from 'node:timers/promises';
import { createHash } from 'node:crypto';
import { TraceError } from '../common/errors.ts';
import { NativeTree } from '../fanotify-ts/tree.ts';
import type { PlanEntry } from '../image/plan.ts';
import type { StoredFile, StoredFiles } from '../image/stored-files.ts';
import { ContentFolder } from './content-folder.ts';
import { RecordedTree } from './recorded-tree.ts';
import type { Snapshot } from './snapshot-file.ts';
import { checkExpression, missing, Snapshots } from './snapshots.ts';

const PIECE = 4 << 20;

export class RecordedSource implements StoredFiles {
  readonly planned: RecordedTree;
  /** The folder of the content. */
  readonly files: NativeTree;
  readonly #folder: ContentFolder;
  readonly #snapshot: Snapshot;
  /** Blobs that were found sound, as they were then; the archive's writer compares. */
  readonly #sound = new Map<string, StoredFile>();

  private constructor(folder: ContentFolder, files: NativeTree, snapshot: Snapshot) {
    this.#folder = folder;
    this.#snapshot = snapshot;
    this.files = files;
    this.planned = new RecordedTree(snapshot.record, (path, offset, length) =>
      this.files.read(this.locate(path).path, offset, length),
    );
  }

  /**
   * @param options.expression in its one way of writing
   * Throws `no-snapshot`, `snapshot-damaged`, `content-unsafe`, `content-unusable`.
   */
  static async open(options: {
    readonly folder: string;
    readonly expression: string;
  }): Promise<RecordedSource> {
    const { expression } = options;
    checkExpression(expression);
    const folder = ContentFolder.find(options.folder);
    if (folder === null) throw missing(expression);
    const snapshot = await new Snapshots(folder).read(expression);
    return new RecordedSource(folder, NativeTree.open(folder.path), snapshot);
  }

  /** When the root was like this, wall-clock microseconds. */
  get atUs(): number {
    return this.#snapshot.head.atUs;
  }

  close(): void {
    this.files.close();
  }

  /** Throws `not-kept`, `content-damaged`. */
  locate(path: Buffer): StoredFile {
    const blob = this.#snapshot.record.get(path.toString('latin1'))?.blob ?? null;
    if (blob === null) throw this.#notKept(path);
    let found = this.#sound.get(blob);
    if (found === undefined) this.#sound.set(blob, (found = this.#check(blob, path)));
    return found;
  }

  /** Reads all that these entries need before anything is written, with turns for others between. */
  async check(entries: readonly PlanEntry[]): Promise<void> {
    for (const { type, stat, carriesData, path } of entries) {
      if (type !== 'file' || stat === null || !carriesData) continue;
      this.locate(path);
      await turn();
    }
  }

  #check(blob: string, of: Buffer): StoredFile {
    const path = Buffer.from(this.#folder.blob(blob));
    const stat = this.files.lstat(path);
    if (stat?.type !== 'file') throw this.#damaged(of, 'is not there');
    const hash = createHash('sha256');
    for (let at = 0; at < stat.size; at += PIECE) hash.update(this.files.read(path, at, PIECE));
    if (hash.digest('hex') !== blob) throw this.#damaged(of, 'is not what was kept');
    return { path, stat };
  }

  #notKept(path: Buffer): TraceError {
    const { expression } = this.#snapshot.head;
    return new TraceError({
      code: 'not-kept',
      message: `the content of /${path.toString()} was not kept for ${expression}`,
      hint: 'leave it out with --exclude; `trace snapshot --include` keeps more, while the root has it',
      exit: 'notFound',
    });
  }

  #damaged(path: Buffer, what: string): TraceError {
    return new TraceError({
      code: 'content-damaged',
      message: `the kept content of /${path.toString()} ${what}`,
      hint: '`trace content check` finds all that is damaged, and lets `trace snapshot` keep it anew',
      exit: 'data',
    });
  }
}
