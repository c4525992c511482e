/** Fuzzers of what reads programs and kernel modules. Owns what is asked of every read. */
import assert from 'node:assert/strict';
import { readElf } from '../../../src/image/elf/read-elf.ts';
import { readModinfo } from '../../../src/image/elf/read-modinfo.ts';
import { makeElf } from '../../image/make-elf.ts';
import { fixture } from '../fixtures.ts';
import { mutate, ODD_NUMBERS } from '../mutate.ts';
import type { Random } from '../random.ts';
import type { Target } from '../target.ts';

const FILES = ['elf/program', 'elf/library.so', 'elf/module.ko'].map(fixture);
const INTERPRETERS = ['/lib64/ld-linux-x86-64.so.2', '/lib/ld-musl-x86_64.so.1', 'x'];
const NEEDED = [
  ...['libm.so.6', '../x', '/abs/y', '', 'n'.repeat(5000)].map((name) => ['libc.so.6', name]),
  Array<string>(5000).fill('libc.so.6'),
];
const NOTE = [
  { soname: ['libx.so.2', 'libx.so.1'], priority: 'suggested' },
  { soname: ['liby.so'] },
  { soname: [] },
  { soname: 'libz.so' },
];

/** Header, a table's row and a row of the dynamic section are of these sizes. */
const ROWS = [64, 56, 52, 40, 32, 16, 8];

export function anyElf(random: Random): Buffer {
  const made = random.once(3) ? random.pick(FILES) : small(random);
  let bytes = Buffer.from(made);
  if (random.once(20)) bytes = manySegments(random, bytes);
  for (let times = random.few(5); times > 0; times--) bytes = wrong(random, bytes);
  return random.once(3) ? mutate(random, bytes) : bytes;
}

function small(random: Random): Buffer {
  const base = {
    bits: random.pick([32, 64] as const),
    order: random.pick(['little', 'big'] as const),
    machine: random.pick([62, 3, 183, 40, 0xffff]),
  };
  const shape = random.once(4)
    ? { modinfo: ['license=GPL', 'firmware=a/b.bin', 'depends=x', random.pick(['', '=', 'x='])] }
    : {
        interpreter: random.pick(INTERPRETERS),
        soname: 'libself.so.1',
        needed: random.pick(NEEDED),
        rpath: '$ORIGIN/../lib:/x',
        runpath: random.pick(['', '$LIB', '${PLATFORM}/x:']),
        dlopen: random.pick<unknown>([
          NOTE,
          {},
          'x',
          [[]],
          Array(1000).fill(NOTE[1]),
          Array(1001).fill(0),
        ]),
      };
  return Buffer.from(makeElf({ ...base, ...shape }), 'latin1');
}

/** A number in the first page, where headers are; a row of a table once more, or another's. */
function wrong(random: Random, bytes: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
  const row = random.pick(ROWS);
  const at = random.once(2) ? random.below(64) : random.below(Math.min(bytes.length, 4096));
  if (random.once(4)) {
    const [from, to] = [64 + row * random.below(12), 64 + row * random.below(12)];
    bytes.subarray(from, from + row).copy(bytes, Math.min(to, bytes.length));
    return bytes;
  }
  const value = random.once(3) ? random.below(bytes.length + 64) : random.pick(ODD_NUMBERS);
  const length = random.pick([2, 4, 4, 8]);
  const number = Buffer.alloc(8);
  if (bytes[5] === 2) number.writeUInt32BE(value, Math.max(0, length - 4));
  else number.writeUInt32LE(value);
  const start = at - (at % Math.min(length, 4));
  if (start < bytes.length) number.copy(bytes, start, 0, length);
  return bytes;
}

/** One row of the table of segments as often as a table may have rows, behind all else. */
function manySegments(random: Random, bytes: Buffer<ArrayBuffer>): Buffer<ArrayBuffer> {
  const [wide, big] = [bytes[4] === 2, bytes[5] === 2];
  const [row, header] = wide ? [56, 64] : [32, 52];
  const from = header + row * random.below(5);
  const rows = Buffer.alloc(
    row * random.pick([100, 1000, 1024, 1025]),
    bytes.subarray(from, from + row),
  );
  const made = Buffer.concat([bytes, rows]);
  const [offset, count] = wide ? [32, 56] : [28, 44];
  if (big) {
    made.writeUInt32BE(bytes.length, offset + (wide ? 4 : 0));
    made.writeUInt16BE(rows.length / row, count);
  } else {
    made.writeUInt32LE(bytes.length, offset);
    made.writeUInt16LE(rows.length / row, count);
  }
  return made;
}

/** No length that a file gives makes more be read than this many times its own. */
const MOST_READ = 8 * 1024 * 1024;

function bounded(bytes: Buffer) {
  let all = 0;
  return (offset: number, length: number): Buffer => {
    assert.ok(Number.isSafeInteger(offset) && offset >= 0, `read at ${offset}`);
    assert.ok(Number.isSafeInteger(length) && length >= 0, `read of ${length}`);
    const got = bytes.subarray(offset, offset + length);
    all += got.length;
    assert.ok(all <= MOST_READ, `over ${MOST_READ} bytes are read of ${bytes.length}`);
    return got;
  };
}

const elf: Target = {
  name: 'elf-read',
  reads: 'programs, libraries and kernel modules',
  make: anyElf,
  run: (bytes) => {
    const result = readElf(bounded(bytes));
    if (result.kind === 'elf')
      for (const name of result.elf.needed) assert.ok(name !== '' && !name.includes('\0'));
    const info = readModinfo(bounded(bytes));
    if (info.kind === 'modinfo') assert.ok(info.pairs.every(([key]) => !key.includes('=')));
  },
};

export const ELF: readonly Target[] = [elf];
