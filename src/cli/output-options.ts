/**
 * The options of `trace export` that say how an image is written. Owns their spelling; what they
 * mean is the image room's.
 */
import { TraceError } from '../common/errors.ts';
import {
  type Compression,
  COMPRESSION_METHODS,
  type CompressionMethod,
  type IdChange,
  IMAGE_FORMATS,
  type ImageChoices,
  type ImageFormat,
} from '../image/choices.ts';
import { checkCompression, compressionOfName, METHODS } from '../image/compress/methods.ts';
import type { FrameCacheChoice } from '../image/export.ts';

export interface OutputOptions {
  readonly format?: string;
  readonly compress?: string;
  readonly frameCache?: string;
  readonly frameCacheSize?: string;
  readonly owner?: readonly string[];
  readonly group?: readonly string[];
  readonly allRoot?: boolean;
  readonly align?: boolean;
  readonly ifChanged?: boolean;
}

/** Throws what is wrong with an option before anything is read. */
export function outputChoices(options: OutputOptions, output: string): ImageChoices {
  const { format, owner, group, allRoot, align, ifChanged } = options;
  const compress = compressionOf(options, output);
  if (allRoot === true && (owner ?? group) !== undefined)
    throw wrong('--all-root leaves nothing for --owner and --group', 'give either');
  cacheOf(options);
  if (options.frameCache !== undefined && compress === undefined)
    throw wrong('--frame-cache is for compressed images', 'add --compress zstd');
  if (align === true && (compress !== undefined || !isArchive(format)))
    throw wrong('--align is for plain archives', 'leave it out, or add --compress none');
  if (ifChanged === true && (output === '-' || !isArchive(format)))
    throw wrong('--if-changed is for archives in a file', 'leave it out, or name a file with -o');
  return {
    ...(align === true && { align }),
    ...(format !== undefined && { format: formatOf(format) }),
    ...(compress !== undefined && { compress }),
    ...(owner !== undefined && { owners: changesOf('--owner', owner) }),
    ...(group !== undefined && { groups: changesOf('--group', group) }),
    ...(allRoot === true && { allRoot }),
  };
}

function isArchive(format = 'newc'): boolean {
  return format === 'newc' || format === 'newc-crc';
}

function formatOf(text: string): ImageFormat {
  const format = IMAGE_FORMATS.find((one) => one === text);
  if (format !== undefined) return format;
  throw wrong(`there is no format '${text}'`, `formats: ${IMAGE_FORMATS.join(', ')}`);
}

function compressionOf({ compress }: OutputOptions, output: string): Compression | undefined {
  if (compress === undefined) return compressionOfName(output);
  if (compress === 'none') return undefined;
  const [, name = '', level] = /^([a-z0-9]+)(?::(\d{1,3}))?$/.exec(compress) ?? [];
  const method = COMPRESSION_METHODS.find((one): one is CompressionMethod => one === name);
  if (method === undefined)
    throw wrong(
      `there is no compression '${compress}'`,
      `give none, ${COMPRESSION_METHODS.join(', ')}, or one with a level: zstd:19`,
    );
  const chosen = { method, level: level === undefined ? METHODS[method].usual : Number(level) };
  checkCompression(chosen);
  return chosen;
}

/** The largest number stands for "unchanged" in chown(2). */
const MAX_ID = 0xfffffffe;

function changesOf(option: string, texts: readonly string[]): readonly IdChange[] {
  const changes = texts.map((text) => {
    const [, from, to] = /^(\d{1,10}):(\d{1,10})$/.exec(text) ?? [];
    const change = { from: Number(from), to: Number(to) };
    if (change.from <= MAX_ID && change.to <= MAX_ID) return change;
    throw wrong(`'${text}' does not say from whom to whom`, `give two numbers: ${option} 1000:0`);
  });
  const twice = changes.find(({ from }, at) => changes.findIndex((one) => one.from === from) < at);
  if (twice === undefined) return changes;
  throw wrong(`${option} names ${twice.from} twice`, 'leave one out');
}

const UNITS = new Map([
  ['', 0],
  ['K', 10],
  ['M', 20],
  ['G', 30],
  ['T', 40],
]);

/** Sizes are powers of 1024. Throws what is wrong with them. */
export function cacheOf({
  frameCache,
  frameCacheSize,
}: OutputOptions): FrameCacheChoice | undefined {
  if (frameCache === undefined) {
    if (frameCacheSize === undefined) return undefined;
    throw wrong('--frame-cache-size without --frame-cache', 'say where with --frame-cache DIR');
  }
  const [, count, unit] = /^(\d{1,6})([KMGT]?)$/.exec(frameCacheSize ?? '2G') ?? [];
  const shift = UNITS.get(unit ?? '-');
  if (shift === undefined)
    throw wrong(`'${frameCacheSize ?? ''}' is no size`, 'give a number, or one with K, M, G or T');
  return { folder: frameCache, maxBytes: Number(count) * 2 ** shift };
}

function wrong(message: string, hint: string): TraceError {
  return new TraceError({ code: 'usage-bad-value', message, hint, exit: 'usage' });
}
