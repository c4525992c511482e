/** What a batch makes of the database. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operationBit } from '../../src/common/words.ts';
import type { Store } from '../../src/store/store.ts';
import { access, file, listOf, opened, openFor, READ, recorded, T0 } from './fixtures.ts';

test('an access row unites bits and evidence, sums counts and widens times', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  store.ingest({
    atUs: T0,
    opened: [opened(recording, { id: 1 })],
    files: [file(1, 'bin/sh')],
    accesses: [access(1, 1, { firstUs: T0 + 50, lastUs: T0 + 60, order: 9 })],
  });
  const lookup = operationBit('lookup');
  store.ingest({
    atUs: T0 + 1,
    accesses: [
      access(1, 1, { operations: lookup, firstUs: T0 + 10, lastUs: T0 + 20, order: 4, bytes: 7 }),
      access(1, 1, { firstUs: T0 + 70, lastUs: T0 + 90, evidence: 'fanotify', created: true }),
    ],
  });
  const [row] = store.files(1);
  assert.ok(row);
  const { operations, count, bytes, firstUs, lastUs, order, evidence, created } = row;
  assert.deepEqual(
    { operations, count, bytes, firstUs, lastUs, order, evidence, created },
    {
      operations: READ | lookup,
      count: 3,
      bytes: 207,
      firstUs: T0 + 10,
      lastUs: T0 + 90,
      order: 1,
      evidence: ['nfsd', 'fanotify'],
      created: true,
    },
  );
});

test('a session row has its counts, its times and where it came from', (t) => {
  const recording = recorded(t);
  const { store, rootId, recordingId } = recording;
  const evidence = {
    kind: 'nfs4-verifier',
    detail: { verifier: '02', previousVerifier: '01' },
  } as const;
  store.ingest({
    atUs: T0,
    opened: [opened(recording, { id: 1, evidence, partial: true })],
    files: [file(1, 'a'), file(2, 'b')],
    accesses: [access(1, 1, { count: 5 }), access(1, 2, { lastUs: T0 + 99 })],
  });
  store.addMark({ text: 'boot done', atUs: T0 + 100 });
  assert.deepEqual(store.session(1), {
    id: 1,
    rootId,
    root: Buffer.from('/nfsroots/sarge'),
    recordingId,
    label: 'first try',
    client: '10.0.0.7',
    tier: 'exact',
    evidence,
    partial: true,
    openedUs: T0,
    lastUs: T0 + 99,
    closedUs: null,
    closeReason: null,
    files: 2,
    accesses: 6,
    bytes: 200,
    loss: 0,
    marks: [{ id: 1, sessionId: 1, atUs: T0 + 100, text: 'boot done' }],
    notes: [],
    clientLabel: null,
    clientName: null,
  });
  store.ingest({ atUs: T0 + 1, closed: [{ id: 1, reason: 'boot', atUs: T0 + 200 }] });
  assert.equal(store.session(1)?.closedUs, T0 + 200);
  assert.equal(store.session(1)?.closeReason, 'boot');
  assert.deepEqual(store.addMark({ text: 'nobody', atUs: T0 + 300 }), []);
  assert.equal(store.session(7), undefined);
});

test('sessions are found by root, client and time', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  const rootId = store.ensureRoot(Buffer.from('/nfsroots/woody'));
  assert.equal(store.ensureRoot(Buffer.from('/nfsroots/woody')), rootId);
  const recordingId = store.startRecording({
    rootId,
    label: null,
    clients: [],
    tier: 'reads',
    atUs: T0,
  });
  store.ingest({
    atUs: T0,
    opened: [
      opened(recording, { id: 1 }),
      opened(recording, { id: 2, client: '2001:db8::7', openedUs: T0 + 1_000 }),
      opened({ ...recording, rootId, recordingId }, { id: 3, tier: 'sole-client' }),
    ],
  });
  const ids = (filter: Parameters<Store['sessions']>[0]) => store.sessions(filter).map((s) => s.id);
  assert.deepEqual(ids({}), [1, 2, 3]);
  assert.deepEqual(ids({ rootId }), [3]);
  assert.deepEqual(ids({ client: '10.0.0.7' }), [1, 3]);
  assert.deepEqual(ids({ sinceUs: T0 + 1 }), [2]);
  assert.deepEqual(
    store.sessions().map(({ tier }) => tier),
    ['exact', 'exact', 'sole-client'],
  );
});

test('a session that is not of a known recording is refused, the whole batch with it', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  const batch = {
    atUs: T0,
    opened: [opened(recording, { id: 1 }), opened(recording, { id: 2, recordingId: 99 })],
  };
  assert.throws(() => store.ingest(batch), /recording 99/);
  assert.throws(() => store.ingest({ atUs: T0, accesses: [access(1, 1)] }));
  assert.deepEqual(store.sessions(), []);
  assert.deepEqual(store.nextIds(), { session: 1, file: 1 });
});

test('a restart finds open sessions, identities, recordings, files and free numbers', (t) => {
  const recording = recorded(t);
  const { path, rootId, recordingId } = recording;
  const session = opened(recording, { id: 41 });
  const identity = { address: '10.0.0.7', ownerName: Buffer.from([0xff, 0x0a]), verifier: '01' };
  recording.store.ingest({
    atUs: T0 + 5,
    opened: [session, opened(recording, { id: 40 })],
    closed: [{ id: 40, reason: 'boot', atUs: T0 }],
    identities: [{ ...identity, verifier: '00' }, identity],
    files: [file(7, 'b', 'a'), file(9), { ...file(8, 'import'), handle: null }],
  });
  recording.store.ingest({
    atUs: T0 + 9,
    names: [{ fileId: 7, path: Buffer.from('b'), change: 'removed' }],
    accesses: [access(41, 7, { lastUs: T0 + 70 })],
    revised: [{ ...session, evidence: { kind: 'init-read' }, partial: true }],
  });
  recording.store.close();
  const store = openFor(t, path);
  assert.deepEqual(store.openSessions(), [
    { ...session, evidence: { kind: 'init-read' }, partial: true, lastUs: T0 + 70 },
  ]);
  assert.deepEqual(store.identities(), [identity]);
  assert.deepEqual(
    store.activeRecordings().map(({ id, clients, lastUs }) => ({ id, clients, lastUs })),
    [{ id: recordingId, clients: ['10.0.0.0/24'], lastUs: T0 + 70 }],
  );
  assert.deepEqual(store.nextIds(), { session: 42, file: 10 });
  assert.equal(store.lastIngestUs(), T0 + 9);
  assert.deepEqual(
    [...store.knownFiles(rootId)].map(({ id, handle, names }) => [
      id,
      handle.bytes[0],
      names.map(String),
    ]),
    [
      [7, 7, ['a']],
      [9, 9, []],
    ],
  );
  store.stopRecording(recordingId, T0 + 100);
  assert.deepEqual(store.activeRecordings(), []);
});

test('numbers of all sizes come back as they were', (t) => {
  const recording = recorded(t);
  const odd = {
    ...file(1, Buffer.from([0x66, 0xff, 0x0a, 0x22])),
    inode: 2n ** 64n - 1n,
    mtimeNs: -1n,
    size: 2 ** 50,
    generation: 2 ** 32 - 1,
    mode: 0o104755,
    ctimeNs: 2n ** 63n - 1n,
    target: Buffer.from([0xff, 0x0a]),
  };
  recording.store.ingest({
    atUs: T0,
    opened: [opened(recording, { id: 1 })],
    files: [odd, { ...file(2, 'plain'), ctimeNs: null }],
    accesses: [access(1, 1), access(1, 2)],
  });
  const [row, plain] = recording.store.files(1);
  assert.ok(row);
  assert.equal(row.ctimeNs, odd.ctimeNs);
  assert.deepEqual(row.target, odd.target);
  assert.deepEqual([plain?.ctimeNs, plain?.target], [null, null]);
  assert.equal(row.inode, 2n ** 64n - 1n);
  assert.equal(row.mtimeNs, -1n);
  assert.equal(row.size, 2 ** 50);
  assert.equal(row.type, 0o100000);
  assert.deepEqual(row.names, odd.names);
  assert.deepEqual(listOf(recording.store, 1), ['f\xff\n"', 'plain']);
});

test('files come in bytewise order, only those of the operations asked for', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  const lookup = operationBit('lookup');
  store.ingest({
    atUs: T0,
    opened: [opened(recording, { id: 1 })],
    files: [file(1, Buffer.from([0xff])), file(2, 'Z', 'a'), file(3), file(4, ''), file(5, 'b')],
    accesses: [1, 2, 3, 4, 5].map((id) =>
      access(1, id, { operations: id === 5 ? lookup : READ | lookup }),
    ),
  });
  assert.deepEqual(
    store.files(1).map(({ fileId }) => fileId),
    [4, 2, 5, 1, 3],
  );
  assert.deepEqual(
    store.files(1, { operations: READ }).map(({ fileId }) => fileId),
    [4, 2, 1, 3],
  );
  assert.deepEqual(listOf(store, 1), ['Z', 'a', 'b', '\xff']);
});

test('a file that the store knows keeps its number and first metadata under a second one', (t) => {
  const recording = recorded(t);
  const { store, rootId } = recording;
  store.ingest({ atUs: T0, opened: [opened(recording, { id: 1 })], files: [file(1, 'a')] });
  const back = { ...file(1, 'b'), id: 7, size: 999 };
  store.ingest({ atUs: T0, files: [back], accesses: [access(1, 7), access(1, 1)] });
  store.ingest({
    atUs: T0,
    names: [{ fileId: 7, path: Buffer.from('a'), change: 'removed' }],
    accesses: [access(1, 7)],
  });
  const [row, ...more] = store.files(1);
  assert.deepEqual(more, []);
  assert.deepEqual([row?.fileId, row?.count, row?.size], [1, 3, 10]);
  assert.deepEqual(
    [...store.knownFiles(rootId)].map(({ id, names }) => [id, names.map(String)]),
    [[1, ['b']]],
  );
  assert.equal(store.nextIds().file, 8);
});

test('a snapshot sees one moment', (t) => {
  const recording = recorded(t);
  const { store, path } = recording;
  const reader = openFor(t, path, true);
  reader.snapshot(() => {
    assert.equal(reader.sessions().length, 0);
    store.ingest({
      atUs: T0,
      opened: [opened(recording, { id: 1 })],
      files: [file(1, 'a')],
      accesses: [access(1, 1)],
    });
    assert.equal(reader.sessions().length, 0);
    assert.deepEqual(reader.files(1), []);
  });
  assert.equal(reader.files(1).length, 1);
});
