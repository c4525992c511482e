/**
 * Writes the image of a plan to a file or an open descriptor, in the format that is asked for.
 * Must not decide what is in an image.
 */
import { join } from 'node:path';
import { cwd } from 'node:process';
import { TraceError } from '../common/errors.ts';
import { ArchiveWindow } from '../fanotify-ts/archive-window.ts';
import { writeArchive } from '../fanotify-ts/archive-writer.ts';
import type { NativeTree } from '../fanotify-ts/tree.ts';
import { type EncodedArchive, encodeArchive } from './archive.ts';
import { addChecksums } from './checksums.ts';
import type { Compression, CompressionMethod, ImageFormat } from './choices.ts';
import { openCompressor } from './compress/compressor.ts';
import { cutFrames } from './compress/cut-frames.ts';
import { type CacheCounts, FrameCache } from './compress/frame-cache.ts';
import { identifyFrames } from './compress/frame-identity.ts';
import { usualThreads, writeFrames } from './compress/write-frames.ts';
import { NEWC, NEWC_CRC } from './cpio.ts';
import type { ImageOrigin } from './formats/manifest.ts';
import { FileIdentity } from './identity.ts';
import { unpackerProblems } from './kernel-config.ts';
import { formatList } from './list.ts';
import type { PackagesFound } from './packages/find-packages.ts';
import type { OuterParts } from './parts/outer-parts.ts';
import { checkParts, type ImagePart, offsetAfter, type PartKind } from './parts/part.ts';
import type { ImagePlan, Problem } from './plan-types.ts';
import { replaceFile } from './replace-file.ts';
import { contentOf, type StoredFiles } from './stored-files.ts';

export interface ExportOptions {
  readonly plan: Pick<ImagePlan, 'entries' | 'microcode'>;
  /** What files are read through; the tree that the plan was made from, unless they are stored. */
  readonly tree: NativeTree;
  readonly stored?: StoredFiles | undefined;
  /** A path, or a descriptor to stream to (1 = stdout). */
  readonly output: string | number;
  readonly format?: ImageFormat | undefined;
  readonly compress?: Compression | undefined;
  /** Frames that are compressed at once; no reason for other bytes. */
  readonly threads?: number | undefined;
  readonly frameCache?: FrameCacheChoice | undefined;
  /** How long files must have been at rest to be known without being read; for tests. */
  readonly settledSeconds?: number | undefined;
  /** What stands around the image; stays open. */
  readonly outer?: OuterParts | undefined;
  /** For a manifest and a bill of materials. */
  readonly origin?: ImageOrigin | undefined;
  /** For a bill of materials; looked for without it. */
  readonly packages?: PackagesFound | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the archive written so far, and of how many. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
  /** Called with the open file when all of an archive is in it, before it gets its name. */
  readonly onWritten?: ((fd: number) => Promise<void>) | undefined;
}

export interface FrameCacheChoice {
  readonly folder: string;
  readonly maxBytes: number;
}

export interface ExportResult {
  /** Length of what was written. */
  readonly bytes: number;
  /** Only of archives. */
  readonly parts: readonly ImagePart[];
  /** Only of compressed archives. */
  readonly frames?: FramesResult;
  /** What only whoever writes it sees, of other formats. */
  readonly problems?: readonly Problem[];
  /** The image was there already, and nothing was written. */
  readonly unchanged?: true;
}

type Written = Omit<ExportResult, 'parts'>;

export interface FramesResult {
  /** Bytes of the archive before compression. */
  readonly archiveBytes: number;
  readonly count: number;
  /** Null without a cache. */
  readonly cache: CacheCounts | null;
  readonly problems: readonly Problem[];
}

/**
 * Makes the image. A path is written beside itself, synced and renamed, so that it is always the
 * old file or the whole new one; a descriptor, device or fifo is streamed to. A link is followed.
 * Throws TraceErrors: `output-not-writable`, `output-full`, `output-closed`, `output-failed`,
 * `does-not-fit`, `drift`, `root-not-readable`, `root-unreadable`, `not-compressed`, `bad-level`,
 * `program-missing`, `program-failed`, `frame-cache-*`, `parts-of-no-archive`, `part-changed`; or the
 * signal's reason.
 */
