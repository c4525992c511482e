/**
 * What is asked of a file that goes into an image as it is: that the kernel unpacks it whole, wherever
 * it is put. Owns the demands only; it is read as every image is.
 */
import { TraceError } from '../../common/errors.ts';
import { COMPRESSION_METHODS, type CompressionMethod } from '../choices.ts';
import type { Compression } from '../tools/compression.ts';
import type { Input } from '../tools/input.ts';
import type { ImageRecord } from '../tools/record.ts';
import { stopWords } from '../tools/stop-words.ts';
import { walkImage } from '../tools/walk-image.ts';

const NEWC_HINT = 'make it with cpio -o -H newc; --append also takes gzip, zstd, xz and lz4 -l';
const EARLY_HINT =
  'what the kernel looks for before it unpacks anything must be plain; unpack it first, or use --append';
/** Whoever takes the data has its checksum looked at. */
const CHECKED = { data: () => undefined };

/**
 * How it is compressed; null for a plain archive.
 * @param options.early only a plain archive will do
 * Throws `bad-part`, `early-names`, and what {@link walkImage} throws.
 */
export async function checkPart(
  input: Input,
  { early }: { readonly early: boolean },
): Promise<CompressionMethod | null> {
  const { name } = input;
  let compression: CompressionMethod | null | undefined;
  const seen = { records: 0, ended: false };
  const member = (found: { readonly offset: number; readonly compression: Compression | null }) => {
    if (compression === undefined) compression = methodOf(found.compression, name, early);
    else if (compression !== found.compression)
      throw badPart(
        name,
        `of another kind from byte ${found.offset} on`,
        'append what follows by itself',
      );
  };
  const record = (one: ImageRecord) => {
    seen.records++;
    seen.ended = false;
    if (one.passedOver !== null)
      throw badPart(
        name,
        `not a whole newc archive: at byte ${one.offset} is a record that the kernel drops (${one.passedOver})`,
        NEWC_HINT,
      );
    if (early) checkFound(name, one.name);
    return one.hasChecksum ? CHECKED : null;
  };
  const trailer = () => {
    seen.ended = true;
  };
  const { stop, why } = await walkImage(input, { member, record, trailer }, { strict: true });
  if (stop !== null) {
    const { message, hint } = stopWords(stop, why);
    throw badPart(name, `not a whole newc archive: ${message}`, hint);
  }
  if (seen.records === 0)
    throw badPart(name, 'not a whole newc archive: it has no record', NEWC_HINT);
  // The kernel would go on with this archive's hard links in the next.
  if (!seen.ended) throw badPart(name, 'not a whole newc archive: it has no end record', NEWC_HINT);
  return compression ?? null;
}

/** Where bzip2, lzma and lzo end only their unpackers know: nothing could stand behind them. */
function methodOf(
  compression: Compression | null,
  name: string,
  early: boolean,
): CompressionMethod | null {
  if (compression === null) return null;
  const method = COMPRESSION_METHODS.find((one) => one === compression);
  if (method === undefined || early)
    throw badPart(name, `compressed by ${compression}`, early ? EARLY_HINT : NEWC_HINT);
  return method;
}

function checkFound(part: string, path: string): void {
  if (!path.startsWith('./kernel/')) return;
  throw new TraceError({
    code: 'early-names',
    message: `${part} has ${Buffer.from(path, 'latin1').toString()}, and the kernel looks for names without ./`,
    hint: 'make it with: find kernel | LC_ALL=C sort | cpio -o -H newc',
    exit: 'data',
  });
}

export function badPart(name: string, what: string, hint: string): TraceError {
  return new TraceError({ code: 'bad-part', message: `${name} is ${what}`, hint, exit: 'data' });
}
