/**
 * How much is looked for on a root's behalf. Its configuration, libraries and modules multiply: some
 * KB of names, patterns and directories can ask for billions of looks. Owns the bound, which is the
 * same on every machine, so that the image is. Must not know what is looked for.
 */

/** In units of a tenth of a look. All 186,000 files of a Debian with everything took a million. */
const MOST = 5_000_000;
/** A look at a path: the file system is asked at most once. */
const LOOK = 10;
/** What a path of that many bytes takes as much as a look. */
const LOOK_BYTES = 100;

export class Effort {
  #left = MOST;

  /** False when there is no more to spend, from then on. */
  spend(units: number): boolean {
    if (this.#left <= 0) return false;
    this.#left -= units;
    return true;
  }

  /** The same for looking at a path. */
  look(path: string): boolean {
    return this.spend(LOOK + Math.floor((LOOK * path.length) / LOOK_BYTES));
  }
}
