/**
 * Whose paths a list has: those of the machine whose root it is, or those of the server that keeps
 * the root in a directory. Owns that question.
 */
import { below, climbs, isAbsolute, join, normal, tidy, wayInto } from './bytes.ts';

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
   * The path below the root, as the server has it or as the root's own programs do. What `..` in it
   * leads to is for whoever follows its links.
   * @param chroot the root of the process, as whoever wrote the list names it; null if it is not known
   * @returns null: it is outside, or leads out by its names
   */
  inRoot(path: Buffer, chroot: Buffer | null): Buffer | null {
    if (chroot !== null && chroot.length > 1) return this.#inChroot(path, chroot);
    if (this.#view === 'inside' || (!isAbsolute(path) && this.#view === 'auto')) return path;
    const found = this.#strip(join(this.#cwd, path));
    return found === undefined && this.#view === 'auto' ? path : (found ?? null);
  }

  #inChroot(path: Buffer, chroot: Buffer): Buffer | null {
    const top = this.#strip(chroot);
    // The root itself: no `..` leads out of it, for the process as for whoever follows this.
    if (top?.length === 1) return tidy(path);
    // In another directory `..` stops at a place that this path does not tell.
    if (top === null || climbs(path)) return null;
    if (top !== undefined) return below(top, tidy(path));
    const whole = below(chroot, tidy(path));
    if (this.#view === 'inside') return whole;
    const found = this.#strip(whole);
    if (found !== undefined) return found;
    // A directory that the root is in is the server's; another one may be the root's own.
    const server = this.#view === 'server' || this.#names.some((name) => isIn(name, chroot));
    return server ? null : whole;
  }

  /** The way from the root on; undefined if it does not come there, null if it leads out again. */
  #strip(path: Buffer): Buffer | null | undefined {
    const ways = this.#names.map((name) => wayInto(path, name));
    return ways.find((way) => way instanceof Buffer) ?? ways.find((way) => way === null);
  }

  /** The root, if a directory is it; a relative one is taken to be if it can be. */
  rootNamed(directory: Buffer): Buffer | null {
    const path = normal(join(Buffer.alloc(0), directory));
    const is = (name: Buffer): boolean =>
      name.equals(path) || (!isAbsolute(directory) && name.subarray(-path.length).equals(path));
    return this.#names.find(is) ?? null;
  }
}

function isIn(path: Buffer, directory: Buffer): boolean {
  return wayInto(path, directory) instanceof Buffer;
}
