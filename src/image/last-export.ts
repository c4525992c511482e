/**
 * Whether an image that is there is what an export would write, so that it can stay as it is. Owns
 * the record of the last export, a file beside the image. Must not know what an image is made of.
 *
 * The record is a hash of what the image was made from, of which file it is (device, inode, size,
 * times) and of what was told of it, which follows. Whatever is different is another hash: an image
 * that was written to or replaced, another root, another choice, a damaged record.
 */
import { createHash, randomBytes } from 'node:crypto';
import { type BigIntStats, constants, fstatSync } from 'node:fs';
import { open, realpath, rename, stat, unlink, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const MOST_BYTES = 64 << 10;
/** The kernel's clock for file times ticks every 10 ms at the slowest (CONFIG_HZ=100). */
const TICK_MS = 20;

export class LastExport {
  readonly #output: string;
  readonly #made: string;
  #written: BigIntStats | null = null;

  /** @param made a hash of all that the image is made from */
  constructor({ output, made }: { readonly output: string; readonly made: string }) {
    this.#output = output;
    this.#made = made;
  }

  /** What was told of the image, if it is there and would be the same; else null. */
  async told(): Promise<string | null> {
    try {
      const path = await realpath(this.#output);
      const record = await readOwn(recordOf(path));
      const told = record.slice(record.indexOf('\n') + 1);
      const found = await stat(path, { bigint: true });
      return found.isFile() && record === this.#record(found, told) ? told : null;
    } catch {
      return null;
    }
  }

  /**
   * For the open file when all is written into it, before it gets its name. Whoever writes to it
   * later does so in another tick of the clock, and shows.
   */
  async written(fd: number): Promise<void> {
    this.#written = fstatSync(fd, { bigint: true });
    await sleep(TICK_MS);
  }

  /** Leaves the record for the next export; where it cannot be written, that writes the image anew. */
  async keep(told: string): Promise<void> {
    try {
      const path = await realpath(this.#output);
      const found = await stat(path, { bigint: true });
      if (!isSameContent(found, this.#written)) return;
      const place = recordOf(path);
      const partial = `${place}.${randomBytes(8).toString('hex')}`;
      await writeFile(partial, this.#record(found, told), { flag: 'wx', mode: 0o600 });
      await rename(partial, place).catch((error: unknown) => unlink(partial).then(() => error));
    } catch {
      // Nothing to tell: the image itself is there and right.
    }
  }

  #record({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats, told: string): string {
    const file = [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    const hash = createHash('sha256').update(`${this.#made}\n${file}\n${told}`);
    return `${hash.digest('hex')}\n${told}`;
  }
}

function recordOf(path: string): string {
  return join(dirname(path), `.${basename(path)}.nfsroot-trace`);
}

function isSameContent(found: BigIntStats, written: BigIntStats | null): boolean {
  const { dev, ino, size, mtimeNs } = found;
  return (
    written?.dev === dev &&
    written.ino === ino &&
    written.size === size &&
    written.mtimeNs === mtimeNs
  );
}

/** Throws for one that somebody else may have written: a folder may be everybody's. */
async function readOwn(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await file.stat();
    const own = found.uid === process.geteuid?.() && (found.mode & 0o022) === 0;
    if (!own || !found.isFile() || found.size > MOST_BYTES) throw new Error('not our own');
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
