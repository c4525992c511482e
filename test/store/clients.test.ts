/** What the store keeps of clients beside their sessions, and what a step of the clock does. */
import assert from 'node:assert/strict';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import type { PendingBoot } from '../../src/common/boots.ts';
import { access, file, opened, openFor, recorded, T0 } from './fixtures.ts';

const [A, B] = ['10.0.0.7', '10.0.0.8'];

test('labels: of a client seen or not, one for each, and away again', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  store.ingest({ atUs: T0, opened: [opened(recording, { id: 1, client: A })] });
  assert.deepEqual(store.setLabel(A, 'rack1-07'), { takenBy: null });
  assert.deepEqual(store.setLabel(A, 'rack1-07'), { takenBy: null });
  assert.deepEqual(store.setLabel(B, 'rack1-07'), { takenBy: A });
  assert.deepEqual(store.setLabel(B, 'rack1-08'), { takenBy: null });
  assert.equal(store.labels(), 2);
  assert.deepEqual(store.called(A), { label: 'rack1-07', name: null });
  assert.deepEqual(
    store
      .clients()
      .map(({ address, label, sessions, open, lastSession }) => [
        address,
        label,
        sessions,
        open,
        lastSession,
      ]),
    [
      [A, 'rack1-07', 1, 1, 1],
      [B, 'rack1-08', 0, 0, null],
    ],
  );
  assert.equal(store.session(1)?.clientLabel, 'rack1-07');
  assert.equal(store.sessions({ client: 'rack1-07' }).length, 1);
  assert.equal(store.sessions({ client: A }).length, 1);
  assert.equal(store.sessions({ client: 'rack1-08' }).length, 0);
  store.setLabel(A, null);
  store.setLabel(B, null);
  assert.deepEqual(
    store.clients().map(({ address, label }) => [address, label]),
    [[A, null]],
    'who has neither a session nor a label is gone',
  );
});

test('names come with a batch, for clients that have a session', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  store.ingest({
    atUs: T0,
    opened: [opened(recording, { id: 1, client: A })],
  });
  store.ingest({
    atUs: T0 + 1,
    clientNames: [
      { address: A, name: 'node7.example.net' },
      { address: B, name: 'nobody' },
    ],
  });
  assert.equal(store.session(1)?.clientName, 'node7.example.net');
  assert.equal(store.clients().length, 1);
});

test('notes: one of each kind, with the highest count', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  const note = { sessionId: 1, kind: 'shared-address' as const, atUs: T0, detail: 'two' };
  store.ingest({
    atUs: T0,
    opened: [opened(recording, { id: 1 })],
    notes: [{ ...note, count: 2 }],
  });
  store.ingest({ atUs: T0 + 1, notes: [{ ...note, atUs: T0 + 1, count: 3, detail: 'three' }] });
  store.ingest({ atUs: T0 + 2, notes: [{ ...note, kind: 'boots-merged', count: 1 }] });
  assert.deepEqual(store.session(1)?.notes, [
    { kind: 'boots-merged', atUs: T0, count: 1, detail: 'two' },
    { kind: 'shared-address', atUs: T0, count: 3, detail: 'three' },
  ]);
});

test('identities are forgotten with the one who forgot them, and read oldest first', (t) => {
  const { store } = recorded(t);
  const identity = (name: string, verifier: string) => ({
    address: A,
    ownerName: Buffer.from(name),
    verifier,
  });
  store.ingest({ atUs: T0, identities: [identity('a', '1'), identity('b', '2')] });
  store.ingest({ atUs: T0 + 1, identities: [identity('a', '3')] });
  store.ingest({
    atUs: T0 + 2,
    identities: [identity('c', '4')],
    forgotten: [identity('b', '2')],
  });
  assert.deepEqual(
    store.identities().map(({ verifier }) => verifier),
    ['3', '4'],
  );
});

test('evidence that waits is what a client has now', (t) => {
  const { store, path, rootId } = recorded(t);
  const boot = (client: string, fields: Partial<PendingBoot> = {}): PendingBoot => ({
    client,
    rootId: null,
    evidence: { kind: 'nfs4-verifier', detail: { verifier: '01' } },
    partial: false,
    atUs: T0,
    spent: [rootId],
    ...fields,
  });
  const mount = boot(A, { rootId, evidence: { kind: 'nfs3-mount' }, partial: true, spent: [] });
  store.ingest({
    atUs: T0,
    pending: [
      { client: A, boots: [boot(A)] },
      { client: B, boots: [boot(B)] },
    ],
  });
  store.ingest({
    atUs: T0,
    pending: [
      { client: A, boots: [boot(A), mount] },
      { client: B, boots: [] },
    ],
  });
  const other = openFor(t, path, true);
  assert.deepEqual(other.pendingBoots(), [boot(A), mount]);
});

