/**
 * Writes the image of a plan to a file or an open descriptor. Must not decide what is in an image.
 */
import { TraceError } from '../common/errors.ts';
import { writeArchive } from '../fanotify-ts/archive-writer.ts';
import type { NativeTree } from '../fanotify-ts/tree.ts';
import { type EncodedArchive, encodeArchive } from './archive.ts';
import type { ImagePlan } from './plan-types.ts';
import { replaceFile } from './replace-file.ts';

export interface ExportOptions {
  readonly plan: Pick<ImagePlan, 'entries'>;
  /** The tree that the plan was made from. */
  readonly tree: NativeTree;
  /** A path, or a descriptor to stream to (1 = stdout). */
  readonly output: string | number;
  readonly signal?: AbortSignal;
  /** Bytes written so far, and of how many. */
  readonly onProgress?: (bytes: number, total: number) => void;
}

export interface ExportResult {
  /** Length of the archive. */
  readonly bytes: number;
}

/**
 * Makes the image. A path is written beside itself, synced and renamed, so that it is always the
 * old file or the whole new one; a descriptor, device or fifo is streamed to. A link is followed.
 * Throws TraceErrors: `output-not-writable`, `output-full`, `output-closed`, `output-failed`,
 * `does-not-fit`, `drift`, `root-not-readable`, `root-unreadable`; or the signal's reason.
 */
export async function exportImage(options: ExportOptions): Promise<ExportResult> {
  const archive = encodeArchive(options.plan.entries);
  const { output } = options;
  if (typeof output === 'number') return stream(options, archive, output);
  return replaceFile(output, ({ fd }) => stream(options, archive, fd));
}

async function stream(
  options: ExportOptions,
  archive: EncodedArchive,
  fd: number,
): Promise<ExportResult> {
  const { tree, signal, onProgress } = options;
  const bytes = await writeArchive({
    tree,
    fd,
    head: archive.head,
    files: archive.files,
    signal,
    onProgress: onProgress && ((done) => onProgress(done, archive.bytes)),
  });
  if (bytes !== archive.bytes)
    throw new TraceError({
      code: 'archive-length',
      message: `the archive came out as ${bytes} bytes instead of ${archive.bytes}`,
      exit: 'bug',
    });
  return { bytes };
}
