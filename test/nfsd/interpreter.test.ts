/** What trace records mean, from recordings of real ones. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NfsBatch } from '../../src/common/batches.ts';
import {
  interpret,
  kernelFormats,
  record,
  recorded,
  sockaddr4,
  textTrace,
} from './kernel-records.ts';

const A = '10.0.0.7';
const B = '10.0.0.8';
const REG = 0o100000;

function verify(tid: number, atUs: number, client: string, xid: number, hash: number): Buffer {
  return record('nfsd_fh_verify', tid, atUs, {
    client: sockaddr4(client),
    xid,
    fh_hash: hash,
    type: REG,
    access: 4,
  });
}

function verifyError(tid: number, atUs: number, client: string, xid: number, hash: number): Buffer {
  return record('nfsd_fh_verify_err', tid, atUs, {
    client: sockaddr4(client),
    xid,
    fh_hash: hash,
    type: REG,
    access: 4,
    error: 13,
  });
}

function read(tid: number, atUs: number, xid: number, hash: number, offset = 0, len = 10): Buffer {
  return record('nfsd_read_io_done', tid, atUs, { xid, fh_hash: hash, offset, len });
}

function fsinfo(tid: number, atUs: number, xid: number): Buffer {
  return record('svc_process', tid, atUs, {
    xid,
    vers: 3,
    proc: 19,
    service: 'nfsd',
    procedure: 'FSINFO',
    addr: `${A}:702`,
  });
}

function one(records: readonly Buffer[], options = {}): NfsBatch {
  const [batch] = interpret([Buffer.concat(records)], options);
  assert.ok(batch);
  return batch;
}

function markersOf(batch: NfsBatch): string[] {
  return batch.markers.map(({ kind, client }) => (client === '' ? kind : `${kind} ${client}`));
}

test('a real recording gives what the text trace of another instance gives', () => {
  const batches = interpret([recorded('v3'), recorded('v4.2'), recorded('identity')]);
  const sums = new Map<string, [number, number]>();
  for (const row of batches.flatMap(({ rows }) => rows)) {
    const key = JSON.stringify([row.client, row.hash, row.kind, row.type, row.access]);
    const [count, bytes] = sums.get(key) ?? [0, 0];
    sums.set(key, [count + row.count, bytes + row.bytes]);
  }
  const expected = new Map(
    textTrace().map(([client, hash, kind, type, access, count, bytes]) => [
      JSON.stringify([client, hash, kind, type, access]),
      [count, bytes],
    ]),
  );
  assert.equal(expected.size, 105);
  assert.deepEqual(Object.fromEntries(sums), Object.fromEntries(expected));
  assert.deepEqual(
    batches.flatMap(({ losses }) => losses),
    [],
  );
});

test('an NFSv3 mount is two FSINFO of the root, before anything else of it is counted', () => {
  const [batch] = interpret([recorded('v3')]);
  assert.ok(batch);
  assert.deepEqual(markersOf(batch), [
    'fsinfo 10.9.1.11',
    'fsinfo 10.9.1.11',
    'fsinfo 10.9.2.11',
    'fsinfo 10.9.2.11',
    'fsinfo 10.9.1.11',
    'fsinfo 10.9.1.11',
  ]);
  assert.deepEqual(
    batch.markers.map(({ epoch }) => epoch),
    [1, 2, 3, 4, 5, 6],
  );
  assert.deepEqual([...new Set(batch.markers.map(({ hash }) => hash))], [0x9a5b740e]);
  assert.equal(Math.min(...batch.rows.map(({ epoch }) => epoch)), 1);
});

test('an NFSv4.2 mount, a second one of the same client, an unmount, a remount', () => {
  const [batch] = interpret([recorded('v4.2')]);
  assert.ok(batch);
  const mount = [
    'fresh 10.9.1.11',
    'fresh 10.9.1.11',
    'expire_unconf',
    'confirmed',
    'reclaim_complete',
  ];
  assert.deepEqual(markersOf(batch), [...mount, 'destroyed', ...mount, 'destroyed']);
  const [first, second, , confirmed] = batch.markers;
  assert.equal(first?.name?.toString(), 'Linux NFSv4.2 server');
  assert.match(first.verifier, /^[0-9a-f]{16}$/);
  assert.equal(second?.verifier, first.verifier);
  assert.deepEqual([confirmed?.clBoot, confirmed?.clId], [second.clBoot, second.clId]);
  assert.equal(batch.markers[6]?.verifier, first.verifier, 'a remount is not a boot');
});

test('a reboot, and a clone, change the verifier of a known client', () => {
  const [batch] = interpret([recorded('identity')]);
  assert.ok(batch);
  const changes = batch.markers.filter(({ kind }) => kind === 'verf_mismatch');
  assert.deepEqual(
    changes.map(({ client }) => client),
    ['10.9.1.11', '10.9.1.11', '10.9.2.11', '10.9.2.11', '10.9.1.11'],
  );
  for (const { verifier, oldVerifier } of changes) {
    assert.match(verifier, /^[0-9a-f]{16}$/);
    assert.match(oldVerifier, /^[0-9a-f]{16}$/);
    assert.notEqual(verifier, oldVerifier);
  }
  const at = batch.markers.findIndex(({ kind }) => kind === 'replaced');
  assert.equal(batch.markers[at]?.clId, changes[0]?.clId, 'the id that is replaced is the old one');
  assert.equal(batch.markers[at + 1]?.kind, 'confirmed');
  assert.ok(batch.rows.some(({ client }) => client === 'fd00::11'));
});

test('rows are counted by client, handle and operation; times, bytes, offsets, order', () => {
  const batch = one([
    verify(1, 100, A, 11, 0xaaaa),
    verify(2, 110, B, 11, 0xaaaa),
    read(1, 120, 11, 0xaaaa, 4096, 100),
    read(2, 130, 11, 0xaaaa, 0, 50),
    verify(1, 140, A, 12, 0xaaaa),
    read(1, 150, 12, 0xaaaa, 512, 1),
  ]);
  assert.deepEqual(
    batch.rows.map((row) => [
      row.client,
      row.kind,
      row.count,
      row.bytes,
      row.minOffset,
      row.firstUs,
      row.lastUs,
      row.order,
    ]),
    [
      [A, 'verify', 2, 0, 0, 100, 140, 1],
      [B, 'verify', 1, 0, 0, 110, 110, 2],
      [A, 'read', 2, 101, 512, 120, 150, 3],
      [B, 'read', 1, 50, 0, 130, 130, 4],
    ],
  );
  assert.equal(batch.untilUs, 150);
});

test('a check that fails is taken back; if it was drained before, a row says so', () => {
  const denied = one([verify(1, 10, A, 11, 0xaaaa), verifyError(1, 11, A, 11, 0xaaaa)]);
  assert.deepEqual(denied.rows, []);
  const once = one([
    verify(1, 10, A, 11, 0xaaaa),
    verify(1, 12, A, 12, 0xaaaa),
    verifyError(1, 13, A, 12, 0xaaaa),
  ]);
  assert.deepEqual(
    once.rows.map(({ kind, count }) => [kind, count]),
    [['verify', 1]],
  );
  const [, late] = interpret([verify(1, 10, A, 11, 0xaaaa), verifyError(1, 11, A, 11, 0xaaaa)]);
  assert.deepEqual(
    late?.rows.map(({ kind, client, hash, access }) => [kind, client, hash, access]),
    [['verify-error', A, 0xaaaa, 4]],
  );
  const stale = one([verifyError(1, 11, A, 11, 0xbbbb)]);
  assert.deepEqual(
    stale.rows.map(({ kind, client }) => [kind, client]),
    [['verify-error', A]],
  );
});

test('a read whose call was not seen has no client and is a loss', () => {
  const batch = one([
    verify(1, 10, A, 11, 0xaaaa),
    read(1, 11, 99, 0xaaaa),
    read(3, 20_000_000, 7, 0xaaaa),
  ]);
  assert.deepEqual(
    batch.rows.filter(({ kind }) => kind === 'read').map(({ client, count }) => [client, count]),
    [['', 2]],
  );
  assert.deepEqual(batch.losses, [{ where: 'trace-join', count: 2, fromUs: 11, toUs: 20_000_000 }]);
});

test('a call without an address, as over UDP, has no client and is a loss', () => {
  const fields = { client: Buffer.alloc(16), xid: 1, fh_hash: 5, type: REG, access: 4 };
  const batch = one([record('nfsd_fh_verify', 1, 10, fields), read(1, 11, 1, 5)]);
  assert.deepEqual(
    batch.rows.map(({ kind, client }) => [kind, client]),
    [
      ['verify', ''],
      ['read', ''],
    ],
  );
  assert.deepEqual(batch.losses, [{ where: 'trace-join', count: 2, fromUs: 10, toUs: 11 }]);
});

test('a call that had begun before the trace is neither counted nor lost', () => {
  const batch = one([read(1, 1_000_100, 11, 0xaaaa)], { beganUs: 1_000_000 });
  assert.deepEqual([batch.rows, batch.losses], [[], []]);
});

test('FSINFO marks only the check of its own call', () => {
  const batch = one([
    fsinfo(1, 10, 50),
    verify(2, 11, B, 50, 0xbbbb),
    verify(1, 12, A, 50, 0xaaaa),
    fsinfo(1, 13, 51),
    verify(1, 14, A, 52, 0xaaaa),
    verify(1, 15, A, 51, 0xaaaa),
    record('svc_process', 1, 16, { xid: 53, vers: 3, proc: 19, service: 'nfsacl' }),
    verify(1, 17, A, 53, 0xaaaa),
  ]);
  assert.deepEqual(
    batch.markers.map(({ epoch, client, hash, atUs }) => [epoch, client, hash, atUs]),
    [[1, A, 0xaaaa, 12]],
  );
  assert.deepEqual(
    batch.rows.map(({ epoch, client, count }) => [epoch, client, count]),
    [
      [0, B, 1],
      [1, A, 4],
    ],
  );
});

test('owner names are bytes, bounded, whatever a client sends', () => {
  const name = Buffer.concat([Buffer.from('a\n"\0\xff', 'latin1'), Buffer.alloc(2000, 'x')]);
  const batch = one([
    record('nfsd_clid_fresh', 1, 10, {
      cl_boot: 1,
      cl_id: 2,
      addr: sockaddr4(A),
      verifier: Buffer.from('0102030405060708', 'hex'),
      name,
    }),
  ]);
  assert.deepEqual(batch.markers[0]?.name, name.subarray(0, 1024));
  assert.equal(batch.markers[0].verifier, '0102030405060708');
});

test('tables are bounded and what does not fit is a loss', () => {
  const rows = one(
    [1, 2, 3, 4].map((n) => verify(1, n, A, n, n)),
    { tableLimit: 2 },
  );
  assert.equal(rows.rows.length, 2);
  assert.deepEqual(rows.losses, [{ where: 'trace-table', count: 2, fromUs: 3, toUs: 4 }]);

  const clients = one(
    Array.from({ length: 5000 }, (_, n) => verify(1, n, `10.1.${n >> 8}.${n & 255}`, n, 1)),
  );
  assert.equal(clients.rows.length, 4095, 'the empty client has a place too');
  assert.equal(clients.losses[0]?.count, 5000 - 4095);

  const confirmed = record('nfsd_clid_confirmed', 1, 5, { cl_boot: 1, cl_id: 1 });
  const markers = one([...Array<Buffer>(5000).fill(confirmed), verify(1, 6, A, 6, 6)]);
  assert.equal(markers.markers.length, 4096);
  assert.equal(markers.rows[0]?.epoch, 4096);
  assert.equal(markers.losses[0]?.count, 5000 - 4096);
});

test('records that are cut or unknown do no harm', () => {
  const whole = verify(1, 10, A, 11, 0xaaaa);
  for (let size = 0; size < whole.length - 16; size++) {
    const cut = Buffer.from(whole.subarray(0, 16 + size));
    cut.writeUInt32LE(size, 0);
    one([cut]);
  }
  const strange = Buffer.from(whole);
  strange.writeUInt16LE(9, 16);
  assert.deepEqual(one([strange]).rows, []);
});

test('tier reads: without nfsd_fh_verify each call’s client comes from svc_process', () => {
  const formats = kernelFormats(['nfsd_fh_verify', 'nfsd_fh_verify_err']);
  const [batch] = interpret([recorded('v3')], { formats });
  assert.ok(batch);
  const expected = interpret([recorded('v3')])[0]?.rows.filter(({ kind }) => kind === 'read');
  assert.deepEqual(
    batch.rows.map(({ client, hash, bytes }) => [client, hash, bytes]),
    expected?.map(({ client, hash, bytes }) => [client, hash, bytes]),
  );
  assert.equal(batch.rows.length, 3);
  assert.deepEqual(
    batch.markers.map(({ client, hash }) => [client, hash]),
    ['10.9.1.11', '10.9.1.11', '10.9.2.11', '10.9.2.11', '10.9.1.11', '10.9.1.11'].map((client) => [
      client,
      0,
    ]),
  );
});

test('without nfsd_read_io_done the start of a read stands for it, before its check', () => {
  const formats = kernelFormats(['nfsd_read_io_done']);
  for (const name of ['v3', 'v4.2'] as const) {
    const [batch] = interpret([recorded(name)], { formats });
    const [full] = interpret([recorded(name)]);
    const reads = (of: NfsBatch | undefined): unknown[] =>
      of?.rows
        .filter(({ kind }) => kind === 'read')
        .map(({ client, hash, count }) => [client, hash, count]) ?? [];
    assert.ok(reads(full).length >= 2);
    assert.deepEqual(reads(batch), reads(full));
    assert.deepEqual(batch?.losses, []);
    assert.deepEqual(batch.markers, full?.markers);
  }
});
