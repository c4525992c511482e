/**
 * The content of one file of an image, as the booted system would have it: of several records the
 * last, by any of its names, through links. Owns the search; goes through the image twice.
 */
import { TraceError } from '../../common/errors.ts';
import type { Input } from './input.ts';
import { isErrno, type TreeNode } from './kernel-tree.ts';
import { KernelUnpacker } from './kernel-unpacker.ts';
import { BLOCK, CHARACTER, FILE, type ImageRecord, TYPE_NAMES } from './record.ts';
import { walkImage, type WalkedImage } from './walk-image.ts';

export interface FoundFile {
  /** Null for a file without content. */
  readonly record: ImageRecord | null;
  readonly walked: WalkedImage;
}

const TYPE_WORDS: ReadonlyMap<number, string> = new Map([
  [CHARACTER, 'character device'],
  [BLOCK, 'block device'],
]);

/** `path` is a byte string. Throws `no-such-file`, `not-a-file`. */
export async function findFile(input: Input, path: string): Promise<FoundFile> {
  const records = new Map<TreeNode, ImageRecord>();
  const unpacker = new KernelUnpacker({
    content: (record, node) => {
      records.set(node, record);
      return null;
    },
  });
  const walked = await walkImage(input, unpacker);
  const place = unpacker.tree.find(path, { follow: true });
  const shown = Buffer.from(path, 'latin1').toString();
  if (isErrno(place) || place.node === null) {
    const link = unpacker.tree.find(path, { follow: false });
    const isLink = !isErrno(link) && link.node !== null;
    const what = isLink ? `nothing where its link ${shown} leads` : `no ${shown}`;
    throw new TraceError({
      code: 'no-such-file',
      message:
        walked.stop === null
          ? `${input.name} has ${what}`
          : `${input.name} is broken, and what comes before that has ${what}`,
      hint: "`trace image list` shows what it has; a name with escapes there, bad\\xff, is $'bad\\xff' here",
      exit: 'notFound',
    });
  }
  const { type } = place.node;
  if (type !== FILE)
    throw new TraceError({
      code: 'not-a-file',
      message: `${shown} of ${input.name} is a ${TYPE_WORDS.get(type) ?? TYPE_NAMES.get(type)}`,
      hint: 'name a file',
      exit: 'failed',
    });
  return { record: records.get(place.node) ?? null, walked };
}

/** Gives the data of a record that {@link findFile} found to `write`. */
export async function copyData(
  input: Input,
  wanted: ImageRecord,
  write: (bytes: Buffer) => void,
): Promise<void> {
  let done = wanted.size === 0;
  await walkImage(input, {
    record: ({ member, offset }) =>
      member === wanted.member && offset === wanted.offset
        ? { data: write, end: () => void (done = true) }
        : null,
    enough: () => done,
  });
}
