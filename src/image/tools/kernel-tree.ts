/**
 * A file tree in memory, as the kernel's unpacker fills one: names, links and metadata, no content.
 * Owns how a path is followed in it. Must not know archives.
 *
 * Paths are byte strings: one character for each byte.
 */
import { TraceError } from '../../common/errors.ts';
import type { Content } from './content.ts';
import { CHARACTER, DIRECTORY, LINK } from './record.ts';

export interface TreeNode {
  /** S_IFMT bits. */
  readonly type: number;
  /** Permission bits (07777). */
  mode: number;
  uid: number;
  gid: number;
  /** Seconds. */
  mtime: number;
  /** Bytes: content of a file, target of a link; else 0. */
  size: number;
  /** Names. */
  links: number;
  readonly rdevMajor: number;
  readonly rdevMinor: number;
  readonly target: string | null;
  /** What the kernel's own archive has; no record of this image made it. */
  builtIn: boolean;
  /** Of a file: set by who reads the content. */
  content: Content | null;
  /** Of a directory. */
  readonly children: Map<string, TreeNode> | null;
  readonly parent: TreeNode | null;
  readonly name: string;
}

export type Errno = 'ENOENT' | 'ENOTDIR' | 'ENAMETOOLONG' | 'ELOOP' | 'EISDIR' | 'EEXIST';

export interface Place {
  readonly directory: TreeNode;
  /** Empty for what has no name of its own there: the root, `.` and `..`. */
  readonly name: string;
  readonly node: TreeNode | null;
  /** The path ends with a slash. */
  readonly slash: boolean;
}

export const isErrno = (found: Place | Errno): found is Errno => typeof found === 'string';

/** Of a tmpfs that nobody gave a mode, which is what an initramfs is unpacked to. */
const TMPFS = 0o1777;
const MOST_NAME = 255;
const MOST_LINKS = 40;
/** Far more than any image has; each takes memory here. */
const MOST_NODES = 1_000_000;

export type NewNode = Pick<TreeNode, 'type' | 'mode' | 'uid' | 'gid' | 'mtime'> &
  Partial<Pick<TreeNode, 'size' | 'rdevMajor' | 'rdevMinor' | 'target' | 'builtIn'>>;

export class KernelTree {
  readonly root: TreeNode = makeNode({ type: DIRECTORY, mode: TMPFS, uid: 0, gid: 0, mtime: 0 });
  #nodes = 1;

  /** What every kernel brings along (usr/default_cpio_list) that has no archive built in. */
  static ofKernel(): KernelTree {
    const tree = new KernelTree();
    tree.root.builtIn = true;
    const own = { uid: 0, gid: 0, mtime: 0, builtIn: true };
    const place = (name: string, directory = tree.root): Place => ({
      directory,
      name,
      node: null,
      slash: false,
    });
    const dev = tree.add(place('dev'), { type: DIRECTORY, mode: 0o755, ...own });
    const console = { type: CHARACTER, mode: 0o600, rdevMajor: 5, rdevMinor: 1 };
    tree.add(place('console', dev), { ...console, ...own });
    tree.add(place('root'), { type: DIRECTORY, mode: 0o700, ...own });
    return tree;
  }

  /** Where a path leads, from the root; the last part need not be there. */
  find(path: string, { follow }: { readonly follow: boolean }): Place | Errno {
    if (path === '') return 'ENOENT';
    let directory = this.root;
    let slash = path.endsWith('/');
    let links = 0;
    const waiting = partsOf(path);
    for (;;) {
      const name = waiting.pop();
      const isLast = waiting.length === 0;
      if (name === undefined) return { directory, name: '', node: directory, slash };
      if (name === '.' || name === '..') {
        if (name === '..') directory = directory.parent ?? this.root;
        if (isLast) return { directory, name: '', node: directory, slash };
        continue;
      }
      if (name.length > MOST_NAME) return 'ENAMETOOLONG';
      const node = directory.children?.get(name) ?? null;
      if (node?.type === LINK && (!isLast || follow || slash)) {
        if (++links > MOST_LINKS) return 'ELOOP';
        const target = node.target ?? '';
        if (target === '') return 'ENOENT';
        if (target.startsWith('/')) directory = this.root;
        if (isLast) slash ||= target.endsWith('/');
        waiting.push(...partsOf(target));
        continue;
      }
      if (isLast && (node === null || !slash || node.type === DIRECTORY))
        return { directory, name, node, slash };
      if (node === null) return 'ENOENT';
      if (node.type !== DIRECTORY) return 'ENOTDIR';
      directory = node;
    }
  }

  /** Throws `image-too-large`. */
  add({ directory, name }: Place, values: NewNode): TreeNode {
    if (this.#nodes >= MOST_NODES)
      throw new TraceError({
        code: 'image-too-large',
        message: `the image has over ${MOST_NODES} entries`,
        hint: 'no machine boots that; list what is in it with `trace image list`',
        exit: 'data',
      });
    this.#nodes++;
    const node = makeNode(values, { directory, name });
    directory.children?.set(name, node);
    return node;
  }

  /** One more name. */
  link({ directory, name }: Place, node: TreeNode): void {
    directory.children?.set(name, node);
    node.links++;
  }

  /** False for a directory that is not empty, and for what has no name. */
  remove({ directory, name, node }: Place): boolean {
    if (node === null || name === '' || (node.children !== null && node.children.size > 0))
      return false;
    directory.children?.delete(name);
    node.links--;
    if (node.links === 0 || node.children !== null) this.#nodes--;
    return true;
  }

  /** Everything, a directory before what is in it, in bytewise order of the paths; the root is ''. */
  *entries(): Generator<readonly [path: string, node: TreeNode]> {
    const waiting: (readonly [string, TreeNode])[] = [['', this.root]];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      yield next;
      const [path, node] = next;
      if (node.children === null) continue;
      const below = [...node.children].sort(([a], [b]) => (a < b ? 1 : -1));
      for (const [name, child] of below)
        waiting.push([path === '' ? name : `${path}/${name}`, child]);
    }
  }
}

/** The path of a directory, or of what is in it. */
export function pathOf(directory: TreeNode, name = ''): string {
  const parts = name === '' ? [] : [name];
  for (let at: TreeNode | null = directory; at !== null && at.name !== ''; at = at.parent)
    parts.push(at.name);
  return parts.reverse().join('/');
}

function makeNode(
  { size = 0, rdevMajor = 0, rdevMinor = 0, target = null, builtIn = false, ...values }: NewNode,
  place: { readonly directory: TreeNode; readonly name: string } | null = null,
): TreeNode {
  return {
    ...values,
    size,
    links: 1,
    rdevMajor,
    rdevMinor,
    target,
    builtIn,
    content: null,
    children: values.type === DIRECTORY ? new Map() : null,
    parent: place?.directory ?? null,
    name: place?.name ?? '',
  };
}

/** In reverse: the next one is the last. */
function partsOf(path: string): string[] {
  return path
    .split('/')
    .filter((part) => part !== '')
    .reverse();
}
