/**
 * What a dynamic loader wants to know of an ELF file. Pure: a function of the bytes that it asks
 * for, which are the headers, the dynamic section, the strings that it names and the notes. Hostile
 * input is a result, never a crash, and no length in a file makes a long read.
 */
import { dlopenNotes, type DlopenNote } from './dlopen-note.ts';
import {
  type ElfHeader,
  type ElfIdentity,
  readHeader,
  readSegments,
  type Segment,
} from './header.ts';
import { ElfFault, type ReadAt, Window } from './window.ts';

/** Strings are byte strings: one character for each byte. */
export interface Elf extends ElfIdentity {
  /** PT_INTERP: the loader that the kernel starts. */
  readonly interpreter: string | null;
  readonly soname: string | null;
  readonly needed: readonly string[];
  readonly rpath: string | null;
  readonly runpath: string | null;
  /** DF_1_NODEFLIB: not in the default directories. */
  readonly noDefaultDirectories: boolean;
  readonly dlopen: readonly DlopenNote[];
  /** Why its notes, and they alone, could not be read. */
  readonly badNotes: string | null;
}

export type ElfResult =
  | { readonly kind: 'elf'; readonly elf: Elf }
  /** It does not begin as ELF does. */
  | { readonly kind: 'not-elf' }
  | { readonly kind: 'bad'; readonly why: string };

const [PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_NOTE] = [1, 2, 3, 4] as const;
const [ET_EXEC, ET_DYN] = [2, 3] as const;
const DT = { needed: 1, strtab: 5, strsz: 10, soname: 14, rpath: 15, runpath: 29 } as const;
const DT_FLAGS_1 = 0x6ffffffb;
const DF_1_NODEFLIB = 0x800;

/** As the kernel: PATH_MAX. */
const MOST_STRING = 4096;
const MOST_DYNAMIC = 256 * 1024;
const MOST_NEEDED = 1024;
/** Of all segments together: any number of them may lie over the same bytes. */
const MOST_NOTES = 1024 * 1024;
/** One read instead of one a string: linkers put the names beside each other. */
const STRINGS_AT_ONCE = 16 * 1024;

/** Throws only what `read` throws. */
export function readElf(read: ReadAt): ElfResult {
  try {
    const window = new Window(read);
    const header = readHeader(window);
    if (header === null) return { kind: 'not-elf' };
    return { kind: 'elf', elf: describe(window, header) };
  } catch (fault) {
    if (fault instanceof ElfFault) return { kind: 'bad', why: fault.message };
    throw fault;
  }
}

function describe(window: Window, header: ElfHeader): Elf {
  const { bits, order, machine, osabi, type } = header;
  // Objects and cores have no loader; a core's notes are megabytes.
  const segments = type === ET_EXEC || type === ET_DYN ? readSegments(window, header) : [];
  const interp = segments.find((one) => one.type === PT_INTERP && one.length > 0);
  return {
    bits,
    order,
    machine,
    osabi,
    interpreter:
      interp === undefined
        ? null
        : upToNul(window.at(interp.offset, interp.length, MOST_STRING, 'an interpreter')),
    ...readDynamic(window, header, segments),
    ...readNotes(window, header, segments),
  };
}

/** What a loader needs does not depend on notes: bad ones leave the rest as it is. */
function readNotes(
  window: Window,
  { fields }: ElfHeader,
  segments: readonly Segment[],
): Pick<Elf, 'dlopen' | 'badNotes'> {
  const dlopen: DlopenNote[] = [];
  let left = MOST_NOTES;
  try {
    for (const { type, offset, length, align } of segments)
      if (type === PT_NOTE && length > 0) {
        dlopen.push(...dlopenNotes(window.at(offset, length, left, 'notes'), align, fields));
        left -= length;
      }
  } catch (fault) {
    if (!(fault instanceof ElfFault)) throw fault;
    return { dlopen, badNotes: fault.message };
  }
  return { dlopen, badNotes: null };
}

