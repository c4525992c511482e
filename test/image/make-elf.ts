/**
 * Small ELF files of any class and byte order for tests of pure code, as byte strings. What it makes
 * is checked against readelf in elf.test.ts.
 */

export interface ElfShape {
  readonly bits?: 32 | 64;
  readonly order?: 'little' | 'big';
  readonly machine?: number;
  readonly interpreter?: string;
  readonly soname?: string;
  readonly needed?: readonly string[];
  readonly rpath?: string;
  readonly runpath?: string;
  readonly flags1?: number;
  /** The JSON of a dlopen note. */
  readonly dlopen?: unknown;
  /** Only `.modinfo` strings: a kernel module. */
  readonly modinfo?: readonly string[];
}

const ADDRESS = 0x10000;

export function makeElf(shape: ElfShape): string {
  const { bits = 64, order = 'little', machine = 62 } = shape;
  const wide = bits === 64;
  const half = (value: number): Buffer => number(value, 2);
  const word = (value: number): Buffer => number(value, 4);
  const long = (value: number): Buffer => number(value, wide ? 8 : 4);
  function number(value: number, length: number): Buffer {
    const buffer = Buffer.alloc(length);
    if (length <= 4) buffer.writeUIntLE(value, 0, length);
    else buffer.writeBigUInt64LE(BigInt(value));
    return order === 'little' ? buffer : buffer.reverse();
  }
  const headerLength = wide ? 64 : 52;
  const segmentLength = wide ? 56 : 32;
  const header = (type: number, segments: number, sections: { at: number; count: number }) =>
    Buffer.concat([
      Buffer.from([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, order === 'little' ? 1 : 2, 1, 0]),
      Buffer.alloc(8),
      half(type),
      half(machine),
      word(1),
      long(0),
      long(segments > 0 ? headerLength : 0),
      long(sections.at),
      word(0),
      half(headerLength),
      half(segmentLength),
      half(segments),
      half(wide ? 64 : 40),
      half(sections.count),
      half(sections.count > 0 ? sections.count - 1 : 0),
    ]);
  const pad = (bytes: Buffer): Buffer =>
    Buffer.concat([bytes, Buffer.alloc((8 - (bytes.length % 8)) % 8)]);

  if (shape.modinfo !== undefined) {
    const info = Buffer.from(shape.modinfo.map((one) => `${one}\0`).join(''), 'latin1');
    const names = Buffer.from('\0.modinfo\0.shstrtab\0');
    const section = (name: number, type: number, at: number, length: number): Buffer =>
      Buffer.concat(
        [word(name), word(type), long(0), long(0), long(at), long(length)].concat([
          word(0),
          word(0),
          long(1),
          long(0),
        ]),
      );
    const body = pad(Buffer.concat([info, names]));
    return Buffer.concat([
      header(1, 0, { at: headerLength + body.length, count: 3 }),
      body,
      section(0, 0, 0, 0),
      section(1, 1, headerLength, info.length),
      section(10, 3, headerLength + info.length, names.length),
    ]).toString('latin1');
  }

  let table = '\0';
  const string = (text: string): number => {
    table += `${text}\0`;
    return table.length - text.length - 1;
  };
  const rows: [number, number][] = (shape.needed ?? []).map((name) => [1, string(name)]);
  if (shape.soname !== undefined) rows.push([14, string(shape.soname)]);
  if (shape.rpath !== undefined) rows.push([15, string(shape.rpath)]);
  if (shape.runpath !== undefined) rows.push([29, string(shape.runpath)]);
  if (shape.flags1 !== undefined) rows.push([0x6ffffffb, shape.flags1]);
  const strings = pad(Buffer.from(table, 'latin1'));
  const interpreter = pad(
    Buffer.from(shape.interpreter === undefined ? '' : `${shape.interpreter}\0`, 'latin1'),
  );
  const json = Buffer.from(shape.dlopen === undefined ? '' : `${JSON.stringify(shape.dlopen)}\0`);
  const note =
    json.length === 0
      ? json
      : Buffer.concat([word(4), word(json.length), word(0x407c0c0a), Buffer.from('FDO\0'), json]);
  const parts = [
    { type: 3, bytes: interpreter, length: (shape.interpreter?.length ?? -1) + 1, align: 1 },
    { type: 4, bytes: pad(note), length: Math.ceil(note.length / 4) * 4, align: 4 },
  ].filter(({ length }) => length > 0);
  const count = parts.length + 2;
  const stringsAt = headerLength + count * segmentLength;
  const dynamicAt = stringsAt + strings.length;
  const dynamic = Buffer.concat(
    [...rows, [5, ADDRESS + stringsAt], [10, table.length], [0, 0]].map(([tag = 0, value = 0]) =>
      Buffer.concat([long(tag), long(value)]),
    ),
  );
  const segment = (type: number, at: number, length: number, align: number): Buffer => {
    const flags = word(4);
    const place = [long(at), long(ADDRESS + at), long(ADDRESS + at), long(length), long(length)];
    return wide
      ? Buffer.concat([word(type), flags, ...place, long(align)])
      : Buffer.concat([word(type), ...place, flags, long(align)]);
  };
  let at = dynamicAt + dynamic.length;
  const total = at + parts.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const segments = parts.map(({ type, bytes, length, align }) => {
    const row = segment(type, at, length, align);
    at += bytes.length;
    return row;
  });
  return Buffer.concat([
    header(3, count, { at: 0, count: 0 }),
    segment(1, 0, total, 0x1000),
    segment(2, dynamicAt, dynamic.length, 8),
    ...segments,
    strings,
    dynamic,
    ...parts.map(({ bytes }) => bytes),
  ]).toString('latin1');
}
