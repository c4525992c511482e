/**
 * Reads the flat rows that the native side hands over at a drain.
 * Pure; the layout's other half is native/fanotify/batch_encoder.h.
 */
import type { FileEvent, FileHandle, PidClass } from '../common/batches.ts';

/** In the order of the native enumeration. */
export const PID_CLASSES = [
  'nfsd',
  'server',
  'traced',
  'self',
  'other',
] as const satisfies readonly PidClass[];

const ROW_HEAD = 32;
const HAS_OBJECT = 1;
const HAS_PARENT = 2;
const HAS_NAME = 4;
const OBJECT_IS_PARENT = 8;

/** Decodes rows; the buffers of the result are views into `rows`, which it then keeps alive. */
export function decodeRows(rows: Buffer): FileEvent[] {
  const events: FileEvent[] = [];
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  let fsid: Buffer | null = null;
  let lastParent: FileHandle | null = null;
  for (let at = 0; at < rows.length;) {
    const mask = view.getUint32(at, true);
    const count = view.getUint32(at + 4, true);
    const pidClass = PID_CLASSES[view.getUint8(at + 8)];
    const flags = view.getUint8(at + 9);
    const objectStart = at + ROW_HEAD;
    const parentStart = objectStart + view.getUint8(at + 10);
    const nameStart = parentStart + view.getUint8(at + 11);
    const end = nameStart + view.getUint32(at + 20, true);
    if (pidClass === undefined || end > rows.length)
      throw new RangeError(`fanotify rows: bad row at byte ${at}`);
    // Rows come in runs of one file system and, often, of one directory: their buffers are shared.
    if (fsid === null || rows.compare(fsid, 0, 8, at + 24, at + 32) !== 0)
      fsid = rows.subarray(at + 24, at + 32);
    const parentType = view.getInt32(at + 16, true);
    let parent: FileHandle | null = null;
    if ((flags & HAS_PARENT) !== 0) {
      if (lastParent === null || !isHandle(lastParent, parentType, rows, parentStart, nameStart))
        lastParent = { type: parentType, bytes: rows.subarray(parentStart, nameStart) };
      parent = lastParent;
    }
    let object: FileHandle | null = null;
    if ((flags & OBJECT_IS_PARENT) !== 0) object = parent;
    else if ((flags & HAS_OBJECT) !== 0)
      object = {
        type: view.getInt32(at + 12, true),
        bytes: rows.subarray(objectStart, parentStart),
      };
    const name = (flags & HAS_NAME) === 0 ? null : rows.subarray(nameStart, end);
    events.push({ mask, pidClass, fsid, object, parent, name, count });
    at = (end + 3) & ~3;
  }
  return events;
}

function isHandle(
  { type, bytes }: FileHandle,
  wanted: number,
  rows: Buffer,
  start: number,
  end: number,
): boolean {
  if (type !== wanted || bytes.length !== end - start) return false;
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== rows[start + at]) return false;
  return true;
}
