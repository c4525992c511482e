/**
 * The ELF header and the tables it leads to, of 32 and 64 bits in both byte orders. Owns the
 * layout (elf(5)). Must not know what a table's rows are wanted for.
 */
import { ELF_MAGIC, ElfFault, type Window } from './window.ts';

export interface ElfIdentity {
  /** Word length: 32 or 64 bits. */
  readonly bits: 32 | 64;
  readonly order: 'little' | 'big';
  /** `e_machine`: 62 is x86-64, 183 is AArch64. */
  readonly machine: number;
  readonly osabi: number;
}

export interface ElfHeader extends ElfIdentity {
  /** `e_type`: 1 relocatable (kernel modules), 2 executable, 3 shared object or PIE, 4 core. */
  readonly type: number;
  readonly fields: Fields;
  readonly programs: Table;
  readonly sections: Table & { readonly names: number };
}

interface Table {
  readonly offset: number;
  readonly count: number;
  readonly size: number;
}

export interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly length: number;
  readonly align: number;
}

export interface Section {
  readonly name: number;
  readonly type: number;
  readonly offset: number;
  readonly length: number;
}

/** No linker makes nearly as many; a hostile header may claim 65,535. */
const MOST_SEGMENTS = 1024;
/** -ffunction-sections makes thousands in a kernel module. */
const MOST_SECTIONS = 0xff00;

/** Reads numbers of one file's word length and byte order. */
export class Fields {
  readonly bits: 32 | 64;
  readonly #little: boolean;

  constructor(bits: 32 | 64, little: boolean) {
    this.bits = bits;
    this.#little = little;
  }

  half(bytes: Buffer, at: number): number {
    return this.#little ? bytes.readUInt16LE(at) : bytes.readUInt16BE(at);
  }

  /** 32 bits in either class. */
  word(bytes: Buffer, at: number): number {
    return this.#little ? bytes.readUInt32LE(at) : bytes.readUInt32BE(at);
  }

  /** An address, offset or length: 32 or 64 bits. One beyond 2^53 is no file's and stays inexact. */
  long(bytes: Buffer, at: number): number {
    if (this.bits === 32) return this.word(bytes, at);
    return Number(this.#little ? bytes.readBigUInt64LE(at) : bytes.readBigUInt64BE(at));
  }
}

/** Null for what is not ELF. Throws ElfFault. */
export function readHeader({ head }: Window): ElfHeader | null {
  if (!head.subarray(0, ELF_MAGIC.length).equals(ELF_MAGIC)) return null;
  const [bits, order] = [head[4] === 1 ? 32 : 64, head[5] === 1 ? 'little' : 'big'] as const;
  const wide = bits === 64;
  if (head.length < (wide ? 64 : 52)) throw new ElfFault('a header cut short');
  if (head[4] !== 1 && head[4] !== 2) throw new ElfFault(`class ${head[4] ?? 0}`);
  if (head[5] !== 1 && head[5] !== 2) throw new ElfFault(`byte order ${head[5] ?? 0}`);
  const fields = new Fields(bits, order === 'little');
  return {
    bits,
    order,
    osabi: head[7] ?? 0,
    type: fields.half(head, 16),
    machine: fields.half(head, 18),
    fields,
    programs: {
      offset: fields.long(head, wide ? 32 : 28),
      size: fields.half(head, wide ? 54 : 42),
      count: fields.half(head, wide ? 56 : 44),
    },
    sections: {
      offset: fields.long(head, wide ? 40 : 32),
      size: fields.half(head, wide ? 58 : 46),
      count: fields.half(head, wide ? 60 : 48),
      names: fields.half(head, wide ? 62 : 50),
    },
  };
}

export function readSegments(window: Window, { fields, programs }: ElfHeader): Segment[] {
  const wide = fields.bits === 64;
  return rows(window, programs, {
    least: wide ? 56 : 32,
    most: MOST_SEGMENTS,
    what: 'program headers',
  }).map((row) => ({
    type: fields.word(row, 0),
    offset: fields.long(row, wide ? 8 : 4),
    address: fields.long(row, wide ? 16 : 8),
    length: fields.long(row, wide ? 32 : 16),
    align: fields.long(row, wide ? 48 : 28),
  }));
}

export function readSections(window: Window, { fields, sections }: ElfHeader): Section[] {
  const wide = fields.bits === 64;
  return rows(window, sections, {
    least: wide ? 64 : 40,
    most: MOST_SECTIONS,
    what: 'section headers',
  }).map((row) => ({
    name: fields.word(row, 0),
    type: fields.word(row, 4),
    offset: fields.long(row, wide ? 24 : 16),
    length: fields.long(row, wide ? 32 : 20),
  }));
}

function rows(
  window: Window,
  { offset, count, size }: Table,
  { least, most, what }: { readonly least: number; readonly most: number; readonly what: string },
): Buffer[] {
  if (count === 0 || offset === 0) return [];
  if (size < least) throw new ElfFault(`${what} of ${size} bytes each`);
  if (count > most) throw new ElfFault(`${count} ${what}`);
  const bytes = window.at(offset, count * size, most * 128, what);
  return Array.from({ length: count }, (_, row) => bytes.subarray(row * size, (row + 1) * size));
}
