/**
 * Content by its SHA-256. Owns the files in `blobs`: each appears whole, synced and under its true
 * name, or not at all. Must not know whose content it is.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, lstat, mkdir, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { ContentFolder } from './content-folder.ts';

const HASH = /^[0-9a-f]{64}$/;
const PIECE = 1 << 20;

export function isHash(text: unknown): text is string {
  return typeof text === 'string' && HASH.test(text);
}

export interface BlobCount {
  readonly blobs: number;
  /** Sum of their lengths; on a file system that shares blocks they may take less. */
  readonly bytes: number;
}

export class Blobs {
  readonly #folder: ContentFolder;

  constructor(folder: ContentFolder) {
    this.#folder = folder;
  }

  /** Length of a blob; null if it is not there. */
  async size(hash: string): Promise<number | null> {
    const found = await lstat(this.#path(hash)).catch(() => null);
    return found?.isFile() === true ? found.size : null;
  }

  /**
   * Takes in what `write` puts into a new file, unless it is there already.
   * @param admit is asked before it appears, and throws if it must not
   * @returns its SHA-256
   */
  async add(write: (fd: number) => Promise<void>, admit: (hash: string) => void): Promise<string> {
    const temporary = this.#folder.temporary(randomBytes(16).toString('hex'));
    const file = await open(temporary, 'wx+', 0o400);
    try {
      await write(file.fd);
      const hash = await hashOf(file);
      if (await this.isSound(hash)) return hash;
      admit(hash);
      await file.sync();
      const path = this.#path(hash);
      await mkdir(dirname(path), { mode: 0o700, recursive: true });
      await rename(temporary, path);
      return hash;
    } finally {
      await file.close();
      await rm(temporary, { force: true });
    }
  }

  /** Whether it is there and is what its name says: reads all of it. */
  async isSound(hash: string): Promise<boolean> {
    const file = await open(this.#path(hash), 'r').catch(() => null);
    if (file === null) return false;
    try {
      return (await hashOf(file)) === hash;
    } finally {
      await file.close();
    }
  }

  /** Makes the names of new blobs outlive a power cut. */
  async syncNames(hashes: Iterable<string>): Promise<void> {
    const folders = new Set([...hashes].map((hash) => dirname(this.#path(hash))));
    if (folders.size > 0) folders.add(this.#folder.at('blobs'));
    for (const folder of folders) await syncFolder(folder);
  }

  /** Those that are there. */
  async remove(hashes: Iterable<string>): Promise<void> {
    for (const hash of hashes) await rm(this.#path(hash), { force: true });
  }

  async *all(): AsyncGenerator<{ readonly hash: string; readonly size: number }> {
    for (const group of await this.#folder.names('blobs'))
      for (const hash of await this.#folder.names('blobs', group)) {
        const size = isHash(hash) ? await this.size(hash) : null;
        if (size !== null) yield { hash, size };
      }
  }

  async count(): Promise<BlobCount> {
    const sum = { blobs: 0, bytes: 0 };
    for await (const { size } of this.all()) {
      sum.blobs++;
      sum.bytes += size;
    }
    return sum;
  }

  #path(hash: string): string {
    return this.#folder.at(this.#folder.blob(hash));
  }
}

export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function hashOf(file: FileHandle): Promise<string> {
  const hash = createHash('sha256');
  const buffer = Buffer.allocUnsafe(PIECE);
  for (let at = 0; ;) {
    const { bytesRead } = await file.read(buffer, 0, PIECE, at);
    if (bytesRead === 0) return hash.digest('hex');
    hash.update(buffer.subarray(0, bytesRead));
    at += bytesRead;
  }
}