export async function exportImage(options: ExportOptions): Promise<ExportResult> {
  const { format = 'newc', compress, output, outer, plan } = options;
  if (format !== 'newc' && format !== 'newc-crc') {
    checkParts(format, outer !== undefined || plan.microcode !== null);
    if (compress === undefined)
      return into(output, async (fd) => ({
        ...(await streamText(options, format, fd)),
        parts: [],
      }));
    throw new TraceError({
      code: 'not-compressed',
      message: `--format ${format} is not compressed`,
      hint: 'leave --compress out, and give a name without .gz, .zst, .xz or .lz4',
      exit: 'usage',
    });
  }
  const archive = await encoded(options, format);
  if (compress !== undefined) return compressed(options, archive, compress);
  return into(output, (fd) => withParts(options, fd, () => stream(options, archive, fd)));
}

/** Writes what stands before the image, the image, and what stands behind it. */
async function withParts(
  options: ExportOptions,
  fd: number,
  writeImage: () => Promise<Written>,
): Promise<ExportResult> {
  const { outer, plan, compress } = options;
  const inner: ImagePart[] = [];
  const add = (kind: PartKind, bytes: number, compression: CompressionMethod | null = null) =>
    inner.push({ kind, compression, offset: offsetAfter(inner), bytes });
  for await (const piece of outer?.before() ?? []) await put(options, fd, piece);
  if (plan.microcode !== null) add('microcode', await put(options, fd, plan.microcode));
  const image = await writeImage();
  add('image', image.bytes, compress?.method);
  const bytes = offsetAfter(inner);
  for await (const piece of outer?.after(bytes) ?? []) await put(options, fd, piece);
  await options.onWritten?.(fd);
  return { ...image, ...(outer?.layOut(inner, bytes) ?? { parts: inner, bytes }) };
}

function into(
  output: string | number,
  write: (fd: number) => Promise<ExportResult>,
): Promise<ExportResult> {
  return typeof output === 'number' ? write(output) : replaceFile(output, ({ fd }) => write(fd));
}

async function encoded(
  options: ExportOptions,
  format: 'newc' | 'newc-crc',
): Promise<EncodedArchive> {
  const magic = format === 'newc' ? NEWC : NEWC_CRC;
  const archive = encodeArchive(options.plan.entries, { magic });
  if (format === 'newc-crc')
    await withWindow(options, archive, async (window) =>
      addChecksums(archive, await window.sums()),
    );
  return archive;
}

async function withWindow<T>(
  options: ExportOptions,
  archive: EncodedArchive,
  use: (window: ArchiveWindow) => Promise<T>,
): Promise<T> {
  const window = new ArchiveWindow({ tree: options.tree, ...contentOf(options, archive) });
  try {
    return await use(window);
  } finally {
    window.close();
  }
}

async function stream(
  options: ExportOptions,
  archive: EncodedArchive,
  fd: number,
): Promise<Written> {
  const { tree, signal, onProgress } = options;
  const bytes = await writeArchive({
    tree,
    fd,
    ...contentOf(options, archive),
    signal,
    onProgress: onProgress && ((done) => onProgress(done, archive.bytes)),
  });
  if (bytes !== archive.bytes) throw wrongLength(bytes, archive.bytes);
  return { bytes };
}

function wrongLength(bytes: number, expected: number): TraceError {
  return new TraceError({
    code: 'archive-length',
    message: `the archive came out as ${bytes} bytes instead of ${expected}`,
    exit: 'bug',
  });
}

const NO_FILES = new Float64Array();

/** Writes ready bytes as the archive's writer does: to pipes and sockets too, and told alike. */
function put({ tree, signal }: ExportOptions, fd: number, head: Buffer): Promise<number> {
  return writeArchive({ tree, fd, head, files: NO_FILES, signal });
}

