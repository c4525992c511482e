/** The ELF reader: against the build's compiler and its readelf, in every class and order, and hostile input. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { type ElfResult, readElf } from '../../src/image/elf/read-elf.ts';
import { readModinfo } from '../../src/image/elf/read-modinfo.ts';
import { type ElfShape, makeElf } from './make-elf.ts';
import { run, temporaryFolder } from './support.ts';

interface Counted {
  readonly read: (offset: number, length: number) => Buffer;
  calls: number;
  bytes: number;
}

/** Random access that says what it cost. */
function counted(file: Buffer): Counted {
  const counts: Counted = {
    calls: 0,
    bytes: 0,
    read: (offset, length) => {
      assert.ok(Number.isSafeInteger(offset) && offset >= 0 && length >= 0, `${offset} ${length}`);
      const bytes = file.subarray(offset, offset + length);
      counts.calls++;
      counts.bytes += bytes.length;
      return bytes;
    },
  };
  return counts;
}

const read = (file: Buffer | string): ElfResult =>
  readElf(counted(typeof file === 'string' ? Buffer.from(file, 'latin1') : file).read);

const SHAPE: ElfShape = {
  interpreter: '/lib/ld-test.so.1',
  soname: 'libself.so.1',
  needed: ['libone.so.1', 'lib\xff.so'],
  rpath: '/a:$ORIGIN/b',
  runpath: '/c',
  flags1: 0x801,
  dlopen: [
    { soname: ['libx.so.2', 'libx.so.1'], priority: 'suggested', feature: 'x' },
    { soname: ['liby.so.1'] },
    { soname: [], priority: 'required' },
    'odd',
  ],
};

describe('an ELF file', () => {
  for (const [bits, order, machine] of [
    [64, 'little', 62],
    [32, 'little', 3],
    [64, 'big', 22],
    [32, 'big', 20],
  ] as const)
    it(`of ${bits} bits, ${order} end first`, () => {
      const result = read(makeElf({ ...SHAPE, bits, order, machine }));
      assert.deepEqual(result, {
        kind: 'elf',
        elf: {
          bits,
          order,
          machine,
          osabi: 0,
          interpreter: '/lib/ld-test.so.1',
          soname: 'libself.so.1',
          needed: ['libone.so.1', 'lib\xff.so'],
          rpath: '/a:$ORIGIN/b',
          runpath: '/c',
          noDefaultDirectories: true,
          dlopen: [
            { sonames: ['libx.so.2', 'libx.so.1'], priority: 'suggested' },
            { sonames: ['liby.so.1'], priority: 'recommended' },
          ],
          badNotes: null,
        },
      });
    });

  it('by the compiler and linker is read as readelf does', (t) => {
    const folder = temporaryFolder(t);
    const source = join(folder, 'x.c');
    writeFileSync(
      source,
      `__attribute__((used, section(".note.dlopen,\\"a\\",%note#"), aligned(4)))
       static const struct { unsigned n, d, t; char name[4]; char json[64]; } note =
         { 4, 64, 0x407c0c0a, "FDO", "[{\\"soname\\":[\\"libz.so.9\\"],\\"priority\\":\\"required\\"}]" };
       int main(void) { return 0; }`,
    );
    const program = join(folder, 'program');
    const link = ['-Wl,-rpath,$ORIGIN/../lib', '-Wl,--no-as-needed', '-lm', '-Wl,-z,nodefaultlib'];
    run('gcc', ['-o', program, source, ...link]);
    const result = read(readFileSync(program));
    assert.equal(result.kind, 'elf');
    const text = run('readelf', ['-d', '-l', program]).toString();
    const named = (tag: string) =>
      [...text.matchAll(new RegExp(`\\(${tag}\\).*\\[(.*)\\]`, 'g'))].map(([, name]) => name);
    assert.deepEqual(result.elf.needed, named('NEEDED'));
    assert.ok(result.elf.needed.includes('libm.so.6'));
    assert.deepEqual([result.elf.runpath], named('RUNPATH'));
    assert.equal(result.elf.interpreter, /interpreter: (.*)\]/.exec(text)?.[1]);
    assert.equal(result.elf.noDefaultDirectories, true);
    assert.deepEqual(result.elf.dlopen, [{ sonames: ['libz.so.9'], priority: 'required' }]);
  });

  it('made for the tests is one to readelf', (t) => {
    const file = join(temporaryFolder(t), 'x');
    for (const bits of [32, 64] as const) {
      writeFileSync(file, makeElf({ ...SHAPE, bits }), 'latin1');
      const text = run('readelf', ['-d', '-l', file]).toString();
      assert.match(text, /NEEDED.*\[libone\.so\.1\]/);
      assert.match(text, /interpreter: \/lib\/ld-test\.so\.1\]/);
      assert.match(text, /SONAME.*\[libself\.so\.1\]/);
    }
  });

  it('costs a few small reads, however large it is', () => {
    const small = Buffer.from(makeElf(SHAPE), 'latin1');
    const cost = counted(Buffer.concat([small, Buffer.alloc(50_000_000)]));
    assert.equal(readElf(cost.read).kind, 'elf');
    assert.ok(cost.calls <= 3 && cost.bytes < 20_000, `${cost.calls} reads, ${cost.bytes} bytes`);
  });
});

