/**
 * What an image says of itself, below `/.nfsroot-trace`: that it is whole, and the extended
 * attributes of its entries. Owns those names and where they are in the archive. Must not know how
 * either is used in the image.
 */
import { attributeFile, type AttributeRow } from './attributes.ts';
import type { Closure, Draft, DraftReason } from './closure.ts';
import type { Problem } from './plan-types.ts';
import type { Resolver } from './resolve.ts';

const FOLDER = '.nfsroot-trace';
const COMPLETE = `${FOLDER}/complete`;
export const ATTRIBUTES = `${FOLDER}/attributes`;
const REASON: DraftReason = { kind: 'record', about: null };

export interface Records {
  readonly closure: Closure;
  readonly resolver: Resolver;
  readonly problems: Problem[];
}

/**
 * A file that is the last of the archive: the kernel starts /init on a partial root after errors
 * of unpacking, and this is then missing. Not empty, so that its data was unpacked too.
 */
export function addSentinel(records: Records): void {
  addRecord(COMPLETE, Buffer.from('complete\n'), records);
}

export function addAttributes(rows: readonly AttributeRow[], records: Records): void {
  addRecord(ATTRIBUTES, attributeFile(rows), records);
}

/** Ours replace what the root has there: a root may be an image that was unpacked. */
function addRecord(path: string, content: Buffer, { closure, resolver, problems }: Records): void {
  const folder = resolver.lstat(FOLDER);
  if (folder !== null && folder.type !== 'directory' && closure.drafts.get(FOLDER)?.node == null)
    problems.push({
      code: 'reserved-name',
      message: `/${FOLDER} of the root is not a directory; the image has its own there`,
      hint: 'remove it from the root',
    });
  closure.addNode(FOLDER, { path: FOLDER, type: 'directory', mode: 0o755 }, REASON);
  closure.addNode(path, { path, type: 'file', mode: 0o644, content }, REASON);
}

/**
 * The order of an archive: bytewise, so that parents come first, but for the sentinel; its own
 * parent is before it wherever it is put.
 */
export function inArchiveOrder(drafts: Iterable<Draft>): Draft[] {
  const isSentinel = ({ path, node }: Draft) => path === COMPLETE && node !== null;
  return [...drafts].sort((a, b) => {
    if (isSentinel(a) !== isSentinel(b)) return isSentinel(a) ? 1 : -1;
    return a.path < b.path ? -1 : 1;
  });
}
