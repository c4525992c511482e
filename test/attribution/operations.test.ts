/** Which operation a checked call of the NFS server is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operationOf } from '../../src/attribution/operations.ts';
import type { Operation } from '../../src/common/words.ts';

const DIR = 0o040000;
const REG = 0o100000;
const LNK = 0o120000;

/** call, type, access bits, operation */
const CALLS: readonly (readonly [string, number, number, Operation])[] = [
  ['v3 GETATTR', 0, 0x100, 'getattr'],
  ['v3 ACCESS, v4 PUTFH', 0, 0, 'access'],
  ['v3 READLINK', LNK, 0, 'readlink'],
  ['LOOKUP', DIR, 0x1, 'lookup'],
  ['READDIR', DIR, 0x4, 'readdir'],
  ['READ check', REG, 0x4 | 0x40 | 0x800, 'read'],
  ['WRITE check', REG, 0x2 | 0x40, 'write'],
  ['CREATE, MKDIR', DIR, 0x1 | 0x2, 'create'],
  ['REMOVE, RMDIR', DIR, 0x1 | 0x2 | 0x10, 'remove'],
  ['SETATTR', 0, 0x8, 'setattr'],
  ['SETATTR with size', REG, 0x8 | 0x2 | 0x10, 'setattr'],
  ['v4 on a directory', DIR, 0, 'getattr'],
];

for (const [call, type, access, operation] of CALLS)
  test(`${call} is ${operation}`, () =>
    assert.equal(operationOf({ kind: 'verify', type, access }), operation));

test('moved bytes say it themselves', () => {
  assert.equal(operationOf({ kind: 'read', type: 0, access: 0 }), 'read');
  assert.equal(operationOf({ kind: 'write', type: 0, access: 0 }), 'write');
});