test('evidence that no recorder writes is refused', (t) => {
  const { store, path } = recorded(t);
  const insert = (evidence: string, spent: string): void => {
    const db = new DatabaseSync(path);
    db.exec('DELETE FROM pending_boot');
    db.prepare(
      'INSERT INTO pending_boot (client, evidence, partial, at_us, spent) VALUES (?, ?, 0, 0, ?)',
    ).run(A, evidence, spent);
    db.close();
  };
  insert('magic', '[]');
  assert.throws(() => store.pendingBoots(), { code: 'database-damaged' });
  insert('manual', '["x"]');
  assert.throws(() => store.pendingBoots(), { code: 'database-damaged' });
});

test("a loss of clients without a session is the recording's alone", (t) => {
  const recording = recorded(t);
  const { store, recordingId } = recording;
  const loss = { recordingId, sessionId: null, where: 'session-limit', count: 9 };
  store.ingest({
    atUs: T0,
    opened: [opened(recording, { id: 1 })],
    losses: [{ ...loss, fromUs: T0, toUs: T0 + 10_000, alone: true }],
  });
  store.ingest({ atUs: T0 + 1, opened: [opened(recording, { id: 2, openedUs: T0 + 1 })] });
  assert.deepEqual(
    store.sessions().map((session) => session.loss),
    [0, 0],
  );
  assert.equal(store.losses()[0]?.count, 9);
});

test('a step of the clock moves what is open, and leaves what has ended', (t) => {
  const recording = recorded(t);
  const { store, recordingId } = recording;
  const HOUR = 3_600_000_000;
  const [open, ended] = [opened(recording, { id: 1 }), opened(recording, { id: 2 })];
  store.ingest({
    atUs: T0,
    clock: { bootId: 'b', offsetUs: 5 },
    opened: [open, ended],
    files: [file(1, 'a')],
    accesses: [access(1, 1), access(2, 1)],
    closed: [{ id: 2, reason: 'boot', atUs: T0 + 10 }],
    losses: [
      { recordingId, sessionId: 1, where: 'trace-ring', count: 1, fromUs: T0, toUs: T0 + 5 },
      { recordingId, sessionId: 2, where: 'trace-ring', count: 1, fromUs: T0, toUs: T0 + 5 },
    ],
  });
  store.addMark({ text: 'here', atUs: T0 + 3, sessionIds: [1, 2] });
  const before = [store.session(2), store.files(2), store.losses({ sessionId: 2 })];
  const clock = { bootId: 'b', offsetUs: 5 - HOUR };
  store.ingest({ atUs: T0 - HOUR + 20, shiftUs: -HOUR, clock });

  const moved = store.session(1);
  assert.deepEqual(
    [moved?.openedUs, moved?.lastUs, moved?.marks[0]?.atUs],
    [T0 - HOUR, T0 + 1 - HOUR, T0 + 3 - HOUR],
  );
  assert.equal(store.files(1)[0]?.firstUs, T0 + 1 - HOUR);
  assert.equal(store.losses({ sessionId: 1 })[0]?.fromUs, T0 - HOUR);
  assert.deepEqual([store.session(2), store.files(2), store.losses({ sessionId: 2 })], before);
  assert.equal(store.activeRecordings()[0]?.startedUs, T0 - HOUR);
  assert.deepEqual(store.clock(), clock);

  // What is lost after the step is the open session's, although the ended one seems to last longer.
  for (let n = 0; n < 301; n += 1) store.ingest({ atUs: T0 - HOUR + 30 });
  store.ingest({
    atUs: T0 - HOUR + 40,
    losses: [
      {
        recordingId,
        sessionId: null,
        where: 'trace-ring',
        count: 7,
        fromUs: T0 - HOUR + 30,
        toUs: T0 + 100,
      },
    ],
  });
  assert.deepEqual(
    store.sessions().map(({ loss }) => loss),
    [8, 1],
  );
});
