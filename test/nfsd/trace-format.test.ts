/** Tracepoint format files, and the addresses in records. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { nfsdAddon } from '../../src/capture/nfsd-binding.ts';
import { findTracefs } from '../../src/capture/nfsd-probe.ts';
import { lacks } from '../capabilities.ts';
import { kernelFormats, sockaddr4, sockaddr6 } from './kernel-records.ts';

const { parseTraceFormat, clientAddress } = nfsdAddon;

test('a format file gives id, offsets, sizes and where a field lies', () => {
  const format = parseTraceFormat(kernelFormats()['nfsd_fh_verify'] ?? '');
  assert.equal(format.event, 'nfsd_fh_verify');
  assert.equal(format.id, 1941);
  assert.deepEqual(
    format.fields.map(({ name, offset, size, signed, place }) => [
      name,
      offset,
      size,
      signed,
      place,
    ]),
    [
      ['common_type', 0, 2, false, 'inline'],
      ['common_flags', 2, 1, false, 'inline'],
      ['common_preempt_count', 3, 1, false, 'inline'],
      ['common_pid', 4, 4, true, 'inline'],
      ['netns_ino', 8, 4, false, 'inline'],
      ['server', 12, 4, false, 'data_loc'],
      ['client', 16, 4, false, 'data_loc'],
      ['xid', 20, 4, false, 'inline'],
      ['fh_hash', 24, 4, false, 'inline'],
      ['inode', 32, 8, false, 'inline'],
      ['type', 40, 8, false, 'inline'],
      ['access', 48, 8, false, 'inline'],
    ],
  );
});

test('arrays, pointers and relative locations have names too', () => {
  const fresh = parseTraceFormat(kernelFormats()['nfsd_clid_fresh'] ?? '');
  assert.deepEqual(
    fresh.fields.slice(6).map(({ name, size }) => [name, size]),
    [
      ['addr', 28],
      ['flavor', 8],
      ['verifier', 8],
      ['name', 4],
    ],
  );
  const relative = parseTraceFormat(
    'name: x\nID: 7\nformat:\n\tfield:__rel_loc u8[] data;\toffset:8;\tsize:4;\tsigned:0;\n',
  );
  assert.deepEqual(relative.fields, [
    { name: 'data', offset: 8, size: 4, signed: false, place: 'rel_loc' },
  ]);
});

test('what is not a format file is refused with the line that did not fit', () => {
  const bad: [string, RegExp][] = [
    ['', /no name/],
    ['name: x\n', /no ID/],
    ['name: x\nID: many\n', /ID: many/],
    ['name: x\nID: 3\n', /no fields/],
    ['name: x\nID: 3\n\tfield:int a;\tsize:4;\n', /field:int a/],
    ['name: x\nID: 3\n\tfield:int a;\toffset:0x8;\tsize:4;\n', /offset:0x8/],
  ];
  for (const [text, message] of bad) assert.throws(() => parseTraceFormat(text), message);
});

test(
  'every format file of this kernel that can be read is understood',
  { skip: lacks('perf') },
  () => {
    const tracefs = findTracefs() ?? '';
    for (const event of ['sched/sched_switch', 'sched/sched_process_exec', 'task/task_newtask']) {
      const text: string = readFileSync(`${tracefs}/events/${event}/format`, 'utf8');
      const format = parseTraceFormat(text);
      assert.equal(format.event, event.split('/')[1]);
      assert.equal(format.fields.length, [...text.matchAll(/field:/g)].length);
    }
  },
);

test('addresses are normalised', () => {
  const cases: [Buffer | string, string][] = [
    [sockaddr4('10.0.0.7'), '10.0.0.7'],
    [sockaddr6('00000000000000000000ffff0a000007'), '10.0.0.7'],
    [sockaddr6('20010db8000000000000000000000007'), '2001:db8::7'],
    [sockaddr6('20010db8000000000000000000000007', 3), '2001:db8::7'],
    [sockaddr6('fe800000000000000000000000000007', 3), 'fe80::7%3'],
    [sockaddr6('fe800000000000000000000000000007'), 'fe80::7'],
    [Buffer.from([1, 0, 65, 66]), ''],
    [Buffer.from([2, 0, 1]), ''],
    [Buffer.alloc(0), ''],
    ['10.9.1.11:838', '10.9.1.11'],
    ['[2001:db8::7]:838', '2001:db8::7'],
    ['[::ffff:10.0.0.7]:838', '10.0.0.7'],
    ['uninitialized', ''],
    ['[fe80::1', ''],
    ['', ''],
  ];
  for (const [given, text] of cases) assert.equal(clientAddress(given), text);
});
