/** Whose loss a loss is. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LossUpdate } from '../../src/store/store.ts';
import { opened, recorded, T0 } from './fixtures.ts';

function loss(fields: Partial<LossUpdate>): LossUpdate {
  return {
    recordingId: 1,
    sessionId: null,
    where: 'trace-ring',
    count: 3,
    fromUs: T0 + 100,
    toUs: T0 + 200,
    ...fields,
  };
}

test("a recording's loss is that of every session open meanwhile", (t) => {
  const recording = recorded(t);
  const { store } = recording;
  store.ingest({
    atUs: T0,
    opened: [
      opened(recording, { id: 1, openedUs: T0 }),
      opened(recording, { id: 2, openedUs: T0 + 150 }),
      opened(recording, { id: 3, openedUs: T0 + 201 }),
      opened(recording, { id: 4, openedUs: T0 }),
    ],
    closed: [
      { id: 1, reason: 'boot', atUs: T0 + 99 },
      { id: 4, reason: 'boot', atUs: T0 + 100 },
    ],
    losses: [loss({ detail: 'cpu 1' })],
  });
  assert.deepEqual(
    store.sessions().map((session) => session.loss),
    [0, 3, 0, 3],
  );
  assert.deepEqual(store.losses({ sessionId: 2 }), [
    {
      id: 2,
      recordingId: 1,
      sessionId: 2,
      where: 'trace-ring',
      count: 3,
      fromUs: T0 + 100,
      toUs: T0 + 200,
      detail: 'cpu 1',
    },
  ]);
  assert.equal(store.losses().length, 1);
});

test('a session that is reported after the loss, but was open, has it too', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  store.ingest({ atUs: T0, losses: [loss({})] });
  store.ingest({
    atUs: T0,
    opened: [
      opened(recording, { id: 1, openedUs: T0 + 150 }),
      opened(recording, { id: 2, openedUs: T0 + 250 }),
    ],
  });
  assert.deepEqual(
    store.sessions().map((session) => session.loss),
    [3, 0],
  );
});

test("a session's own loss is only its own", (t) => {
  const recording = recorded(t);
  const { store } = recording;
  store.ingest({
    atUs: T0,
    opened: [opened(recording, { id: 1 }), opened(recording, { id: 2, client: '10.0.0.8' })],
    losses: [loss({ sessionId: 1 }), loss({ sessionId: 1, count: 4 })],
  });
  assert.deepEqual(
    store.sessions().map((session) => session.loss),
    [7, 0],
  );
});

test('a loss of everything is every running recording', (t) => {
  const recording = recorded(t);
  const { store, rootId } = recording;
  const start = { rootId, label: null, clients: [], tier: 'exact', atUs: T0 } as const;
  const second = store.startRecording(start);
  const over = store.startRecording(start);
  store.stopRecording(over, T0 + 50);
  store.ingest({
    atUs: T0,
    opened: [
      opened(recording, { id: 1 }),
      opened({ ...recording, recordingId: second }, { id: 2 }),
    ],
    losses: [loss({ recordingId: null, where: 'restart', count: 1 })],
  });
  assert.deepEqual(
    store.losses().map(({ recordingId, where }) => [recordingId, where]),
    [
      [1, 'restart'],
      [2, 'restart'],
    ],
  );
  assert.deepEqual(
    store.sessions().map((session) => session.loss),
    [1, 1],
  );
});

test("what the sensors lose is no session's that is given", (t) => {
  const recording = recorded(t);
  const { store, rootId } = recording;
  const given = { label: null, clients: [], tier: 'import', atUs: T0 } as const;
  const recordingId = store.startRecording({ ...given, rootId });
  store.ingest({
    atUs: T0,
    opened: [
      opened(recording, { id: 1, openedUs: T0 }),
      opened({ ...recording, recordingId }, { id: 2, openedUs: T0, client: 'import' }),
    ],
    losses: [loss({ recordingId: null })],
  });
  assert.deepEqual(
    store.sessions().map((session) => session.loss),
    [3, 0],
  );
});
