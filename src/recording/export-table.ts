/**
 * Every export that the kernel NFS server has in use: the recorded roots' keys, and, for handles
 * of other exports, an index of those, so that a call elsewhere is told from a call that was lost.
 * Must not know sessions or clients.
 */
import { statSync } from 'node:fs';
import { statfsSync } from 'node:fs';
import { handleHash, type ExportKey } from '../attribution/handle.ts';
import { HandleIndex } from '../fanotify-ts/handle-index.ts';
import { exportsInUse, isWithin } from './exports.ts';
import type { RootRecording } from './root-recording.ts';

/** An export with more inodes than this is not walked; calls to it stay unexplained. */
const LARGEST_WALK = 1_000_000;

interface Outside {
  readonly key: ExportKey;
  readonly index: HandleIndex;
}

export class ExportTable {
  readonly #roots: ReadonlyMap<number, RootRecording>;
  readonly #keys = new Map<string, ExportKey>();
  /** Hash of an export's own root directory → its path. */
  readonly #rootHashes = new Map<number, Buffer>();
  readonly #outside = new Map<string, Outside>();

  constructor(options: { readonly roots: ReadonlyMap<number, RootRecording> }) {
    this.#roots = options.roots;
  }

  /** Reads the kernel's table again; true if it held something new. */
  refresh(): boolean {
    let news = false;
    for (const key of exportsInUse()) {
      const id = `${key.fsidType}:${key.fsid.toString('hex')}`;
      if (this.#keys.has(id)) continue;
      news = true;
      this.#keys.set(id, key);
      this.#rootHashes.set(handleHash({ ...key, handle: null }), key.path);
    }
    for (const root of this.#roots.values()) this.applyTo(root);
    return news;
  }

  /** Gives a root the keys of the exports that lie on its file system. */
  applyTo(root: RootRecording): void {
    const keys = [...this.#keys.values()];
    root.useExports(keys.filter(({ path }) => deviceOf(path) === root.device));
  }

  /** Is it known that this hash belongs to another export? */
  isOutside(hash: number): boolean {
    if (this.#rootHashes.has(hash)) return true;
    for (const { index } of this.#outside.values())
      if (index.idsOfHash(hash).length > 0) return true;
    return false;
  }

  /** Does the hash stand for the root directory of an export that `path` lies in? */
  holds(hash: number, path: Buffer): boolean {
    const exported = this.#rootHashes.get(hash);
    return exported !== undefined && isWithin(path, exported);
  }

  /** Indexes the exports on other file systems than the recorded roots'. */
  async walkOutside(): Promise<void> {
    const devices = new Set([...this.#roots.values()].map((root) => root.device));
    for (const [id, key] of this.#keys) {
      const device = deviceOf(key.path);
      if (device === null || devices.has(device) || tooLarge(key.path)) continue;
      const index = this.#outside.get(id)?.index ?? new HandleIndex({ root: key.path });
      if (!this.#outside.has(id)) {
        index.open();
        index.addExportKey(key);
        this.#outside.set(id, { key, index });
      }
      await index.walk();
    }
  }

  close(): void {
    for (const { index } of this.#outside.values()) index.close();
    this.#outside.clear();
  }
}

function deviceOf(path: Buffer): number | null {
  try {
    return statSync(path).dev;
  } catch {
    // An export whose directory is not there (any more) has no handles either.
    return null;
  }
}

function tooLarge(path: Buffer): boolean {
  const { files, ffree } = statfsSync(path);
  return files - ffree > LARGEST_WALK;
}
