/**
 * An image as a tree that the rules for roots can read. Owns where the content of its files is: of
 * plain archives in the image itself, of all else in a temporary file.
 */
import { closeSync, readSync } from 'node:fs';
import { compareBytes } from '../../common/bytes.ts';
import type { Tree, TreeLink, TreeStat } from '../tree.ts';
import type { Input } from './input.ts';
import type { KernelTree, TreeNode } from './kernel-tree.ts';
import { KernelUnpacker } from './kernel-unpacker.ts';
import { LINK, TYPE_NAMES } from './record.ts';
import { appendTo, temporaryFile } from './spool.ts';
import { walkImage, type WalkedImage } from './walk-image.ts';

interface Content {
  readonly spooled: boolean;
  readonly offset: number;
  /** What is there of it: less than its size if the image is cut off. */
  length: number;
}

export interface OpenImage {
  readonly tree: ImageTree;
  readonly kernelTree: KernelTree;
  readonly walked: WalkedImage;
  /** Records that the kernel drops. */
  readonly dropped: number;
}

/** Gives an image to `use` as a tree, as long as that runs. */
export async function withImageTree<T>(
  input: Input,
  use: (image: OpenImage) => Promise<T>,
): Promise<T> {
  const spool = temporaryFile();
  const contents = new Map<TreeNode, Content>();
  let spooledBytes = 0;
  let dropped = 0;
  let isPlain = false;
  const unpacker = new KernelUnpacker({
    found: ({ kind }) => void (dropped += kind === 'dropped' ? 1 : 0),
    content: ({ dataOffset, size }, node) => {
      if (isPlain && input.size !== null) {
        const length = Math.max(0, Math.min(size, input.size - dataOffset));
        contents.set(node, { spooled: false, offset: dataOffset, length });
        return null;
      }
      const content = { spooled: true, offset: spooledBytes, length: 0 };
      contents.set(node, content);
      return {
        data: (bytes) => {
          appendTo(spool, bytes);
          spooledBytes += bytes.length;
          content.length += bytes.length;
        },
      };
    },
  });
  try {
    const walked = await walkImage(input, {
      member: ({ compression }) => void (isPlain = compression === null),
      record: (record) => unpacker.record(record),
      trailer: (at) => unpacker.trailer(at),
    });
    unpacker.finish();
    const read = (node: TreeNode, offset: number, length: number): Buffer => {
      const content = contents.get(node);
      const there = Math.max(0, Math.min(length, (content?.length ?? 0) - offset));
      if (content === undefined || there === 0) return Buffer.alloc(0);
      if (!content.spooled) return input.read(content.offset + offset, there);
      const target = Buffer.alloc(there);
      readSync(spool, target, 0, there, content.offset + offset);
      return target;
    };
    const tree = new ImageTree(unpacker.tree, read);
    return await use({ tree, kernelTree: unpacker.tree, walked, dropped });
  } finally {
    closeSync(spool);
  }
}

export class ImageTree implements Tree {
  readonly #nodes: ReadonlyMap<string, TreeNode>;
  readonly #numbers = new Map<TreeNode, bigint>();
  readonly #read: (node: TreeNode, offset: number, length: number) => Buffer;

  constructor(tree: KernelTree, read: (node: TreeNode, offset: number, length: number) => Buffer) {
    this.#nodes = new Map(tree.entries());
    for (const node of this.#nodes.values())
      if (!this.#numbers.has(node)) this.#numbers.set(node, BigInt(this.#numbers.size + 1));
    this.#read = read;
  }

  lstat(path: Buffer): TreeStat | null {
    const node = this.#at(path);
    const type = node === undefined ? undefined : TYPE_NAMES.get(node.type);
    if (node === undefined || type === undefined) return null;
    const { mode, uid, gid, size, mtime, links, rdevMajor, rdevMinor } = node;
    const times = { mtime, mtimeNsec: 0, ctime: mtime, ctimeNsec: 0 };
    const ino = this.#numbers.get(node) ?? 0n;
    const numbers = { nlink: links, dev: 0, ino, rdevMajor, rdevMinor };
    return { type, mode, uid, gid, size, ...times, ...numbers, foreign: false };
  }

  readlink(path: Buffer): Buffer {
    return Buffer.from(this.#at(path)?.target ?? '', 'latin1');
  }

  list(path: Buffer): Buffer[] {
    const names = this.#at(path)?.children?.keys() ?? [];
    return [...names].map((name) => Buffer.from(name, 'latin1')).sort(compareBytes);
  }

  read(path: Buffer, offset: number, length: number): Buffer {
    const node = this.#at(path);
    return node === undefined ? Buffer.alloc(0) : this.#read(node, offset, length);
  }

  /** An archive has none. */
  attributes(): string[] {
    return [];
  }

  attribute(): null {
    return null;
  }

  symlinks(): Promise<readonly TreeLink[]> {
    const links = [...this.#nodes].filter(([, node]) => node.type === LINK);
    return Promise.resolve(
      links.map(([path, { target }]) => ({
        path: Buffer.from(path, 'latin1'),
        target: Buffer.from(target ?? '', 'latin1'),
      })),
    );
  }

  #at(path: Buffer): TreeNode | undefined {
    return this.#nodes.get(path.toString('latin1'));
  }
}
