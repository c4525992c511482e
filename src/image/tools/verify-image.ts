/**
 * What the kernel will have unpacked of an image, and what it will do otherwise than the records say.
 * Owns the contents of files and the count of findings. Must not know how they are told.
 */
import { Content } from './content.ts';
import type { Input } from './input.ts';
import type { KernelTree, TreeNode } from './kernel-tree.ts';
import { type Finding, KernelUnpacker } from './kernel-unpacker.ts';
import type { DataTaker } from './record-reader.ts';
import { walkImage, type WalkedImage } from './walk-image.ts';

/** An image can have as many faults as records; who sees these knows enough. */
const MOST_TOLD = 10_000;

export interface VerifiedImage extends WalkedImage {
  /** There is something in it, nothing stops the kernel, and nothing is dropped or changed. */
  readonly ok: boolean;
  readonly records: number;
  readonly counts: Readonly<Record<Finding['kind'], number>>;
  /** The first of them. */
  readonly findings: readonly Finding[];
  readonly tree: KernelTree;
  /** The file in whose data the image ends: its time is that of the boot. */
  readonly cutOff: TreeNode | null;
}

/**
 * Reads an image through, with the contents of its files. What the kernel stops at is in the result.
 * @throws TraceError `image-not-readable`, `image-too-large`, and `program-missing` for what this
 * machine cannot unpack
 */
export async function verifyImage(input: Input): Promise<VerifiedImage> {
  const findings: Finding[] = [];
  const counts = { dropped: 0, changed: 0, noted: 0 };
  const contents = new Contents();
  const unpacker = new KernelUnpacker({
    found: (finding) => {
      counts[finding.kind]++;
      if (findings.length < MOST_TOLD) findings.push(finding);
    },
    content: (_record, node) => contents.of(node),
  });
  let records = 0;
  const walked = await walkImage(input, {
    record: (record) => {
      records++;
      return unpacker.record(record);
    },
    trailer: (at) => unpacker.trailer(at),
  });
  const cutOff = contents.finish();
  unpacker.finish();
  // The kernel takes nothing without a word, but it is what a failed download leaves.
  const isSomething = records > 0;
  const ok = isSomething && walked.stop === null && counts.dropped === 0 && counts.changed === 0;
  return { ...walked, ok, records, counts, findings, tree: unpacker.tree, cutOff };
}

/** One after the other. */
class Contents {
  #open: { readonly node: TreeNode; readonly content: Content } | null = null;

  of(node: TreeNode): DataTaker {
    const content = new Content(node.size);
    node.content = content;
    this.#open = { node, content };
    return {
      data: (bytes) => content.take(bytes),
      end: () => {
        content.end();
        this.#open = null;
      },
    };
  }

  /** The file whose data has not ended. */
  finish(): TreeNode | null {
    return this.#open?.node ?? null;
  }
}
