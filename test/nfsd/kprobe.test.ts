/** What the kprobe on fh_verify() proves, and what it must not be believed. Made-up records of 5.10. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import { signsHandles } from '../../src/capture/signed-exports.ts';
import type { NfsBatch } from '../../src/common/batches.ts';
import { interpret, kernelFormats, record, sockaddr4 } from './kernel-records.ts';

const [A, B] = ['10.0.0.7', '10.0.0.8'];
const START = 1_000_000;
/** Beyond the time in which calls may have been under way at the start. */
const LATER = START + 6_000_000;
const FILE = Buffer.from('01000601', 'hex');
const HASH = crc32(FILE);

function call(
  tid: number,
  atUs: number,
  client: string,
  xid: number,
  more: { service?: string; proc?: number } = {},
): Buffer {
  const { service = 'nfsd', proc = 6 } = more;
  const fields = { xid, vers: 3, proc, service, procedure: 'READ', addr: `${client}:702` };
  return record('svc_process', tid, atUs, fields, '5.10');
}

function check(tid: number, atUs: number, handle = FILE, size = handle.length): Buffer {
  const raw = Buffer.alloc(128, 0xee);
  handle.copy(raw);
  return record('fhv', tid, atUs, { fsz: size, raw, type: 0o100000, access: 4 }, '5.10');
}

const failure = (tid: number, atUs: number): Buffer =>
  record('fhv_ret', tid, atUs, { ret: 0x46000000 }, '5.10');

function run(...batches: Buffer[][]): NfsBatch[] {
  return interpret(
    batches.map((records) => Buffer.concat(records)),
    { formats: kernelFormats([], '5.10'), beganUs: START, plan: { probe: 'fhv' } },
  );
}

/** `client hash kind count` */
const rowsOf = (batch: NfsBatch | undefined): string[] =>
  (batch?.rows ?? []).map(
    ({ client, hash, kind, count }) =>
      `${client} ${hash === HASH ? 'file' : hash.toString(16)} ${kind} ${count}`,
  );
const lossesOf = (batch: NfsBatch | undefined): string[] =>
  (batch?.losses ?? []).map(({ where, count }) => `${where} ${count}`);

test('the handle is as long as the server says, up to 128 bytes', () => {
  const long = Buffer.alloc(128, 7);
  const [batch] = run([call(1, LATER, A, 5), check(1, LATER + 1), check(1, LATER + 2, long)]);
  assert.deepEqual(rowsOf(batch), [
    `${A} file verify 1`,
    `${A} ${crc32(long).toString(16)} verify 1`,
  ]);
  assert.deepEqual([batch?.rows[0]?.type, batch?.rows[0]?.access], [0o100000, 4]);
});

test('a longer one is counted, not cut; none at all is no check', () => {
  const [batch] = run([call(1, LATER, A, 5), check(1, LATER, FILE, 129), check(1, LATER, FILE, 0)]);
  assert.deepEqual(rowsOf(batch), []);
  assert.deepEqual(lossesOf(batch), ['trace-handle 1']);
});

test('a failure takes its check back, and only that', () => {
  const [batch] = run([
    ...[call(1, LATER, A, 5), check(1, LATER), check(1, LATER), failure(1, LATER)],
    // Another thread's, and one without a check before it.
    ...[call(2, LATER, B, 6), failure(2, LATER), failure(1, LATER)],
  ]);
  assert.deepEqual(rowsOf(batch), [`${A} file verify 1`]);
});

test('a failure after its check was drained is told', () => {
  const [first, second] = run([call(1, LATER, A, 5), check(1, LATER)], [failure(1, LATER + 1)]);
  assert.deepEqual(rowsOf(first), [`${A} file verify 1`]);
  assert.deepEqual(rowsOf(second), [`${A} file verify-error 1`]);
});

test('the thread’s call names the client, whichever service it is of', () => {
  const [batch] = run([
    ...[call(1, LATER, A, 5), check(1, LATER), call(1, LATER, B, 5, { service: 'nfsacl' })],
    ...[check(1, LATER), call(2, LATER, A, 9, { service: 'lockd', proc: 19 }), check(2, LATER)],
  ]);
  assert.deepEqual(rowsOf(batch), [`${A} file verify 2`, `${B} file verify 1`]);
  assert.deepEqual(batch?.markers, [], 'FSINFO is procedure 19 of NFS alone');
});

test('a mount’s FSINFO carries the hash of the handle', () => {
  const [batch] = run([call(1, LATER, A, 5, { proc: 19 }), check(1, LATER)]);
  assert.deepEqual(
    batch?.markers.map(({ kind, client, hash }) => [kind, client, hash]),
    [['fsinfo', A, HASH]],
  );
});

test('a check without a call is a loss, but for calls that were under way at the start', () => {
  const [early, late] = run([check(1, START + 10)], [check(1, LATER)]);
  assert.deepEqual([rowsOf(early), lossesOf(early)], [[], []]);
  assert.deepEqual([rowsOf(late), lossesOf(late)], [[' file verify 1'], ['trace-join 1']]);
});

test('the hash of a handle without a signature is beside its own, once', () => {
  const signed = Buffer.concat([FILE, Buffer.from('SIPHASH!')]);
  const [batch] = run([call(1, LATER, A, 5), check(1, LATER, signed), check(1, LATER, signed)]);
  assert.deepEqual(batch?.unsigned, new Map([[crc32(signed), HASH]]));
  assert.equal(batch.rows[0]?.hash, crc32(signed));
});

test('an export that signs is seen by its options', () => {
  const line = (options: string): string =>
    `#path domain(flags)\n/nfsroots/sarge\t*(${options},sec=1)\n# /other\t*(sign_fh)\n`;
  assert.equal(signsHandles(line('ro,sign_fh,no_subtree_check')), true);
  assert.equal(signsHandles(line('ro,no_subtree_check')), false);
});

test('names: a batch keeps so many, the rest is counted by client', () => {
  const lookup = (name: string, client = A): Buffer =>
    record(
      'nfsd_vfs_lookup',
      1,
      LATER,
      { client: sockaddr4(client), xid: 5, fh_hash: 77, name },
      '7.x',
    );
  const records = [
    ...['a', 'b', 'a', 'c', '.', '..', ''].map((name) => lookup(name)),
    ...['d', 'd', 'a'].map((name) => lookup(name, B)),
    // No name of a file: too long, or with a slash or a NUL in it.
    lookup('x'.repeat(256)),
    lookup('x/y'),
    lookup('x\0y'),
  ];
  const [batch] = interpret([Buffer.concat(records)], {
    formats: kernelFormats([], '7.x'),
    tableLimit: 3,
  });
  assert.deepEqual(
    batch?.lookups?.map(({ client, directory, name, count }) =>
      [client, directory, name.toString(), count].join(' '),
    ),
    [`${A} 77 a 2`, `${A} 77 b 1`, `${A} 77 c 1`],
  );
  assert.deepEqual(batch.lookupsDropped, [{ client: B, count: 3 }]);
});
