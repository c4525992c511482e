/**
 * Writes everything that the sensors hand over into a file as well, for tests that replay it.
 * Owns that file. Must not change what it sees.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { FileBatch, NfsBatch } from '../common/batches.ts';
import { makeFolders } from '../common/make-folders.ts';
import type { HandleIndex } from '../fanotify-ts/handle-index.ts';
import {
  encodeLine,
  type RecordedExport,
  type RecordedLine,
  type RecordedObject,
  type RecordedTree,
} from './recorded-batches.ts';

export class BatchTap {
  readonly #fd: number;
  #exports = 0;

  /** Makes `batches-<time>.jsonl` in the folder, and the folder. */
  constructor(folder: string) {
    makeFolders(folder);
    this.#fd = openSync(`${folder}/batches-${Date.now()}.jsonl`, 'wx', 0o600);
  }

  trace(batch: NfsBatch): void {
    const { rows, markers, losses, lookups = [], lookupsDropped = [] } = batch;
    if ([rows, markers, losses, lookups, lookupsDropped].some(({ length }) => length > 0))
      this.#write({ kind: 'nfs', batch });
  }

  files(batch: FileBatch): void {
    if (batch.events.length + batch.losses.length > 0) this.#write({ kind: 'files', batch });
  }

  /** All exports that are known now; written if there are more than before. */
  exports(exports: readonly RecordedExport[]): void {
    if (exports.length <= this.#exports) return;
    this.#exports = exports.length;
    const plain = exports.map(({ key, rootHandle }) => ({ key, rootHandle }));
    this.#write({ kind: 'exports', exports: plain });
  }

  tree(tree: Omit<RecordedTree, 'kind' | 'objects'>, index: ReadableIndex): void {
    this.#write({ kind: 'tree', ...tree, objects: objectsOf(index) });
  }

  close(): void {
    closeSync(this.#fd);
  }

  #write(line: RecordedLine): void {
    writeSync(this.#fd, encodeLine(line));
  }
}

type ReadableIndex = Pick<
  HandleIndex,
  'growth' | 'handleOf' | 'isDirectory' | 'isGone' | 'objects' | 'pathsOf' | 'statOf'
>;

function objectsOf(index: ReadableIndex): RecordedObject[] {
  const objects: RecordedObject[] = [];
  for (let id = 0; id < index.objects; id++) {
    if (index.isGone(id)) continue;
    objects.push({
      handle: index.handleOf(id),
      directory: index.isDirectory(id),
      paths: index.pathsOf(id),
      stat: index.statOf(id),
    });
  }
  return objects;
}
