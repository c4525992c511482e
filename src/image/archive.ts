/**
 * Turns a plan into the bytes of its archive, all but the files' data. Owns the archive's layout:
 * the order of records, their names and their ends. Must not read files or write anything.
 */
import { TraceError } from '../common/errors.ts';
import { ARCHIVE_FILE_FIELDS, type ArchiveContent } from '../fanotify-ts/archive-content.ts';
import {
  CHECKSUM_START,
  CpioFieldError,
  HEADER_BYTES,
  headerLength,
  NEWC,
  NEWC_CRC,
  paddingOf,
  TRAILER,
  TRAILER_FILE,
  trailer,
  trailerLength,
  writeDigits,
  writeHeader,
} from './cpio.ts';
import type { PlanEntry } from './plan-types.ts';
import type { FileType } from './tree.ts';

export interface EncodedArchive extends ArchiveContent {
  /** Length of the whole archive. */
  readonly bytes: number;
  /** For each of `files`, where in `head` the digits of its checksum are. */
  readonly checksums: Float64Array;
}

const TYPE_BITS: Readonly<Record<FileType, number>> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  character: 0o020000,
  block: 0o060000,
  fifo: 0o010000,
  socket: 0o140000,
};

const ROOT_NAME = Buffer.from('.');
const TRAILER_PATH = Buffer.from(TRAILER);
const TRAILER_FILE_NAME = Buffer.from(TRAILER_FILE);

/**
 * The archive of entries that are sorted and have their parents. Throws `does-not-fit` for what
 * newc cannot hold: a file of 4 GiB, a name over 4095 bytes, a link over 4096.
 */
export function encodeArchive(
  entries: readonly PlanEntry[],
  { magic = NEWC }: { readonly magic?: string } = {},
): EncodedArchive {
  const withData = entries.filter(hasData);
  const total = archiveLength(entries);
  const dataBytes = withData.reduce((sum, { size }) => sum + size + paddingOf(size), 0);
  const head = Buffer.alloc(total - dataBytes);
  const files = new Float64Array(withData.length * ARCHIVE_FILE_FIELDS);
  const checksums = new Float64Array(withData.length);
  let at = 0;
  let field = 0;
  for (const entry of entries) {
    const name = recordName(entry);
    const start = at;
    at = header(head, at, entry, { name, magic });
    const inline = inlineBody(entry);
    if (inline !== null) {
      inline.copy(head, at);
      if (magic === NEWC_CRC && entry.content !== null)
        writeDigits(head, start + CHECKSUM_START, sumOf(inline));
      at += inline.length + paddingOf(inline.length);
    }
    if (!hasData(entry)) continue;
    const { path, stat } = entry;
    checksums[field / ARCHIVE_FILE_FIELDS] = start + CHECKSUM_START;
    files[field] = at;
    // The path, with which the name ends.
    files[field + 1] = start + HEADER_BYTES + name.length - path.length;
    files[field + 2] = path.length;
    files[field + 3] = entry.size;
    files[field + 4] = stat.dev;
    files[field + 5] = Number(stat.ino);
    files[field + 6] = stat.mtime;
    files[field + 7] = stat.mtimeNsec;
    files[field + 8] = stat.ctime;
    files[field + 9] = stat.ctimeNsec;
    field += ARCHIVE_FILE_FIELDS;
  }
  trailer(at + dataBytes, magic).copy(head, at);
  return { head, files, bytes: total, checksums };
}

/** Bytes of the archive of these entries. */
export function archiveLength(entries: readonly PlanEntry[]): number {
  let length = 0;
  for (const entry of entries) length += recordLength(entry);
  return length + trailerLength(length);
}

/** Bytes of an entry's record, whatever comes before it. */
export function recordLength(entry: PlanEntry): number {
  const size = bodyLength(entry);
  const name = recordName(entry).length + (entry.namePadding ?? 0);
  return headerLength(name) + size + paddingOf(size);
}

/** Its name in an archive, without the NULs. */
export function recordName({ path }: PlanEntry): Buffer {
  if (path.length === 0) return ROOT_NAME;
  return path.equals(TRAILER_PATH) ? TRAILER_FILE_NAME : path;
}

/** What is ready to be written: a link's target, or the content of a file that is in no tree. */
function inlineBody(entry: PlanEntry): Buffer | null {
  return entry.target ?? entry.content;
}

/** Of the checksum variant: all bytes added up. */
function sumOf(bytes: Buffer): number {
  let sum = 0;
  for (const byte of bytes) sum = (sum + byte) >>> 0;
  return sum;
}

function bodyLength(entry: PlanEntry): number {
  return inlineBody(entry)?.length ?? (hasData(entry) ? entry.size : 0);
}

type FileEntry = PlanEntry & { readonly stat: NonNullable<PlanEntry['stat']> };

/** Whether the archive has bytes of the root's file for this entry. */
export function hasData(entry: PlanEntry): entry is FileEntry {
  return entry.type === 'file' && entry.carriesData && entry.size > 0 && entry.stat !== null;
}

function header(
  head: Buffer,
  at: number,
  entry: PlanEntry,
  { name, magic }: { readonly name: Buffer; readonly magic: string },
): number {
  try {
    const fields = {
      inode: entry.inode,
      mode: TYPE_BITS[entry.type] | entry.mode,
      uid: entry.uid,
      gid: entry.gid,
      nlink: entry.nlink,
      mtime: entry.mtime,
      size: bodyLength(entry),
      rdevMajor: entry.rdevMajor,
      rdevMinor: entry.rdevMinor,
      name,
      namePadding: entry.namePadding ?? 0,
    };
    return writeHeader(head, at, fields, magic);
  } catch (cause) {
    if (!(cause instanceof CpioFieldError)) throw cause;
    throw new TraceError({
      code: 'does-not-fit',
      message: cause.message,
      hint: 'leave it out of the image, or have the client mount it from elsewhere',
      exit: 'data',
      cause,
    });
  }
}
