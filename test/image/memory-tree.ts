/**
 * A root in memory for tests of pure code. Owns its nodes; directories above a node come by
 * themselves. Behaves as the native tree does: no link is ever followed.
 */
import { compareBytes } from '../../src/common/bytes.ts';
import type { FileType, Tree, TreeLink, TreeStat } from '../../src/image/tree.ts';

/** A file's content, a link's target, or what differs from a plain file. */
export type Node =
  | string
  | { readonly to: string }
  | (Partial<TreeStat> & { readonly names?: string[]; readonly content?: string });

const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

export class MemoryTree implements Tree {
  readonly #nodes = new Map<
    string,
    { stat: TreeStat; target: string; content: string; attributes: string[] }
  >();
  /** Every path that was looked at, for tests of cost. */
  looks = 0;

  constructor(nodes: Readonly<Record<string, Node>>) {
    this.#put('', { type: 'directory', mode: 0o755 });
    for (const [path, node] of Object.entries(nodes)) {
      for (let at = path.indexOf('/'); at >= 0; at = path.indexOf('/', at + 1))
        if (!this.#nodes.has(path.slice(0, at)))
          this.#put(path.slice(0, at), { type: 'directory', mode: 0o755 });
      this.#put(path, node);
    }
  }

  #put(path: string, node: Node): void {
    const link = typeof node === 'object' && 'to' in node ? node.to : '';
    const given = typeof node === 'string' ? { content: node } : 'to' in node ? {} : node;
    const content = ('content' in given ? given.content : undefined) ?? '';
    const type: FileType = link !== '' ? 'symlink' : (given.type ?? 'file');
    this.#nodes.set(path, {
      target: link,
      content,
      attributes: 'names' in given ? given.names : [],
      stat: {
        type,
        mode: type === 'symlink' ? 0o777 : 0o644,
        uid: 0,
        gid: 0,
        size: link.length + content.length,
        mtime: 1_000_000_000,
        mtimeNsec: 0,
        ctime: 0,
        ctimeNsec: 0,
        nlink: 1,
        dev: 1,
        ino: BigInt(this.#nodes.size + 2),
        rdevMajor: 0,
        rdevMinor: 0,
        foreign: false,
        ...given,
      },
    });
  }

  lstat(path: Buffer): TreeStat | null {
    this.looks++;
    return this.#nodes.get(path.toString('latin1'))?.stat ?? null;
  }

  readlink(path: Buffer): Buffer {
    return bytes(this.#nodes.get(path.toString('latin1'))?.target ?? '');
  }

  list(path: Buffer): Buffer[] {
    const inside = path.length === 0 ? '' : `${path.toString('latin1')}/`;
    return [...this.#nodes.keys()]
      .filter(
        (one) => one !== '' && one.startsWith(inside) && !one.slice(inside.length).includes('/'),
      )
      .map((one) => bytes(one.slice(inside.length)))
      .sort(compareBytes);
  }

  read(path: Buffer, offset: number, length: number): Buffer {
    const content = this.#nodes.get(path.toString('latin1'))?.content ?? '';
    return bytes(content.slice(offset, offset + length));
  }

  attributes(path: Buffer): string[] {
    return this.#nodes.get(path.toString('latin1'))?.attributes ?? [];
  }

  /** Made of its name. */
  attribute(_path: Buffer, name: string): Buffer {
    return bytes(`value of ${name}`);
  }

  symlinks(): Promise<TreeLink[]> {
    return Promise.resolve(
      [...this.#nodes]
        .filter(([, node]) => node.stat.type === 'symlink')
        .map(([path, node]) => ({ path: bytes(path), target: bytes(node.target) }))
        .sort((a, b) => compareBytes(a.path, b.path)),
    );
  }
}
