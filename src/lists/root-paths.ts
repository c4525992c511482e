/**
 * Whose paths a list has: those of the machine whose root it is, or those of the server that keeps
 * the root in a directory. Owns that question.
 */
import { isAbsolute, join, normal, within } from './bytes.ts';

/**
 * `auto`: the server's if it begins with the root's own path, else as seen from inside the root.
 * `inside`: always as seen from inside. `server`: the server's, a relative one from the working
 * directory on; others are outside.
 */
export const PATH_VIEWS = ['auto', 'inside', 'server'] as const;
export type PathView = (typeof PATH_VIEWS)[number];

export interface RootPathsOptions {
  /** Of the root, absolute: as a person wrote it, and without links. */
  readonly names: readonly Buffer[];
  readonly view: PathView;
  /** Whose list it is stands here; absolute. */
  readonly cwd: Buffer;
}

export class RootPaths {
  readonly #names: readonly Buffer[];
  readonly #view: PathView;
  readonly #cwd: Buffer;

  constructor({ names, view, cwd }: RootPathsOptions) {
    this.#names = names;
    this.#view = view;
    this.#cwd = cwd;
  }

  /**
   * The path below the root, as the server has it or as the root's own programs do.
   * @param chroot the root of the process, as the server names it; null if it is not known
   * @returns null: it is outside
   */
  inRoot(path: Buffer, chroot: Buffer | null): Buffer | null {
    if (this.#view === 'inside' || (!isAbsolute(path) && this.#view === 'auto')) return path;
    const inside = normal(join(this.#cwd, path));
    const whole = chroot === null ? inside : below(chroot, inside);
    for (const name of this.#names) {
      const found = within(whole, name);
      if (found !== null) return found;
    }
    return this.#view === 'auto' && chroot === null ? path : null;
  }

  /** The root, if a directory is it; a relative one is taken to be if it can be. */
  rootNamed(directory: Buffer): Buffer | null {
    const path = normal(join(Buffer.alloc(0), directory));
    const is = (name: Buffer): boolean =>
      name.equals(path) || (!isAbsolute(directory) && name.subarray(-path.length).equals(path));
    return this.#names.find(is) ?? null;
  }
}

function below(directory: Buffer, path: Buffer): Buffer {
  return directory.length === 1 ? path : Buffer.concat([directory, path]);
}
