/**
 * How the report says things to people. Owns the words that its text and its page share.
 */
import { shownPath } from '../../common/bytes.ts';
import type { Drop, Grade } from '../../image/sizes/evidence.ts';
import type { Owner } from '../../image/sizes/weigh.ts';
import { escapeName, size } from '../output.ts';
import type { SizeReport } from './size-report.ts';

const GRADE_WORDS: Readonly<Record<Grade, string>> = {
  linked: 'only a link leads to it',
  needed: 'nothing that was used needs it',
  stat: 'looked at, never read',
  'partly-read': 'hardly read',
};

export function evidenceOf({ grade, bytesRead, size: whole }: Drop): string {
  if (bytesRead === null) return GRADE_WORDS[grade];
  return `${GRADE_WORDS[grade]}: ${percent(bytesRead, whole)}`;
}

/** From the root, with what would disturb a line or a page escaped. */
export function nameOf(path: Buffer): string {
  const name = path.length === 0 ? '/' : `/${escapeName(shownPath(path))}`;
  // Marks of direction would show a name backwards.
  return name.replace(
    /[\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    (one) => `\\u${one.charCodeAt(0).toString(16)}`,
  );
}

export function ownerName(owner: Owner): string {
  switch (owner) {
    case 'directories':
      return '(directories)';
    case 'made':
      return '(made for the image)';
    case 'none':
      return '(of no package)';
    default:
      return `${owner.name} ${owner.version}`;
  }
}

export function percent(part: number, whole: number): string {
  return `${(whole === 0 ? 0 : (100 * part) / whole).toFixed(1)} %`;
}

/** `554 entries, 49 MB of archive with 48 MB of files; 18 MB written as newc by zstd`. */
export function summary({ sizes, bytes, format, compression }: SizeReport): string {
  const { entries, contentBytes, archiveBytes } = sizes.total;
  const by = compression === null ? '' : ` by ${compression.method}:${compression.level}`;
  return (
    `${entries} entries, ${size(archiveBytes)} of archive with ${size(contentBytes)} of files; ` +
    `${size(bytes)} written as ${format}${by}`
  );
}
