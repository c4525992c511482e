/**
 * A snapshot as a file: what a root was, and where its kept content is. Owns the format; pure. Must
 * not know where such files lie.
 *
 *     a line of JSON, the head · zstd of lines of JSON, one an object · SHA-256 of all before it
 */
import { createHash } from 'node:crypto';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import { z } from 'zod';
import { TraceError } from '../common/errors.ts';
import { isHash } from './blobs.ts';
import type { RecordedObject, RootRecord } from './root-record.ts';

const head = z.strictObject({
  snapshot: z.literal(1),
  expression: z.string(),
  /** Where the root was. */
  root: z.base64(),
  /** When its record began, wall-clock microseconds. */
  atUs: z.number().int(),
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
/** A million objects have less. */
const MOST_BYTES = 1 << 30;
const TYPES = ['file', 'directory', 'symlink', 'character', 'block', 'fifo', 'socket'] as const;
const type = z.enum(TYPES);
const number = z.number();
const bytes = z.base64().transform((text) => Buffer.from(text, 'base64'));

const row = z.tuple([
  z.string(),
  z.tuple([type, number, number, number, number, number, number, number, number, number, number]),
  z.string().regex(/^\d+$/),
  z.tuple([number, number, z.boolean()]),
  bytes.nullable(),
  z.array(z.tuple([z.string(), bytes.nullable()])).nullable(),
  z.string().refine(isHash).nullable(),
]);

export async function encodeSnapshot({ head, record }: Snapshot): Promise<Buffer> {
  const lines: string[] = [];
  for (const [path, object] of record) lines.push(JSON.stringify(rowOf(path, object)));
  const packed = await promisify(zstdCompress)(Buffer.from(lines.join('\n')));
  const whole = Buffer.concat([Buffer.from(`${JSON.stringify(head)}\n`), packed]);
  return Buffer.concat([whole, digestOf(whole)]);
}

/** The head of a file, of which at least the first line is given. Throws `snapshot-damaged`. */
export function decodeHead(file: Buffer, name: string): SnapshotHead {
  const end = file.indexOf('\n');
  return checked(name, () => head.parse(JSON.parse(file.subarray(0, Math.max(end, 0)).toString())));
}

/** Throws `snapshot-damaged`. */
export async function decodeSnapshot(file: Buffer, name: string): Promise<Snapshot> {
  const whole = file.subarray(0, Math.max(0, file.length - DIGEST_BYTES));
  if (!digestOf(whole).equals(file.subarray(whole.length))) throw damaged(name);
  const told = decodeHead(file, name);
  const packed = whole.subarray(whole.indexOf('\n') + 1);
  const text = await promisify(zstdDecompress)(packed, { maxOutputLength: MOST_BYTES });
  return checked(name, () => {
    const rows = text.toString().split('\n');
    return {
      head: told,
      record: new Map(rows.map((line) => objectOf(row.parse(JSON.parse(line))))),
    };
  });
}

function rowOf(
  path: string,
  { stat, target, attributes, blob }: RecordedObject,
): z.input<typeof row> {
  const { type, mode, uid, gid, size, mtime, mtimeNsec, ctime, ctimeNsec, nlink, dev } = stat;
  return [
    path,
    [type, mode, uid, gid, size, mtime, mtimeNsec, ctime, ctimeNsec, nlink, dev],
    String(stat.ino),
    [stat.rdevMajor, stat.rdevMinor, stat.foreign],
    target?.toString('base64') ?? null,
    attributes && [...attributes].map(([name, value]) => [name, value?.toString('base64') ?? null]),
    blob,
  ];
}

function objectOf(values: z.output<typeof row>): [string, RecordedObject] {
  const [path, fixed, ino, [rdevMajor, rdevMinor, foreign], target, attributes, blob] = values;
  const [type, mode, uid, gid, size, mtime, mtimeNsec, ctime, ctimeNsec, nlink, dev] = fixed;
  const times = { mtime, mtimeNsec, ctime, ctimeNsec };
  const identity = { nlink, dev, ino: BigInt(ino), rdevMajor, rdevMinor, foreign };
  const stat = { type, mode, uid, gid, size, ...times, ...identity };
  return [path, { stat, target, attributes: attributes && new Map(attributes), blob }];
}

function digestOf(bytes: Buffer): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function checked<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw damaged(name, cause);
  }
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
