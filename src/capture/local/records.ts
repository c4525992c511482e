/**
 * What trace-world tells, out of the bytes of its channel. Owns their format, which is that of
 * native/local/report.h. Pure; must not know processes or sessions.
 */
import { TraceError } from '../../common/errors.ts';

export type WorldRecord =
  | { readonly kind: 'access'; readonly mask: number; readonly path: Buffer }
  /** A mount below the root that cannot be watched. */
  | { readonly kind: 'unwatched'; readonly errno: number; readonly path: Buffer }
  /** What a root should have and this one lacks. */
  | { readonly kind: 'missing'; readonly path: Buffer }
  /** The program waits for leave to begin. */
  | { readonly kind: 'ready'; readonly path: Buffer }
  | { readonly kind: 'lost' | 'gone' | 'dropped'; readonly count: number }
  /** As wait(2) has it. */
  | { readonly kind: 'end'; readonly status: number }
  | { readonly kind: 'failed'; readonly errno: number; readonly what: string };

/** The bits of an access that are read here: fanotify(7)'s, and one of trace-world. */
export const SEEN = {
  access: 0x1,
  modify: 0x2,
  attributes: 0x4,
  open: 0x20,
  movedFrom: 0x40,
  movedTo: 0x80,
  create: 0x100,
  delete: 0x200,
  directory: 0x40000000,
  /** Of something that the run itself made. */
  created: 0x80000000,
} as const;

const HEADER = 12;
/** Of a path: PATH_MAX and a name. */
const LONGEST = 8192;

export class RecordReader {
  #left: Buffer = Buffer.alloc(0);

  /**
   * The records that are whole now.
   * @throws TraceError `local-report` for bytes that trace-world does not write
   */
  read(chunk: Buffer): WorldRecord[] {
    const bytes = this.#left.length === 0 ? chunk : Buffer.concat([this.#left, chunk]);
    const records: WorldRecord[] = [];
    let at = 0;
    while (bytes.length - at >= HEADER) {
      const size = bytes.readUInt32LE(at + 8);
      if (size > LONGEST) throw foreign();
      const end = at + HEADER + size;
      if (bytes.length < end) break;
      const kind = bytes.readUInt32LE(at);
      records.push(record(kind, bytes.readUInt32LE(at + 4), bytes.subarray(at + HEADER, end)));
      at = end;
    }
    this.#left = bytes.subarray(at);
    return records;
  }
}

function record(kind: number, value: number, path: Buffer): WorldRecord {
  switch (kind) {
    case 1:
      return { kind: 'access', mask: value, path };
    case 2:
      return { kind: 'unwatched', errno: value, path };
    case 3:
      return { kind: 'missing', path };
    case 4:
      return { kind: 'ready', path };
    case 5:
      return { kind: 'lost', count: value };
    case 6:
      return { kind: 'gone', count: value };
    case 7:
      return { kind: 'end', status: value };
    case 8:
      return { kind: 'failed', errno: value, what: path.toString() };
    case 9:
      return { kind: 'dropped', count: value };
    default:
      throw foreign();
  }
}

function foreign(): TraceError {
  return new TraceError({
    code: 'local-report',
    message: 'the report of the traced command has bytes that are no report',
    hint: 'something in the root wrote to its descriptors; what was recorded until then is kept',
    exit: 'data',
  });
}
