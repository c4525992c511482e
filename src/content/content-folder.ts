/**
 * The folder that holds kept content: what is where in it, and whom it trusts. Must not know what
 * is in a blob or a snapshot.
 *
 *     blobs/ab/ab12...   content, by its SHA-256
 *     snapshots/NAME     what a root was, by the expression that it was kept for
 *     tmp/...            what is being written
 */
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { TraceError } from '../common/errors.ts';
import { makeFolders } from '../common/make-folders.ts';

const FOLDERS = ['blobs', 'snapshots', 'tmp'] as const;

export class ContentFolder {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  /**
   * For whoever writes, and there is one at a time: makes what is missing, and removes what a killed
   * one was writing. Throws `content-unsafe`, `content-unusable`.
   */
  static claim(path: string): ContentFolder {
    try {
      makeFolders(path, 0o700);
      refuseUnsafe(path);
      for (const name of FOLDERS) mkdirSync(join(path, name), { mode: 0o700, recursive: true });
      const folder = new ContentFolder(path);
      for (const name of readdirSync(join(path, 'tmp'))) rmSync(folder.temporary(name));
      return folder;
    } catch (cause) {
      throw cause instanceof TraceError ? cause : unusable(path, cause);
    }
  }

  /** For whoever only reads. Null if nothing was ever kept there; throws as {@link claim}. */
  static find(path: string): ContentFolder | null {
    try {
      if (statSync(path, { throwIfNoEntry: false }) === undefined) return null;
      refuseUnsafe(path);
      return new ContentFolder(path);
    } catch (cause) {
      throw cause instanceof TraceError ? cause : unusable(path, cause);
    }
  }

  /** Relative to the folder. */
  blob(hash: string): string {
    return join('blobs', hash.slice(0, 2), hash);
  }

  at(...relative: readonly string[]): string {
    return join(this.path, ...relative);
  }

  temporary(name: string): string {
    return this.at('tmp', name);
  }

  /**
   * What is in one of its folders; nothing before the first snapshot has made that. Throws
   * `content-unusable`.
   */
  async names(...relative: readonly string[]): Promise<string[]> {
    try {
      return await readdir(this.at(...relative));
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return [];
      throw unusable(this.path, cause);
    }
  }
}

/** What is in it ends up in images, `/etc/shadow` included: nobody else may write to it, or read it. */
function refuseUnsafe(path: string): void {
  const { uid, mode } = statSync(path);
  const euid = process.geteuid?.() ?? 0;
  if ((uid === 0 || uid === euid || euid === 0) && (mode & 0o077) === 0) return;
  throw new TraceError({
    code: 'content-unsafe',
    message: `others may use ${path}, where content is kept`,
    hint: 'chown it to the user that the daemon runs as, and chmod 700 it',
    exit: 'permission',
  });
}

export function unusable(path: string, cause: unknown): TraceError {
  const denied = (cause as NodeJS.ErrnoException).code === 'EACCES';
  return new TraceError({
    code: 'content-unusable',
    message: `cannot use ${path} for content: ${(cause as Error).message}`,
    hint: denied
      ? 'only its owner and root may read it; the daemon can build the image'
      : 'name another folder as contentDir in the configuration',
    exit: denied ? 'permission' : 'io',
    cause,
  });
}
