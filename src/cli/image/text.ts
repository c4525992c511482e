/**
 * How names and modes of an image's entries are shown. Names are escaped wherever they go: an image
 * may come from anyone, and one name must stay one line.
 */
import { escapeName } from '../output.ts';
import { FORMAT, type ImageRecord, LINK } from '../../image/tools/record.ts';
import { bytesOfName, typeName } from './shapes.ts';

const PLAIN = /^[ -~]*$/;

export const shownName = (name: string): string =>
  PLAIN.test(name) ? name : escapeName(bytesOfName(name));

const LETTERS: Readonly<Record<string, string>> = {
  file: '-',
  directory: 'd',
  symlink: 'l',
  character: 'c',
  block: 'b',
  fifo: 'p',
  socket: 's',
  unknown: '?',
};

/** `-rwsr-xr-x`. */
function modeText(mode: number): string {
  const bits = [8, 7, 6, 5, 4, 3, 2, 1, 0].map((bit) =>
    ((mode >> bit) & 1) === 0 ? '-' : ('xwr'[bit % 3] ?? ''),
  );
  for (const [flag, at, letter] of [
    [0o4000, 2, 's'],
    [0o2000, 5, 's'],
    [0o1000, 8, 't'],
  ] as const)
    if ((mode & flag) !== 0) bits[at] = bits[at] === 'x' ? letter : letter.toUpperCase();
  return (LETTERS[typeName(mode)] ?? '?') + bits.join('');
}

/** As `ls -ln` with times in UTC. */
export function longLine(record: ImageRecord): string {
  const { mode, nlink, uid, gid, rdevMajor, rdevMinor, size, mtime, name, target } = record;
  const type = typeName(mode);
  const amount =
    type === 'character' || type === 'block' ? `${rdevMajor}, ${rdevMinor}` : String(size);
  const time = new Date(mtime * 1000).toISOString().slice(0, 16).replace('T', ' ');
  const leads = (mode & FORMAT) === LINK ? ` -> ${shownName(target ?? '')}` : '';
  const columns = [String(nlink).padStart(3), pad(uid), pad(gid), amount.padStart(10), time];
  return `${modeText(mode)} ${columns.join(' ')} ${shownName(name)}${leads}`;
}

const pad = (id: number): string => String(id).padStart(5);
