/**
 * Which object of a root a path leads to, as path_resolution(7) has it for a process that is
 * chrooted there: no link and no `..` leads out. Owns that way. Every name on it is checked with
 * the file system: nobody tells the index of a root that is not recorded of renames, and that of a
 * recording hears of them only with the next flush. Must not know sessions.
 */
import type { GivenSkip } from './given-types.ts';
import { below } from './paths.ts';

/** What the way asks of a root; see RootRecording. */
export interface WalkedTree {
  topOf(path: Buffer): number;
  childOf(directory: number, name: Buffer): number;
  refreshName(directory: number, name: Buffer): void;
  pathsOf(object: number): readonly Buffer[];
  statOf(object: number): { readonly mode: number; readonly target?: Buffer } | null;
  /** Objects that the index had no room for. */
  readonly refused: number;
}

export type WayEnd =
  | { readonly kind: 'found'; readonly object: number; readonly mode: number }
  | { readonly kind: 'missing'; readonly directory: number; readonly name: Buffer }
  | { readonly kind: 'skipped'; readonly why: GivenSkip };

export interface Way {
  readonly end: WayEnd;
  /** Links that were followed. */
  readonly links: readonly number[];
}

/** As the kernel: MAXSYMLINKS, PATH_MAX, NAME_MAX. */
const MOST_LINKS = 40;
const MOST_PATH = 4096;
const MOST_NAME = 255;
const SLASH = 0x2f;
const S_IFMT = 0o170000;
const DIRECTORY = 0o040000;
const ROOT = Buffer.alloc(0);

const PARENT = Buffer.from('..');
const HERE = Buffer.from('.');

/** A directory on the way, and its path without links. */
interface Step {
  readonly object: number;
  readonly path: Buffer;
}

interface Seen {
  readonly object: number;
  readonly mode: number;
  readonly target?: Buffer | undefined;
}

/** What names led to, by directory and name; null: to nothing. For ways of one moment. */
export type Looked = Map<string, Seen | null>;

interface WayOptions {
  /** The last component may be a link, and is followed. */
  readonly follow: boolean;
  /** Paths (latin1) where other file systems are mounted that are not recorded. */
  readonly foreign: ReadonlySet<string>;
  /** Most ways begin alike. */
  readonly looked: Looked;
}

/** `path` is bytes as they were used, with or without a slash at the beginning. Looks into the tree. */
export function walkPath(
  tree: WalkedTree,
  path: Buffer,
  { follow, foreign, looked }: WayOptions,
): Way {
  const links: number[] = [];
  const skip = (why: GivenSkip): Way => ({ end: { kind: 'skipped', why }, links });
  if (path.length > MOST_PATH || path.includes(0)) return skip('not-a-path');
  const top: Step = { object: tree.topOf(ROOT), path: ROOT };
  let steps: Step[] = [top];
  const last = (): Step => steps.at(-1) ?? top;
  // The rest of the way, the next name last.
  const rest = namesOf(path).reverse();
  // What ends with a slash is a directory.
  const through = follow || path.at(-1) === SLASH;
  for (let name = rest.pop(); name !== undefined; name = rest.pop()) {
    if (name.equals(HERE)) continue;
    if (name.equals(PARENT)) {
      if (steps.length > 1) steps.pop();
      continue;
    }
    if (name.length > MOST_NAME) return skip('not-a-path');
    const directory = last();
    const here = below(directory.path, name);
    if (foreign.has(here.toString('latin1'))) return skip('other-file-system');
    const found = look(tree, directory.object, name, looked);
    if (found === null) {
      if (tree.refused > 0) return skip('no-room');
      return { end: { kind: 'missing', directory: directory.object, name }, links };
    }
    const { object, mode, target } = found;
    if (target !== undefined && (rest.length > 0 || through)) {
      links.push(object);
      if (links.length > MOST_LINKS) return skip('too-many-links');
      if (target[0] === SLASH) steps = [top];
      rest.push(...namesOf(target).reverse());
    } else if ((mode & S_IFMT) === DIRECTORY) {
      const mounted = tree.topOf(here);
      steps.push({ object: mounted >= 0 ? mounted : object, path: here });
    } else if (rest.length > 0) return skip('not-a-directory');
    else return { end: { kind: 'found', object, mode }, links };
  }
  return { end: { kind: 'found', object: last().object, mode: DIRECTORY }, links };
}

/** What a directory has under a name; null if nothing, whatever the index believes. */
function look(tree: WalkedTree, directory: number, name: Buffer, looked: Looked): Seen | null {
  const key = `${directory}/${name.toString('latin1')}`;
  const before = looked.get(key);
  if (before !== undefined) return before;
  let object = tree.childOf(directory, name);
  // By its only name it is looked at: this one, since the way to it was. Asking costs twice as much.
  let status = object >= 0 && tree.pathsOf(object).length === 1 ? tree.statOf(object) : null;
  if (status === null) {
    tree.refreshName(directory, name);
    object = tree.childOf(directory, name);
    status = object < 0 ? null : tree.statOf(object);
  }
  const seen = status === null ? null : { object, mode: status.mode, target: status.target };
  looked.set(key, seen);
  return seen;
}

function namesOf(path: Buffer): Buffer[] {
  const names: Buffer[] = [];
  for (let from = 0; from < path.length;) {
    const slash = path.indexOf(SLASH, from);
    const to = slash < 0 ? path.length : slash;
    if (to > from) names.push(path.subarray(from, to));
    from = to + 1;
  }
  return names;
}
