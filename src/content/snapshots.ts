/**
 * The snapshots of a content folder, by the expressions that they were made for. Owns the files in
 * `snapshots`: each is there whole and synced, or not at all. Must not know what is in them.
 */
import { randomBytes } from 'node:crypto';
import { open, readFile, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { TraceError } from '../common/errors.ts';
import { syncFolder } from './blobs.ts';
import { type ContentFolder, unusable } from './content-folder.ts';
import type { RecordedObject } from './root-record.ts';
import {
  decodeHead,
  decodeObjects,
  encodeSnapshot,
  type Snapshot,
  type SnapshotHead,
} from './snapshot-file.ts';

/** A file name has 255 bytes at most. */
const LONGEST_NAME = 250;
/** More than the head of a file. */
const HEAD_BYTES = 64 << 10;

export interface KeptSnapshot {
  readonly expression: string;
  /** Null if it is damaged. */
  readonly head: SnapshotHead | null;
}

export class Snapshots {
  readonly #folder: ContentFolder;

  constructor(folder: ContentFolder) {
    this.#folder = folder;
  }

  /** Throws `no-snapshot`, `snapshot-damaged`, `content-unusable`. */
  async read(expression: string): Promise<Snapshot> {
    const file = await this.#file(expression);
    const record = new Map<string, RecordedObject>();
    for await (const [path, object] of decodeObjects(file, expression)) record.set(path, object);
    return { head: decodeHead(file, expression), record };
  }

  /** All objects by their paths, one after the other. Throws as {@link read}. */
  async *objects(expression: string): AsyncGenerator<readonly [string, RecordedObject]> {
    yield* decodeObjects(await this.#file(expression), expression);
  }

  /** The objects alone whose content is kept, without room for the others. Throws as {@link read}. */
  async *kept(expression: string): AsyncGenerator<RecordedObject & { readonly blob: string }> {
    for await (const [, object] of this.objects(expression)) {
      const { blob } = object;
      if (blob !== null) yield { ...object, blob };
    }
  }

  /** Replaces one of the same expression: if it throws, it has not. */
  async write(snapshot: Snapshot): Promise<void> {
    const path = this.#path(snapshot.head.expression);
    const temporary = this.#folder.temporary(randomBytes(16).toString('hex'));
    try {
      const bytes = await encodeSnapshot(snapshot);
      await writeFile(temporary, bytes, { flag: 'wx', mode: 0o400, flush: true });
      await rename(temporary, path);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  /** Makes the names of what was written or removed outlive a power cut. */
  sync(): Promise<void> {
    return syncFolder(this.#folder.at('snapshots'));
  }

  /** Throws `no-snapshot`, `content-unusable`. */
  async remove(expression: string): Promise<void> {
    await unlink(this.#path(expression)).catch((cause: unknown) => {
      throw this.#failure(expression, cause);
    });
    await this.sync();
  }

  async names(): Promise<string[]> {
    return (await this.#folder.names('snapshots')).sort();
  }

  /** All, the newest first; damaged ones at the end. */
  async list(): Promise<KeptSnapshot[]> {
    const kept: KeptSnapshot[] = [];
    for (const expression of await this.names()) {
      const head = await this.#head(expression);
      if (head !== undefined) kept.push({ expression, head });
    }
    return kept.sort((a, b) => (b.head?.atUs ?? 0) - (a.head?.atUs ?? 0));
  }

  /** Null if it is damaged, undefined if it has gone meanwhile. */
  async #head(expression: string): Promise<SnapshotHead | null | undefined> {
    const file = await open(this.#path(expression), 'r').catch((cause: unknown) => {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw unusable(this.#folder.path, cause);
    });
    if (file === undefined) return undefined;
    try {
      const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
      return decodeHead(buffer.subarray(0, bytesRead), expression);
    } catch (error) {
      if (error instanceof TraceError) return null;
      throw error;
    } finally {
      await file.close();
    }
  }

  async #file(expression: string): Promise<Buffer> {
    try {
      return await readFile(this.#path(expression));
    } catch (cause) {
      throw this.#failure(expression, cause);
    }
  }

  #failure(expression: string, cause: unknown): TraceError {
    return (cause as NodeJS.ErrnoException).code === 'ENOENT'
      ? missing(expression, cause)
      : unusable(this.#folder.path, cause);
  }

  #path(expression: string): string {
    return this.#folder.at('snapshots', expression);
  }
}

/** An expression is a file's name: it has no slash, but may be too long. Throws `usage`. */
export function checkExpression(expression: string): void {
  if (expression.length <= LONGEST_NAME) return;
  throw new TraceError({
    code: 'expression-too-long',
    message: `an expression of ${expression.length} characters cannot have a snapshot`,
    hint: `it may have ${LONGEST_NAME}; keep the sessions one by one`,
    exit: 'usage',
  });
}

export function missing(expression: string, cause?: unknown): TraceError {
  return new TraceError({
    code: 'no-snapshot',
    message: `no content is kept for ${expression}`,
    hint: `\`trace snapshot ${expression}\` keeps what the root has now; \`trace content list\` shows what is kept`,
    exit: 'notFound',
    cause,
  });
}
