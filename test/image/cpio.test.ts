/** Headers of cpio records, byte for byte. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import {
  CpioFieldError,
  type CpioHeader,
  headerLength,
  trailer,
  writeHeader,
} from '../../src/image/cpio.ts';
import type { ImageRecord } from '../../src/image/tools/record.ts';
import { recordsOf } from './records-of.ts';

const header = (more: Partial<CpioHeader> = {}): CpioHeader => ({
  inode: 0x12345678,
  mode: 0o100755,
  uid: 1000,
  gid: 0xfffffffe,
  nlink: 1,
  mtime: 1_700_000_000,
  size: 3,
  rdevMajor: 0,
  rdevMinor: 0,
  name: Buffer.from('bin/x'),
  ...more,
});

function encode(one: CpioHeader): Buffer {
  const bytes = Buffer.alloc(headerLength(one.name.length), 0xaa);
  assert.equal(writeHeader(bytes, 0, one), bytes.length);
  return bytes;
}

function record(one: CpioHeader, data: string): Buffer {
  const body = Buffer.alloc((data.length + 3) & ~3);
  body.write(data, 'latin1');
  return Buffer.concat([encode({ ...one, size: data.length }), body]);
}

const names = (bytes: Buffer): string[] => recordsOf(bytes).map(({ name }) => name);

describe('newc records', () => {
  it('are written byte for byte as the format says', () => {
    assert.equal(
      encode(header()).toString('latin1'),
      '070701' +
        '12345678' +
        '000081ED' +
        '000003E8' +
        'FFFFFFFE' +
        '00000001' +
        '6553F100' +
        '00000003' +
        '00000000'.repeat(4) +
        '00000006' +
        '00000000' +
        'bin/x\0',
    );
  });

  it('pad name and header together to 4 bytes', () => {
    for (let length = 1; length < 9; length++) {
      const bytes = encode(header({ name: Buffer.alloc(length, 'n') }));
      assert.equal(bytes.length % 4, 0);
      assert.ok(bytes.length - 110 - length >= 1 && bytes.length - 110 - length <= 4);
      assert.ok(bytes.subarray(110 + length).every((byte) => byte === 0));
    }
  });

  it('end with a trailer on a multiple of 512', () => {
    for (const offset of [0, 4, 384, 388, 392, 512]) {
      const end = trailer(offset);
      assert.equal((offset + end.length) % 512, 0);
      assert.equal(end.toString('latin1', 110, 121), 'TRAILER!!!\0');
    }
  });

  for (const [field, change] of [
    ['size', { size: 2 ** 32 }],
    ['mtime', { mtime: -1 }],
    ['mtime', { mtime: 2 ** 32 }],
    ['uid', { uid: 2 ** 32 }],
    ['nlink', { nlink: 1.5 }],
    ['inode', { inode: Number.NaN }],
    ['rdev minor', { rdevMinor: 2 ** 33 }],
    ['name length', { name: Buffer.alloc(4096, 'n') }],
    ['name length', { name: Buffer.alloc(0) }],
    ['link length', { mode: 0o120777, size: 4097 }],
  ] as const)
    it(`refuse a ${field} of ${JSON.stringify(Object.values(change)[0]).slice(0, 20)}`, () => {
      assert.throws(
        () => encode(header(change)),
        (error: unknown) => error instanceof CpioFieldError && error.field === field,
      );
    });

  it('take the largest values that fit', () => {
    encode(header({ size: 0xffffffff, mtime: 0xffffffff, name: Buffer.alloc(4095, 'n') }));
    encode(header({ mode: 0o120777, size: 4096 }));
  });
});

describe('reading', () => {
  it('gives back what was written', () => {
    const one = header({ rdevMajor: 8, rdevMinor: 17, size: 3 });
    const bytes = Buffer.concat([record(one, 'abc'), trailer(0)]);
    const [read] = recordsOf(bytes);
    assert.ok(read);
    const { offset, dataOffset } = read;
    for (const [field, value] of Object.entries({
      ...one,
      name: 'bin/x',
      devMajor: 0,
      devMinor: 0,
    }))
      assert.equal(read[field as keyof ImageRecord], value, field);
    assert.equal(offset, 0);
    assert.equal(bytes.toString('latin1', dataOffset, dataOffset + 3), 'abc');
  });

  it('goes on behind an end record and padding, as the kernel does', () => {
    const first = record(header({ name: Buffer.from('one') }), 'x');
    const second = record(header({ name: Buffer.from('two') }), 'yy');
    const bytes = Buffer.concat([first, trailer(first.length), Buffer.alloc(8), second]);
    assert.deepEqual(names(bytes), ['one', 'two']);
  });

  it('takes a name that carries more than one NUL', () => {
    const padded = record(header({ name: Buffer.from('a\0\0\0\0') }), 'x');
    assert.deepEqual(names(padded), ['a']);
  });
});
