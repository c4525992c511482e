/** What trace-world tells, and what is made of it. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { RecordReader, SEEN } from '../../src/capture/local/records.ts';
import { UsedPaths } from '../../src/capture/local/used-paths.ts';
import { operationsOf } from '../../src/common/words.ts';

function bytesOf(kind: number, value: number, path: string | Buffer = ''): Buffer {
  const body = Buffer.from(path);
  const header = Buffer.alloc(12);
  [kind, value, body.length].forEach((number, at) => header.writeUInt32LE(number, at * 4));
  return Buffer.concat([header, body]);
}

describe('records', () => {
  const odd = Buffer.from([0x2f, 0xff, 0x0a, 0x00]);
  const stream = Buffer.concat([
    bytesOf(3, 0, '/proc'),
    bytesOf(4, 0, '/bin/sh'),
    bytesOf(1, 0xc0000100, odd),
    bytesOf(5, 2),
    bytesOf(6, 3),
    bytesOf(9, 4),
    bytesOf(7, 0x100),
  ]);
  const whole = [
    { kind: 'missing', path: Buffer.from('/proc') },
    { kind: 'ready', path: Buffer.from('/bin/sh') },
    { kind: 'access', mask: 0xc0000100, path: odd },
    { kind: 'lost', count: 2 },
    { kind: 'gone', count: 3 },
    { kind: 'dropped', count: 4 },
    { kind: 'end', status: 0x100 },
  ];

  test('are the same wherever the stream is cut', () => {
    for (let cut = 0; cut <= stream.length; cut++) {
      const reader = new RecordReader();
      const parts = [stream.subarray(0, cut), stream.subarray(cut)];
      assert.deepEqual(
        parts.flatMap((part) => reader.read(part)),
        whole,
      );
    }
  });

  test('that are none are refused, also before all of them has come', () => {
    for (const bytes of [
      bytesOf(10, 0),
      bytesOf(0, 0),
      bytesOf(1, 0, Buffer.alloc(9000)).subarray(0, 12),
    ])
      assert.throws(() => new RecordReader().read(bytes), { code: 'local-report' });
  });
});

describe('used paths', () => {
  const used = new UsedPaths();
  const note = (mask: number, path: string): void =>
    used.note({ mask, path: Buffer.from(path) }, 7);
  const rows = (atEnd = true): Record<string, string> =>
    Object.fromEntries(
      used
        .take({ atEnd })
        .map((row) => [
          row.path.toString(),
          `${operationsOf(row.operations).join(' ')}${row.created ? ' created' : ''}`,
        ]),
    );

  test('have their operations', () => {
    note(SEEN.open, '/opened');
    note(SEEN.open | SEEN.access, '/opened');
    note(SEEN.modify, '/written');
    note(SEEN.open | SEEN.access | SEEN.directory, '/listed');
    note(SEEN.open | SEEN.directory, '/entered');
    note(SEEN.attributes, '/changed');
    note(SEEN.create | SEEN.created, '/made');
    assert.deepEqual(rows(), {
      '/opened': 'read',
      '/written': 'write',
      '/listed': 'getattr readdir',
      '/entered': 'getattr',
      '/changed': 'setattr',
      '/made': 'create created',
    });
    assert.deepEqual(rows(), {});
  });

  test('are older than the run if anything older was used by that name', () => {
    note(SEEN.open, '/replaced');
    note(SEEN.movedTo | SEEN.created, '/replaced');
    assert.deepEqual(rows(), { '/replaced': 'read create' });
    note(SEEN.open | SEEN.created, '/replaced');
    assert.deepEqual(rows(), { '/replaced': 'read' });
  });

  test('that the run itself made wait for the end', () => {
    note(SEEN.create | SEEN.created, '/made');
    note(SEEN.open, '/read');
    assert.deepEqual(rows(false), { '/read': 'read' });
    note(SEEN.modify | SEEN.created, '/made');
    assert.deepEqual(rows(), { '/made': 'write create created' });
  });

  test('that went are in no row; those that the root had are counted', () => {
    note(SEEN.create | SEEN.created, '/temporary');
    note(SEEN.delete | SEEN.created, '/temporary');
    note(SEEN.open, '/old');
    note(SEEN.movedFrom, '/old');
    note(SEEN.delete, '/again');
    note(SEEN.create, '/again');
    assert.deepEqual(rows(), { '/again': 'create remove' });
    assert.equal(used.removed, 1);
  });
});
