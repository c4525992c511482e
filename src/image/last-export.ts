/**
 * Whether an image that is there is what an export would write, so that it can stay as it is. Owns
 * the record of the last export, a file beside the image. Must not know what an image is made of.
 *
 * The record is a hash of what the image was made from, of which file it is (device, inode, size,
 * times) and of what was told of it, which follows. Whatever is different is another hash: an image
 * that was written to or replaced, another root, another choice, a damaged record.
 */
import { type BigIntStats, fstatSync } from 'node:fs';
import { realpath, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { createHash } from '../common/hashing.ts';
import { readOwnRecord, recordBeside, writeOwnRecord } from './own-record.ts';

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
      const record = (await readOwnRecord(recordOf(path), MOST_BYTES)).toString();
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

  /**
   * Leaves the record for the next export; false where it could not, and that writes the image anew.
   */
  async keep(told: string): Promise<boolean> {
    try {
      const path = await realpath(this.#output);
      const found = await stat(path, { bigint: true });
      if (!isSameContent(found, this.#written)) return false;
      await writeOwnRecord(recordOf(path), this.#record(found, told));
      return true;
    } catch {
      return false;
    }
  }

  #record({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats, told: string): string {
    const file = [dev, ino, size, mtimeNs, ctimeNs].join(' ');
    const hash = createHash('sha256').update(`${this.#made}\n${file}\n${told}`);
    return `${hash.digest('hex')}\n${told}`;
  }
}

function recordOf(path: string): string {
  return recordBeside(path, 'nfsroot-trace');
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
