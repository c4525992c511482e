/**
 * What an image takes of a machine's memory, estimated. Owns what the kernel needs for an entry: of
 * content whole pages, and structures for every inode and name. Pure.
 */
import type { KernelTree, TreeNode } from './kernel-tree.ts';
import { FILE, LINK } from './record.ts';

const PAGE = 4096;
/** shmem_inode_cache and what belongs to it; x86-64, Linux 6.1: 760 bytes, 42 in 8 pages. */
const INODE = 784;
/** A dentry, with names up to 31 bytes in it; longer ones are allocated, by their length and 24 bytes. */
const [NAME, INLINE_NAME, LONG_NAME] = [192, 31, 24] as const;
/** With its NUL a target of tmpfs up to this length needs no page (SHORT_SYMLINK_LEN). */
const SHORT_TARGET = 128;
/** A struct hash of the unpacker with its name, as it is allocated. */
const GROUP = 8192;

export interface MemoryEstimate {
  readonly imageBytes: number;
  readonly names: number;
  readonly inodes: number;
  readonly contentBytes: number;
  /** Pages of tmpfs, in bytes: content, and long targets. */
  readonly pageBytes: number;
  readonly inodeBytes: number;
  /** Of the groups of hard links that are open at once, until the end record. */
  readonly groupBytes: number;
  /** For good. */
  readonly unpackedBytes: number;
  /** While it is unpacked: the image is there as a whole until then. */
  readonly peakBytes: number;
  /** A tmpfs may have half of the memory: what the machine must have, its kernel's own not counted. */
  readonly leastMemoryBytes: number;
}

/** `groups`: the most groups of hard links that are open at once. All that comes of it is bytes. */
export function estimateMemory(
  tree: KernelTree,
  { imageBytes, groups }: { readonly imageBytes: number; readonly groups: number },
): MemoryEstimate {
  const seen = new Set<TreeNode>();
  let [names, contentBytes, pageBytes, inodeBytes] = [0, 0, 0, 0];
  for (const [path, node] of tree.entries()) {
    names++;
    const length = path.length - path.lastIndexOf('/') - 1;
    inodeBytes += NAME + (length > INLINE_NAME ? length + LONG_NAME : 0);
    if (seen.has(node)) continue;
    seen.add(node);
    inodeBytes += INODE;
    if (node.type === FILE) {
      contentBytes += node.size;
      pageBytes += Math.ceil(node.size / PAGE) * PAGE;
    } else if (node.type === LINK)
      if (node.size + 1 > SHORT_TARGET) pageBytes += PAGE;
      else inodeBytes += node.size + 1;
  }
  const groupBytes = groups * GROUP;
  const unpackedBytes = pageBytes + inodeBytes;
  const peakBytes = imageBytes + unpackedBytes + groupBytes;
  return {
    imageBytes,
    names,
    inodes: seen.size,
    contentBytes,
    pageBytes,
    inodeBytes,
    groupBytes,
    unpackedBytes,
    peakBytes,
    leastMemoryBytes: Math.max(2 * pageBytes, peakBytes),
  };
}
