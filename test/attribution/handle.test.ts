/** Worked examples were taken from real NFS servers (kernels 5.10 to 7.2). */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  decodeKernelEscapes,
  handleHash,
  knfsdHandle,
  parseExportTable,
} from '../../src/attribution/handle.ts';

const FSID_0 = { fsidType: 1, fsid: Buffer.alloc(4) };
const EXT4_FILE = { type: 1, bytes: Buffer.from('120000008f9c225a', 'hex') };

test('the root of an export has type 0 and no bytes', () => {
  assert.equal(knfsdHandle({ ...FSID_0, handle: null }).toString('hex'), '0100010000000000');
  assert.equal(handleHash({ ...FSID_0, handle: null }), 0x62d40c52);
});

test('a file on ext4', () => {
  assert.equal(
    knfsdHandle({ ...FSID_0, handle: EXT4_FILE }).toString('hex'),
    '0100010100000000120000008f9c225a',
  );
  assert.equal(handleHash({ ...FSID_0, handle: EXT4_FILE }), 0x51ebcd52);
});

test('what does not fit throws', () => {
  assert.throws(
    () => knfsdHandle({ fsidType: 6, fsid: Buffer.alloc(4), handle: null }),
    /16 bytes/,
  );
  assert.throws(
    () => knfsdHandle({ fsidType: 8, fsid: Buffer.alloc(4), handle: null }),
    /fsid type/,
  );
  assert.throws(
    () => knfsdHandle({ ...FSID_0, handle: { type: 256, bytes: Buffer.alloc(4) } }),
    /file-id type 256/,
  );
});

test('the export table gives the fsid as it stands in the handle', () => {
  const table = [
    '#domain fsidtype fsid [path]',
    '* 1 0x00000000 /nfsroots',
    '10.9.0.0/24 6 0xe3aa47cfc14f91f0a1b2c3d401020304 /nfsroots/sar\\040ge',
    '* 7 0x0000000200000000e3aa47cfc14f91f0a1b2c3d401020304 /nfsroots/sub',
    '',
  ].join('\n');
  const keys = parseExportTable(table, { littleEndian: true });
  assert.deepEqual(
    keys.map(({ domain, fsidType, fsid, path }) => [
      domain,
      fsidType,
      fsid.toString('hex'),
      path.toString(),
    ]),
    [
      ['*', 1, '00000000', '/nfsroots'],
      ['10.9.0.0/24', 6, 'cf47aae3f0914fc1d4c3b2a104030201', '/nfsroots/sar ge'],
      ['*', 7, '0200000000000000cf47aae3f0914fc1d4c3b2a104030201', '/nfsroots/sub'],
    ],
  );
});

test('every kind of fsid that a kernel can make', () => {
  // mk_fsid() in fs/nfsd/nfsfh.h: device 8:1, inode 2, a UUID of 00 01 02 ..., its folds; fsid=77.
  const kinds: readonly (readonly [number, string, string])[] = [
    [0, '0100080000000002', '0008000102000000'],
    [1, '0000004d', '4d000000'],
    [2, '080000000100000000000002', '000000080000000102000000'],
    [3, '0000080100000002', '0108000002000000'],
    [4, '0000000200000000', '0200000000000000'],
    [5, '0808080808080808', '0808080808080808'],
    [6, '03020100070605040b0a09080f0e0d0c', '000102030405060708090a0b0c0d0e0f'],
    [
      7,
      '000000020000000003020100070605040b0a09080f0e0d0c',
      '0200000000000000000102030405060708090a0b0c0d0e0f',
    ],
  ];
  for (const [type, printed, bytes] of kinds) {
    const [key] = parseExportTable(`* ${type} 0x${printed} /x\n`, { littleEndian: true });
    assert.equal(key?.fsid.toString('hex'), bytes, `type ${type}`);
    const handle = knfsdHandle({ fsidType: type, fsid: key.fsid, handle: null });
    assert.equal(handle.toString('hex'), `01000${type}00${bytes}`);
  }
});

test('a big-endian machine prints the fsid as it is', () => {
  const [key] = parseExportTable('* 1 0x0000002a /x\n', { littleEndian: false });
  assert.equal(key?.fsid.toString('hex'), '0000002a');
});

test('negative, pending and damaged entries are skipped', () => {
  const table = [
    '# * 6 0xe3aa47cfc14f91f0a1b2c3d401020304',
    '* 6 0xe3aa47cfc14f91f0a1b2c3d401020304',
    '* 6 0xe3aa47cf /short',
    '* 9 0x00000000 /unknown-type',
    '* 1 0x0000000g /no-hex',
    '*',
  ].join('\n');
  assert.deepEqual(parseExportTable(table), []);
});

test("paths are bytes, the kernel's escapes undone", () => {
  const line = Buffer.concat([
    Buffer.from('* 1 0x00000001 /a\\011b\\134c\\012d'),
    Buffer.from([0xff, 0x0a]),
  ]);
  const [key] = parseExportTable(line);
  assert.deepEqual(key?.path, Buffer.from('/a\tb\\c\nd\xff', 'latin1'));
  assert.deepEqual(decodeKernelEscapes(Buffer.from('\\37\\0418')), Buffer.from('\\37!8'));
});