async function compressed(
  options: ExportOptions,
  archive: EncodedArchive,
  compress: Compression,
): Promise<ExportResult> {
  const { plan, tree, stored, output, frameCache, signal, onProgress } = options;
  const { threads = usualThreads() } = options;
  const compressor = await openCompressor(compress);
  const frames = cutFrames(plan.entries);
  const cache = frameCache === undefined ? null : await FrameCache.open(frameCache);
  const identity = cache === null ? null : FileIdentity.now(tree, options.settledSeconds);
  try {
    return await withWindow(options, archive, (source) =>
      into(output, (fd) =>
        withParts(options, fd, async () => {
          let bytes = 0;
          await writeFrames({
            source,
            frames,
            identities:
              identity === null
                ? []
                : identifyFrames(frames, contentOf(options, archive), identity),
            compressor,
            cache,
            threads,
            signal,
            put: async (part) => {
              bytes += await put(options, fd, part);
            },
            copy: async (frame) => {
              bytes += await frame.writeTo({ tree, fd, signal });
            },
            onProgress: onProgress && ((done) => onProgress(done, archive.bytes)),
          });
          const end = frames.at(-1)?.end ?? 0;
          if (end !== archive.bytes) throw wrongLength(end, archive.bytes);
          const problems = unpackerProblems(stored?.planned ?? tree, compress.method);
          const counts = cache?.counts ?? null;
          const { bytes: archiveBytes } = archive;
          return { bytes, frames: { archiveBytes, count: frames.length, cache: counts, problems } };
        }),
      ),
    );
  } finally {
    await cache?.close();
  }
}

/** About as much at once as the archive's writer has. */
const TEXT_BYTES = 256 << 10;

async function streamText(
  options: ExportOptions,
  format: Exclude<ImageFormat, 'newc' | 'newc-crc'>,
  fd: number,
): Promise<Written> {
  let bytes = 0;
  let parts: Buffer[] = [];
  let waiting = 0;
  const flush = async (): Promise<void> => {
    bytes += await put(options, fd, Buffer.concat(parts));
    [parts, waiting] = [[], 0];
  };
  for await (const part of text(options, format)) {
    parts.push(part);
    waiting += part.length;
    if (waiting >= TEXT_BYTES) await flush();
  }
  await flush();
  if (format !== 'gen-init-cpio') return { bytes };
  const { sourceProblems } = await import('./formats/gen-init-cpio.ts');
  return { bytes, problems: sourceProblems(options.plan.entries) };
}

/** What few ask for is loaded when they do. */
async function* text(
  options: ExportOptions,
  format: Exclude<ImageFormat, 'newc' | 'newc-crc'>,
): AsyncGenerator<Buffer> {
  const { tree, stored, plan, origin = null } = options;
  const { entries } = plan;
  switch (format) {
    case 'list':
    case 'list0':
      yield formatList(
        entries.map(({ path }) => path),
        { nul: format === 'list0', nulBy: '--format list0' },
      );
      return;
    case 'gen-init-cpio': {
      const { formatGenInitCpio } = await import('./formats/gen-init-cpio.ts');
      yield* formatGenInitCpio({ entries, root: absolute(tree.path), stored });
      return;
    }
    case 'manifest': {
      const { formatManifest } = await import('./formats/manifest.ts');
      const window = new ArchiveWindow({ tree, ...contentOf(options, encodeArchive(entries)) });
      try {
        yield* formatManifest({ entries, window, origin });
      } finally {
        window.close();
      }
      return;
    }
    case 'cyclonedx': {
      const { formatCycloneDx } = await import('./formats/cyclonedx.ts');
      const { packagesOf } = await import('./packages/packages-of.ts');
      const { packages = await packagesOf(entries, stored?.planned ?? tree) } = options;
      const window = new ArchiveWindow({ tree, ...contentOf(options, encodeArchive(entries)) });
      try {
        yield* formatCycloneDx({ entries, window, origin, packages });
      } finally {
        window.close();
      }
    }
  }
}

/** Without a slash at its end. */
function absolute(path: Buffer): Buffer {
  const text = path.toString('latin1');
  const whole = text.startsWith('/') ? text : join(Buffer.from(cwd()).toString('latin1'), text);
  return Buffer.from(whole.replace(/(?<=.)\/+$/, ''), 'latin1');
}