describe('what is not sound', () => {
  it('is told from what is not ELF at all', () => {
    assert.equal(read('').kind, 'not-elf');
    assert.equal(read('#!/bin/sh\n').kind, 'not-elf');
    assert.deepEqual(read('\x7fELF'), { kind: 'bad', why: 'a header cut short' });
    assert.deepEqual(read(`\x7fELF\x07\x01${'\0'.repeat(64)}`), { kind: 'bad', why: 'class 7' });
  });

  it('is a result wherever the file is cut', () => {
    for (const bits of [32, 64] as const) {
      const whole = makeElf({ ...SHAPE, bits });
      for (let length = 4; length < whole.length; length++) {
        const result = read(whole.slice(0, length));
        assert.ok(result.kind === 'bad' || result.kind === 'elf', `${length}`);
      }
      assert.equal(read(whole.slice(0, 100)).kind, 'bad');
    }
  });

  it('is a result, and cheap, whichever bytes are wrong', () => {
    let seed = 1;
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
      return (seed >>> 8) % below;
    };
    const kinds = new Set<string>();
    for (let round = 0; round < 5_000; round++) {
      const bits = round % 2 === 0 ? 32 : 64;
      const bytes = Buffer.from(makeElf({ ...SHAPE, bits }), 'latin1');
      for (let wrong = 0; wrong <= random(4); wrong++)
        bytes[4 + random(bytes.length - 4)] = [0, 1, 0x7f, 0xff, random(256)][random(5)] ?? 0;
      const cost = counted(bytes);
      kinds.add(readElf(cost.read).kind);
      readModinfo(cost.read);
      assert.ok(cost.bytes < 300_000, `round ${round}: ${cost.bytes} bytes`);
    }
    assert.deepEqual([...kinds].sort(), ['bad', 'elf']);
  });

  it('is cheap, however many segments lie over the same notes', () => {
    const small = Buffer.from(makeElf({ dlopen: Array(1000).fill({ soname: ['a'] }) }), 'latin1');
    const [row, count] = [56, 1000];
    // Behind what is loaded and what is dynamic.
    const note = small.subarray(64 + 2 * row, 64 + 3 * row);
    const file = Buffer.concat([small, ...Array<Buffer>(count).fill(note)]);
    file.writeBigUInt64LE(BigInt(small.length), 32);
    file.writeUInt16LE(count, 56);
    const cost = counted(file);
    const result = readElf(cost.read);
    assert.equal(result.kind, 'elf');
    assert.match(result.elf.badNotes ?? '', /^notes of \d+ bytes$/);
    assert.ok(cost.bytes < 1_200_000, `${cost.bytes} bytes`);
  });

  it('loses its notes alone when only they are broken', () => {
    const text = makeElf({ ...SHAPE, dlopen: [{ soname: ['a'] }] });
    const result = read(text.replace('[{"soname"', '[["soname"'));
    assert.equal(result.kind, 'elf');
    assert.equal(result.elf.badNotes, 'a dlopen note that is not JSON');
    assert.deepEqual(result.elf.needed, SHAPE.needed);
  });
});

describe('a kernel module', () => {
  it('says what it is in .modinfo', () => {
    for (const [bits, order] of [
      [64, 'little'],
      [32, 'big'],
    ] as const) {
      const file = makeElf({ bits, order, modinfo: ['license=GPL', 'firmware=a/b=c.bin', 'odd'] });
      assert.deepEqual(readModinfo(counted(Buffer.from(file, 'latin1')).read), {
        kind: 'modinfo',
        pairs: [
          ['license', 'GPL'],
          ['firmware', 'a/b=c.bin'],
        ],
      });
    }
    assert.equal(readModinfo(counted(Buffer.from('nothing')).read).kind, 'bad');
  });
});
