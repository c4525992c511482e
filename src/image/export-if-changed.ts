/**
 * Makes an image unless the one that is there is it already. Owns what decides that. Must not know
 * how an image is written, or how the record of the last one is kept.
 */
import { encodeArchive } from './archive.ts';
import { openCompressor } from './compress/compressor.ts';
import { cutFrames } from './compress/cut-frames.ts';
import { NEWC, NEWC_CRC } from './cpio.ts';
import { exportImage, type ExportOptions, type ExportResult } from './export.ts';
import { FileIdentity } from './identity.ts';
import { unpackerProblems } from './kernel-config.ts';
import { LastExport } from './last-export.ts';
import { hashSources } from './made-of.ts';
import { contentOf } from './stored-files.ts';

export interface IfChangedOptions extends ExportOptions {
  /** Called with a hash of all that the image is made from, once a record of that is beside it. */
  readonly onKept?: ((made: string) => void) | undefined;
}

/**
 * As {@link exportImage}; or leaves the archive at `output` alone, its times too, if it is what the
 * last such export left there and everything that it was made from is as it was.
 */
export async function exportIfChanged(options: IfChangedOptions): Promise<ExportResult> {
  const { output, tree, stored, compress } = options;
  const made = typeof output === 'string' ? await hashOf(options) : null;
  if (made === null || typeof output !== 'string') return exportImage(options);
  const last = new LastExport({ output, made });
  const told = await last.told();
  if (told !== null) {
    options.onKept?.(made);
    const { frames, ...result } = JSON.parse(told) as ExportResult;
    if (compress === undefined || frames === undefined) return { ...result, unchanged: true };
    // The root's kernel is not in every image.
    const problems = unpackerProblems(stored?.planned ?? tree, compress.method);
    return { ...result, frames: { ...frames, cache: null, problems }, unchanged: true };
  }
  const result = await exportImage({ ...options, onWritten: (fd) => last.written(fd) });
  if (await last.keep(JSON.stringify(result))) options.onKept?.(made);
  return result;
}

/** Null where it cannot be told, or is no archive. */
async function hashOf(options: ExportOptions): Promise<string | null> {
  const { plan, tree, format = 'newc', compress, outer, settledSeconds } = options;
  const identity = FileIdentity.now(tree, settledSeconds);
  if (identity === null || (format !== 'newc' && format !== 'newc-crc')) return null;
  return hashSources({
    archive: contentOf(
      options,
      encodeArchive(plan.entries, { magic: format === 'newc-crc' ? NEWC_CRC : NEWC }),
    ),
    identity,
    microcode: plan.microcode,
    outer,
    compressed:
      compress === undefined
        ? null
        : { frames: cutFrames(plan.entries), by: (await openCompressor(compress)).key },
  });
}
