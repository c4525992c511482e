/**
 * The note by which a program says what it loads with dlopen: systemd's "ELF dlopen metadata"
 * (owner `FDO`, type 0x407c0c0a, a JSON array). Owns its reading; pure.
 */
import type { Fields } from './header.ts';
import { ElfFault } from './window.ts';

export interface DlopenNote {
  /** Names of one library, the one to try first first; byte strings. */
  readonly sonames: readonly string[];
  readonly priority: 'required' | 'recommended' | 'suggested';
}

const NOTE_TYPE = 0x407c0c0a;
const OWNER = 'FDO\0';
const MOST_ENTRIES = 1000;

/** The entries among all notes of a segment. Throws ElfFault. */
export function dlopenNotes(notes: Buffer, align: number, fields: Fields): DlopenNote[] {
  // gABI: 4, but for segments that say 8.
  const step = align === 8 ? 8 : 4;
  const padded = (length: number): number => Math.ceil(length / step) * step;
  const found: DlopenNote[] = [];
  for (let at = 0; at + 12 <= notes.length;) {
    const [nameLength, length] = [fields.word(notes, at), fields.word(notes, at + 4)];
    const start = at + padded(12 + nameLength);
    if (start + length > notes.length) throw new ElfFault('a note beyond its segment');
    if (
      fields.word(notes, at + 8) === NOTE_TYPE &&
      notes.toString('latin1', at + 12, at + 12 + nameLength) === OWNER
    )
      found.push(...parse(notes.subarray(start, start + length)));
    at = start + padded(length);
  }
  return found;
}

function parse(description: Buffer): DlopenNote[] {
  const end = description.indexOf(0);
  let entries: unknown;
  try {
    entries = JSON.parse(description.toString('utf8', 0, end < 0 ? undefined : end));
  } catch {
    throw new ElfFault('a dlopen note that is not JSON');
  }
  if (!Array.isArray(entries) || entries.length > MOST_ENTRIES)
    throw new ElfFault('a dlopen note that is not a list');
  return entries.flatMap((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return [];
    const { soname, priority } = entry as { soname?: unknown; priority?: unknown };
    if (!Array.isArray(soname)) return [];
    const sonames = soname
      .filter((name): name is string => typeof name === 'string' && name !== '')
      .map((name) => Buffer.from(name).toString('latin1'));
    // The specification: without a word it is recommended.
    const known = priority === 'required' || priority === 'suggested' ? priority : 'recommended';
    return sonames.length === 0 ? [] : [{ sonames, priority: known }];
  });
}
