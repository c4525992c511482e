/** Which format a list has, by its beginning. Pure. */
import { AuditReader } from './audit.ts';
import { FindReader } from './find.ts';
import { StraceReader } from './strace/reader.ts';
import type { Format } from './use.ts';

/** Lines that are looked at. */
const MOST = 50;

/** @param head the first bytes, as many as came */
export function guessFormat(head: Buffer): Format {
  if (head.includes(0)) return 'null';
  const text = head.toString('latin1');
  const lines = text
    .split('\n')
    .filter((line) => line !== '')
    .slice(0, MOST);
  const share = (matches: (line: string) => boolean): number =>
    lines.filter(matches).length / Math.max(1, lines.length);
  // Of strace's lines many may be of a program that wrote between them.
  if (share((line) => AuditReader.matches(line)) > 0.5) return 'audit';
  if (share((line) => FindReader.matches(line)) > 0.5) return 'find';
  return share((line) => StraceReader.matches(line)) > 0.2 ? 'strace' : 'plain';
}
