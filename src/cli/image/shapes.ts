/** The JSON shapes of what is in an image. Owns the names of the keys; documented in docs/json.md. */
import { jsonPath } from '../../common/bytes.ts';
import { FORMAT, type ImageRecord, TYPE_NAMES } from '../../image/tools/record.ts';
import { stopWords } from '../../image/tools/stop-words.ts';
import type { WalkedImage } from '../../image/tools/walk-image.ts';

export const typeName = (mode: number): string => TYPE_NAMES.get(mode & FORMAT) ?? 'unknown';
export const bytesOfName = (name: string): Buffer => Buffer.from(name, 'latin1');

export function recordShape(record: ImageRecord) {
  const type = typeName(record.mode);
  return {
    ...jsonPath(bytesOfName(record.name)),
    type,
    mode: record.mode & 0o7777,
    uid: record.uid,
    gid: record.gid,
    links: record.nlink,
    size: record.size,
    mtime: new Date(record.mtime * 1000).toISOString(),
    ...(record.target !== null && { target: jsonPath(bytesOfName(record.target)) }),
    ...((type === 'character' || type === 'block') && {
      major: record.rdevMajor,
      minor: record.rdevMinor,
    }),
    member: record.member,
    offset: record.offset,
    passed_over: record.passedOver,
  };
}

export function stopShape({ stop, why }: Pick<WalkedImage, 'stop' | 'why'>) {
  if (stop === null) return null;
  const { code, kernel, member, offset } = stop;
  return { code, kernel, member, offset, ...stopWords(stop, why) };
}
