/**
 * What a kernel module says of itself: the `.modinfo` section, `key=value` strings ended by NUL.
 * Pure; hostile input is a result.
 */
import { readHeader, readSections } from './header.ts';
import { ElfFault, type ReadAt, Window } from './window.ts';

export type ModinfoResult =
  /** Pairs in the file's order, as byte strings. */
  | { readonly kind: 'modinfo'; readonly pairs: readonly (readonly [string, string])[] }
  | { readonly kind: 'bad'; readonly why: string };

const MOST_BYTES = 1024 * 1024;

/** No pairs if there is no such section. Throws only what `read` throws. */
export function readModinfo(read: ReadAt): ModinfoResult {
  try {
    const window = new Window(read);
    const header = readHeader(window);
    if (header === null) throw new ElfFault('not ELF');
    const sections = readSections(window, header);
    const table = sections[header.sections.names];
    if (table === undefined) throw new ElfFault('no names of sections');
    const names = window.at(table.offset, table.length, MOST_BYTES, 'names of sections');
    const wanted = Buffer.from('.modinfo\0');
    const found = sections.find(({ name }) =>
      names.subarray(name, name + wanted.length).equals(wanted),
    );
    if (found === undefined) return { kind: 'modinfo', pairs: [] };
    const text = window.at(found.offset, found.length, MOST_BYTES, 'modinfo').toString('latin1');
    return {
      kind: 'modinfo',
      pairs: text
        .split('\0')
        .filter((pair) => pair.includes('='))
        .map((pair) => [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)]),
    };
  } catch (fault) {
    if (fault instanceof ElfFault) return { kind: 'bad', why: fault.message };
    throw fault;
  }
}
