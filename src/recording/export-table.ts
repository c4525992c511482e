/**
 * Every export that the kernel NFS server has in use: the recorded roots' keys, and, for handles
 * of other exports, an index of those, so that a call elsewhere is told from a call that was lost.
 * Must not know sessions or clients.
 */
import { statfsSync, statSync } from 'node:fs';
import type { BatchTap } from '../capture/batch-tap.ts';
import type { FileHandle } from '../common/batches.ts';
import { TraceError } from '../common/errors.ts';
import { handleHash, type ExportKey } from '../attribution/handle.ts';
import { HandleIndex } from '../fanotify-ts/handle-index.ts';
import { exportsInUse, isWithin } from './exports.ts';
import type { RootRecording } from './root-recording.ts';

/** The index's own root. */
const ROOT_ID = 0;

/** An export with more inodes than this is not walked; calls to it stay unexplained. */
const LARGEST_WALK = 1_000_000;

/** Where exports are looked up: this machine's kernel, or a recording of another's. */
export interface ExportReader {
  /** Every export in use now. */
  readonly inUse: () => ExportKey[];
  /** Null for an export whose directory is not there any more: it has no handles either. */
  readonly look: (key: ExportKey) => Pick<Export, 'device' | 'rootHandle'> | null;
  /** An index of an export; null for what is too large to walk: calls there stay unexplained. */
  readonly openIndex: (key: ExportKey) => OutsideIndex | null;
}

/** What is asked of the index of an export that is not recorded. */
export type OutsideIndex = Pick<HandleIndex, 'walk' | 'idsOfHash' | 'prune' | 'close'>;

interface Export {
  readonly key: ExportKey;
  /** `st_dev` of the exported directory. */
  readonly device: number;
  readonly rootHandle: FileHandle;
  /** Of an export on another file system than the recorded roots', once it was needed. */
  index: OutsideIndex | null;
}

export class ExportTable {
  readonly #roots: ReadonlyMap<number, RootRecording>;
  readonly #reader: ExportReader;
  readonly #exports = new Map<string, Export>();
  /** Hash of an export's own root directory → its path. */
  readonly #rootHashes = new Map<number, Buffer>();

  constructor(options: {
    readonly roots: ReadonlyMap<number, RootRecording>;
    readonly reader?: ExportReader | undefined;
  }) {
    this.#roots = options.roots;
    this.#reader = options.reader ?? { inUse: exportsInUse, look, openIndex };
  }

  /** Reads the kernel's table again; true if it held something new. */
  refresh(): boolean {
    let news = false;
    for (const key of this.#reader.inUse()) {
      const id = `${key.fsidType}:${key.fsid.toString('hex')}`;
      if (this.#exports.has(id)) continue;
      const found = this.#reader.look(key);
      if (found === null) continue;
      news = true;
      this.#exports.set(id, { key, ...found, index: null });
      this.#rootHashes.set(handleHash({ ...key, handle: null }), key.path);
    }
    for (const root of this.#roots.values()) this.applyTo(root);
    return news;
  }

  /** Gives a root the keys of the exports that lie on its file system. */
  applyTo(root: RootRecording): void {
    for (const { key, device, rootHandle } of this.#exports.values())
      if (device === root.device)
        root.useExport(key, key.path.equals(root.path) ? null : rootHandle);
  }

  /** Is it known that this hash belongs to another export? */
  isOutside(hash: number): boolean {
    if (this.#rootHashes.has(hash)) return true;
    for (const { index } of this.#exports.values())
      if (index !== null && index.idsOfHash(hash).length > 0) return true;
    return false;
  }

  /** Does the hash stand for the root directory of an export that `path` lies in? */
  holds(hash: number, path: Buffer): boolean {
    const exported = this.#rootHashes.get(hash);
    return exported !== undefined && isWithin(path, exported);
  }

  /** Indexes the exports on other file systems than the recorded roots', or does it again. */
  async walkOutside(): Promise<void> {
    const devices = new Set([...this.#roots.values()].map((root) => root.device));
    for (const found of this.#exports.values()) {
      if (devices.has(found.device)) continue;
      found.index ??= this.#reader.openIndex(found.key);
      await found.index?.walk();
      found.index?.prune();
    }
  }

  /** For a recording of batches: what is known of the exports, and of those outside. */
  record(tap: BatchTap): void {
    tap.exports([...this.#exports.values()]);
  }

  recordOutside(tap: BatchTap): void {
    for (const { key, device, index } of this.#exports.values())
      if (index instanceof HandleIndex)
        tap.tree({ moment: 'outside', path: key.path, device }, index);
  }

  close(): void {
    for (const { index } of this.#exports.values()) index?.close();
    this.#exports.clear();
  }
}

function look(key: ExportKey): Pick<Export, 'device' | 'rootHandle'> | null {
  const index = new HandleIndex({ root: key.path });
  try {
    index.open();
    return { device: statSync(key.path).dev, rootHandle: index.handleOf(ROOT_ID) };
  } catch (error) {
    if (error instanceof TraceError || (error as NodeJS.ErrnoException).code === 'ENOENT')
      return null;
    throw error;
  } finally {
    index.close();
  }
}

function openIndex(key: ExportKey): HandleIndex | null {
  const index = new HandleIndex({ root: key.path });
  // First, since it says in our own words when the directory is not there any more.
  index.open();
  const { files, ffree } = statfsSync(key.path);
  if (files - ffree > LARGEST_WALK) {
    index.close();
    return null;
  }
  index.addExportKey(key);
  return index;
}
