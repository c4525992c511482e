/**
 * A snapshot as a file: what a root was, and where its kept content is. Owns the format; pure. Must
 * not know where such files lie.
 *
 *     a line of JSON, the head · zstd of lines of JSON, one an object · SHA-256 of all before it
 */
import { createHash } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { z } from 'zod';
import { TraceError } from '../common/errors.ts';
import { isHash } from './blobs.ts';
import { NO_ATTRIBUTES, type RecordedObject, type RootRecord, tooLarge } from './root-record.ts';

const head = z.strictObject({
  snapshot: z.literal(1),
  expression: z.string(),
  /** Where the root was. */
  root: z.base64(),
  /** When its record began, wall-clock microseconds. */
  atUs: z.number().int(),
  /** Of which boot and mounts its files are; null where the kernel does not tell. */
  place: z.string().nullable(),
  /** Of the program that made it. */
  version: z.string(),
  /** Objects of the root. */
  objects: z.number().int(),
  /** Files whose content is kept, each name of one counted, and its bytes, each blob once. */
  files: z.number().int(),
  bytes: z.number(),
});

export type SnapshotHead = Readonly<z.infer<typeof head>>;

export interface Snapshot {
  readonly head: SnapshotHead;
  readonly record: RootRecord;
}

const DIGEST_BYTES = 32;
/** Of an unpacked record; more is no file of ours. */
const MOST_BYTES = 1 << 30;
/** Others have their turn after so many objects. */
const AT_ONCE = 2000;
const TYPES = ['file', 'directory', 'symlink', 'character', 'block', 'fifo', 'socket'] as const;

/** Path, numbers, inode, target, attributes, blob. Bytes are base64. */
type Row = readonly [
  string,
  readonly number[],
  string,
  string | null,
  readonly (readonly [string, string | null])[] | null,
  string | null,
];
const NUMBERS = 14;

/**
 * Throws `root-too-large` for what {@link decodeObjects} would refuse.
 * @param most bytes of the unpacked record
 */
export async function encodeSnapshot(
  { head, record }: Snapshot,
  most = MOST_BYTES,
): Promise<Buffer> {
  const parts: Buffer[] = [];
  let lines: string[] = [];
  let bytes = 0;
  const flush = (): void => {
    const part = Buffer.from(lines.join(''));
    bytes += part.length;
    if (bytes > most) throw tooLarge(Buffer.from(head.root, 'base64'), 'too long a record');
    parts.push(part);
    lines = [];
  };
  for (const [path, object] of record) {
    lines.push(`${JSON.stringify(rowOf(path, object))}\n`);
    if (lines.length < AT_ONCE) continue;
    flush();
    await turn();
  }
  flush();
  const packed = await promisify(zstdCompress)(Buffer.concat(parts));
  const whole = Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), packed]);
  return Buffer.concat([whole, digestOf(whole)]);
}

/** The head of a file, of which at least the first line is given. Throws `snapshot-damaged`. */
export function decodeHead(file: Buffer, name: string): SnapshotHead {
  const end = file.indexOf('\n');
  try {
    return head.parse(JSON.parse(file.subarray(0, Math.max(end, 0)).toString()));
  } catch (cause) {
    throw damaged(name, cause);
  }
}

/** All objects by their paths, in the order of the record. Throws `snapshot-damaged`. */
export async function* decodeObjects(
  file: Buffer,
  name: string,
): AsyncGenerator<readonly [string, RecordedObject]> {
  const whole = file.subarray(0, Math.max(0, file.length - DIGEST_BYTES));
  if (!digestOf(whole).equals(file.subarray(whole.length))) throw damaged(name);
  const packed = whole.subarray(whole.indexOf('\n') + 1);
  const text = await promisify(zstdDecompress)(packed, { maxOutputLength: MOST_BYTES }).catch(
    (cause: unknown) => {
      throw damaged(name, cause);
    },
  );
  let count = 0;
  for (let start = 0; start < text.length;) {
    const end = text.indexOf('\n', start);
    if (end < 0) throw damaged(name);
    yield objectOf(text.toString('utf8', start, end), name);
    start = end + 1;
    if (++count % AT_ONCE === 0) await turn();
  }
}

function rowOf(path: string, { stat, target, attributes, blob }: RecordedObject): Row {
  const { mode, uid, gid, size, mtime, mtimeNsec, ctime, ctimeNsec, nlink, dev } = stat;
  return [
    path,
    [
      ...[TYPES.indexOf(stat.type), mode, uid, gid, size],
      ...[mtime, mtimeNsec, ctime, ctimeNsec, nlink, dev],
      ...[stat.rdevMajor, stat.rdevMinor, Number(stat.foreign)],
    ],
    String(stat.ino),
    target?.toString('base64') ?? null,
    attributes && [...attributes].map(([name, value]) => [name, value?.toString('base64') ?? null]),
    blob,
  ];
}

/** The hash over the file proves that it is ours; this, that what it says makes sense. */
function objectOf(line: string, name: string): readonly [string, RecordedObject] {
  const [path, numbers, ino, target, attributes, blob] = JSON.parse(line) as Row;
  const [kind = -1, mode = 0, uid = 0, gid = 0, size = 0, ...rest] = numbers;
  const [mtime = 0, mtimeNsec = 0, ctime = 0, ctimeNsec = 0, nlink = 0, dev = 0] = rest;
  const [rdevMajor = 0, rdevMinor = 0, foreign = 0] = rest.slice(6);
  const type = TYPES[kind];
  if (type === undefined || numbers.length !== NUMBERS || !(blob === null || isHash(blob)))
    throw damaged(name);
  const times = { mtime, mtimeNsec, ctime, ctimeNsec };
  const identity = { nlink, dev, ino: BigInt(ino), rdevMajor, rdevMinor, foreign: foreign !== 0 };
  const values = attributes?.map(([key, value]) => [key, bytesOf(value)] as const) ?? null;
  return [
    path,
    {
      stat: { type, mode, uid, gid, size, ...times, ...identity },
      target: bytesOf(target),
      attributes: values?.length === 0 ? NO_ATTRIBUTES : values && new Map(values),
      blob,
    },
  ];
}

function bytesOf(text: string | null): Buffer | null {
  return text === null ? null : Buffer.from(text, 'base64');
}

function digestOf(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function damaged(name: string, cause?: unknown): TraceError {
  return new TraceError({
    code: 'snapshot-damaged',
    message: `the snapshot of ${name} is damaged`,
    hint: '`trace snapshot` makes it anew from the root as it is now; check the disk it is on',
    exit: 'data',
    cause,
  });
}
