/**
 * Which content a frame had that was made from the same files: one file in the folder of kept
 * frames. Owns the file. Must not know what the hashes are of.
 *
 * It ends with a hash of itself. One that is damaged, missing or another program's is an empty one,
 * and then contents are read and hashed as for the first time.
 */
import { constants } from 'node:fs';
import { open, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createHash, randomBytes } from '../../common/hashing.ts';

const NAME = '.index';
/** Changes with the meaning of what is in it. */
const VERSION = 'nfsroot-trace frames 1';
const HASH = /^[0-9a-f]{64}$/;
const ROW = /^([0-9a-f]{64}) ([0-9a-f]{64})$/;
/** Some 40 frames are in an image of 300 MB. Those that were not used for longest go. */
const MOST_ROWS = 4096;
const MOST_BYTES = (MOST_ROWS + 2) * 130;

export class FrameIndex {
  readonly #folder: string;
  /** By identity; the last used is the last. */
  readonly #contents: Map<string, string>;
  #changed = false;

  private constructor(folder: string, contents: Map<string, string>) {
    this.#folder = folder;
    this.#contents = contents;
  }

  static async load(folder: string): Promise<FrameIndex> {
    return new FrameIndex(folder, rowsOf(await text(join(folder, NAME)).catch(() => '')));
  }

  /** The hash of the content that frames of this identity have; null if that is not known. */
  contentOf(identity: string | null): string | null {
    const content = this.#contents.get(identity ?? '');
    if (identity === null || content === undefined) return null;
    this.#contents.delete(identity);
    this.#contents.set(identity, content);
    return content;
  }

  has(identity: string): boolean {
    return this.#contents.has(identity);
  }

  learn(identity: string, content: string): void {
    this.#contents.set(identity, content);
    this.#changed = true;
  }

  /** Where it cannot be written, the next export hashes again. */
  async save(): Promise<void> {
    if (!this.#changed) return;
    const rows = [...this.#contents].slice(-MOST_ROWS).map((row) => `${row.join(' ')}\n`);
    const body = [`${VERSION}\n`, ...rows].join('');
    const path = join(this.#folder, `.${randomBytes(16).toString('hex')}.partial`);
    try {
      await writeFile(path, `${body}${sha256(body)}\n`, { flag: 'wx', mode: 0o600 });
      await rename(path, join(this.#folder, NAME));
    } catch {
      await unlink(path).catch(() => undefined);
    }
  }
}

async function text(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const found = await file.stat();
    return found.isFile() && found.size <= MOST_BYTES ? await file.readFile('latin1') : '';
  } finally {
    await file.close();
  }
}

function rowsOf(whole: string): Map<string, string> {
  const [version, ...rows] = whole.split('\n').slice(0, -1);
  const hash = rows.pop();
  if (version !== VERSION || hash === undefined || !HASH.test(hash)) return new Map();
  if (sha256([version, ...rows, ''].join('\n')) !== hash) return new Map();
  const contents = new Map<string, string>();
  for (const row of rows) {
    const [, identity, content] = ROW.exec(row) ?? [];
    if (identity !== undefined && content !== undefined) contents.set(identity, content);
  }
  return contents;
}

function sha256(bytes: string): string {
  return createHash('sha256').update(bytes, 'latin1').digest('hex');
}
