/**
 * Records that exports leave beside images, for the next ones. Owns where they are, whose are
 * trusted, and that they are there whole or not at all. Must not know what is in them.
 */
import { constants } from 'node:fs';
import { open, rename, unlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { randomBytes } from '../common/hashing.ts';

/**
 * Throws for one that somebody else may have written, since a folder may be everybody's, and for one
 * that is longer than `most` bytes.
 */
export async function readOwnRecord(path: string, most: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await file.stat();
    const own = found.uid === process.geteuid?.() && (found.mode & 0o022) === 0;
    const { size } = found;
    if (!own || !found.isFile() || size > most) throw new Error('not our own');
    const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(size), 0, size, 0);
    if (bytesRead !== size) throw new Error('not whole');
    return buffer;
  } finally {
    await file.close();
  }
}

/** Throws what creating or renaming a file does. */
export async function writeOwnRecord(path: string, record: string | Buffer): Promise<void> {
  const partial = `${path}.${randomBytes(8).toString('hex')}`;
  try {
    await writeFile(partial, record, { flag: 'wx', mode: 0o600 });
    await rename(partial, path);
  } catch (error) {
    // A full disk leaves a part of it.
    await unlink(partial).catch(() => undefined);
    throw error;
  }
}

/** The record of a kind that is beside an image. */
export function recordBeside(image: string, ending: string): string {
  return join(dirname(image), `.${basename(image)}.${ending}`);
}