type Dynamic = Pick<Elf, 'soname' | 'needed' | 'rpath' | 'runpath' | 'noDefaultDirectories'>;

function readDynamic(window: Window, header: ElfHeader, segments: readonly Segment[]): Dynamic {
  const { fields } = header;
  const numbers = { needed: [] as number[], strtab: -1, strsz: -1, flags: 0 };
  const at = { soname: -1, rpath: -1, runpath: -1 };
  // Empty in a file that holds debug information alone.
  const dynamic = segments.find((one) => one.type === PT_DYNAMIC && one.length > 0);
  const step = fields.bits / 4;
  const rows =
    dynamic === undefined
      ? Buffer.alloc(0)
      : window.at(dynamic.offset, dynamic.length, MOST_DYNAMIC, 'a dynamic section');
  for (let row = 0; row + step <= rows.length; row += step) {
    const [tag, value] = [fields.long(rows, row), fields.long(rows, row + step / 2)];
    if (tag === 0) break;
    if (tag === DT.needed) numbers.needed.push(value);
    else if (tag === DT.strtab) numbers.strtab = value;
    else if (tag === DT.strsz) numbers.strsz = value;
    else if (tag === DT.soname) at.soname = value;
    else if (tag === DT.rpath) at.rpath = value;
    else if (tag === DT.runpath) at.runpath = value;
    else if (tag === DT_FLAGS_1) numbers.flags = value;
  }
  if (numbers.needed.length > MOST_NEEDED)
    throw new ElfFault(`${numbers.needed.length} needed libraries`);
  const wanted = [...numbers.needed, ...Object.values(at).filter((offset) => offset >= 0)];
  const string = wanted.length === 0 ? () => '' : strings(window, segments, numbers, wanted);
  return {
    needed: numbers.needed.map(string).filter((name) => name !== ''),
    soname: at.soname < 0 ? null : string(at.soname),
    rpath: at.rpath < 0 ? null : string(at.rpath),
    runpath: at.runpath < 0 ? null : string(at.runpath),
    noDefaultDirectories: Math.floor(numbers.flags / DF_1_NODEFLIB) % 2 === 1,
  };
}

/** A reader of the string table, which is given by its address in memory. */
function strings(
  window: Window,
  segments: readonly Segment[],
  { strtab, strsz }: { readonly strtab: number; readonly strsz: number },
  wanted: readonly number[],
): (offset: number) => string {
  const place = segments.find(
    ({ type, address, length }) =>
      type === PT_LOAD && strtab >= address && strtab < address + length,
  );
  if (strtab < 0 || place === undefined) throw new ElfFault('a string table that is not loaded');
  const table = strtab - place.address + place.offset;
  const end = strsz < 0 ? place.offset + place.length : table + strsz;
  const first = wanted.reduce((least, offset) => Math.min(least, offset), Infinity);
  const last = wanted.reduce((most, offset) => Math.max(most, offset), 0);
  const length = Math.min(last - first + 256, STRINGS_AT_ONCE, end - table - first);
  const near = length > 0 ? window.upTo(table + first, length) : Buffer.alloc(0);
  return (offset) => {
    if (table + offset >= end) throw new ElfFault('a name outside the string table');
    const inside = offset - first;
    if (inside < near.length) {
      const stop = near.indexOf(0, inside);
      if (stop >= 0) return near.toString('latin1', inside, stop);
    }
    const most = Math.min(MOST_STRING, end - table - offset);
    const bytes = window.upTo(table + offset, most);
    const stop = bytes.indexOf(0);
    if (stop < 0) throw new ElfFault('a name without an end');
    return bytes.toString('latin1', 0, stop);
  };
}

function upToNul(bytes: Buffer): string {
  const end = bytes.indexOf(0);
  return bytes.toString('latin1', 0, end < 0 ? bytes.length : end);
}
