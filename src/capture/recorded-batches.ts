/**
 * What the sensors handed over, as a file: one JSON value a line. Bytes are `{"base64": "…"}`,
 * 64-bit numbers `{"bigint": "…"}`, maps `{"map": [[key, value], …]}`; times are microseconds of the recording machine's
 * CLOCK_MONOTONIC. Pure; owns the format. docs/testing.md tells how a file is made.
 */
import type { ExportKey } from '../attribution/handle.ts';
import type { FileBatch, FileHandle, NfsBatch } from '../common/batches.ts';
import { TraceError } from '../common/errors.ts';
import type { ObjectStat } from '../fanotify-ts/handle-index.ts';

/** An object of a tree as its index knew it. */
export interface RecordedObject {
  readonly handle: FileHandle;
  readonly directory: boolean;
  /** Relative to the tree; the tree's own is empty. */
  readonly paths: readonly Buffer[];
  readonly stat: ObjectStat | null;
}

export interface RecordedTree {
  readonly kind: 'tree';
  /** `begin`: after the first walk; `end`: when recording ended; `outside`: of another export. */
  readonly moment: 'begin' | 'end' | 'outside';
  readonly path: Buffer;
  readonly objects: readonly RecordedObject[];
}

export interface RecordedExport {
  readonly key: ExportKey;
  readonly rootHandle: FileHandle;
}

/** In the order in which they were drained. */
export type RecordedLine =
  | RecordedTree
  | { readonly kind: 'exports'; readonly exports: readonly RecordedExport[] }
  | { readonly kind: 'nfs'; readonly batch: NfsBatch }
  | { readonly kind: 'files'; readonly batch: FileBatch };

/** One line, the newline included. */
export function encodeLine(line: RecordedLine): string {
  return `${JSON.stringify(line, plain)}\n`;
}

/** @throws TraceError `bad-recorded-batches` */
export function decodeLines(text: string): RecordedLine[] {
  try {
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line, revived) as RecordedLine);
  } catch (cause) {
    throw new TraceError({
      code: 'bad-recorded-batches',
      message: `not a file of recorded batches: ${(cause as Error).message}`,
      exit: 'data',
      cause,
    });
  }
}

/** Buffer.toJSON() runs before a replacer does, so the value is looked at in its place. */
function plain(this: unknown, key: string, value: unknown): unknown {
  const raw = (this as Record<string, unknown>)[key];
  if (Buffer.isBuffer(raw)) return { base64: raw.toString('base64') };
  if (typeof raw === 'bigint') return { bigint: raw.toString() };
  if (raw instanceof Map) return { map: [...(raw as Map<unknown, unknown>)] };
  return value;
}

function revived(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  const { base64, bigint, map } = value as Readonly<Record<string, unknown>>;
  if (typeof base64 === 'string') return Buffer.from(base64, 'base64');
  if (typeof bigint === 'string') return BigInt(bigint);
  if (Array.isArray(map)) return new Map(map as [unknown, unknown][]);
  return value;
}
