/**
 * Whether a database is still where it was opened. In WAL mode SQLite does not look: it goes on
 * writing to a file that nobody will find again, and says that all is well. Owns which file it was.
 */
import { statSync } from 'node:fs';

export class Place {
  readonly #path: string;
  readonly #file: string;

  /** @param path of the database just opened */
  constructor(path: string) {
    this.#path = path;
    this.#file = identityOf(path);
  }

  /** Costs a stat. Throws an error with SQLite's own code for it. */
  check(): void {
    if (identityOf(this.#path) === this.#file) return;
    const error = new Error('another file, or none, has its name now');
    throw Object.assign(error, { code: 'SQLITE_READONLY_DBMOVED' });
  }
}

function identityOf(path: string): string {
  const found = statSync(path, { bigint: true, throwIfNoEntry: false });
  return found === undefined ? '' : `${found.dev}:${found.ino}`;
}
