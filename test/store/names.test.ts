/** Which names a session has, and that nothing later changes the list of a closed one. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NameChange } from '../../src/store/store.ts';
import { access, file, listOf, opened, recorded, T0, type Recorded } from './fixtures.ts';

const added = (fileId: number, path: string): NameChange => ({
  fileId,
  path: Buffer.from(path),
  change: 'added',
});
const removed = (fileId: number, path: string): NameChange => ({
  ...added(fileId, path),
  change: 'removed',
});

/** Session 1 read file 1, which is `old`. */
function started(recording: Recorded): void {
  recording.store.ingest({
    atUs: T0,
    opened: [opened(recording, { id: 1 })],
    files: [file(1, 'old')],
    accesses: [access(1, 1)],
  });
}

test('every name that held while the session ran', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  started(recording);
  store.ingest({ atUs: T0, names: [removed(1, 'old'), added(1, 'new')] });
  store.ingest({ atUs: T0, names: [added(1, 'link')] });
  assert.deepEqual(listOf(store, 1), ['link', 'new', 'old']);
});

test('renames, hard links and deletions after the end change nothing', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  started(recording);
  store.ingest({ atUs: T0, closed: [{ id: 1, reason: 'boot', atUs: T0 + 9 }] });
  store.ingest({ atUs: T0, opened: [opened(recording, { id: 2 })], accesses: [access(2, 1)] });
  store.ingest({ atUs: T0, names: [removed(1, 'old'), added(1, 'new')] });
  store.ingest({ atUs: T0, names: [added(1, 'link'), removed(1, 'new')] });
  assert.deepEqual(listOf(store, 1), ['old']);
  assert.deepEqual(listOf(store, 2), ['link', 'new', 'old']);
  assert.deepEqual(
    store.files(1).map(({ names }) => names.map(String)),
    [['old']],
  );
});

test('a name that went before the first access is not one', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  started(recording);
  store.ingest({ atUs: T0, names: [removed(1, 'old'), added(1, 'new')] });
  store.ingest({ atUs: T0, opened: [opened(recording, { id: 2 })], accesses: [access(2, 1)] });
  assert.deepEqual(listOf(store, 2), ['new']);
});

test('a file whose deletion came through before its read keeps its last names', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  store.ingest({ atUs: T0, opened: [opened(recording, { id: 1 })], files: [file(1, 'a', 'b')] });
  store.ingest({ atUs: T0, names: [removed(1, 'a')] });
  store.ingest({ atUs: T0, names: [removed(1, 'b')] });
  store.ingest({ atUs: T0, accesses: [access(1, 1)] });
  assert.deepEqual(listOf(store, 1), ['b']);
});

test('a name that comes late still counts for an access that comes later', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  store.ingest({
    atUs: T0,
    opened: [opened(recording, { id: 1 })],
    closed: [{ id: 1, reason: 'quiet', atUs: T0 }],
  });
  store.ingest({ atUs: T0, files: [file(1, 'late')], accesses: [access(1, 1)] });
  store.ingest({ atUs: T0, names: [added(1, 'too-late')] });
  assert.deepEqual(listOf(store, 1), ['late']);
});

test('adding what is there and removing what is not change nothing', (t) => {
  const recording = recorded(t);
  const { store, rootId } = recording;
  started(recording);
  store.ingest({ atUs: T0, names: [added(1, 'old'), removed(1, 'never')] });
  store.ingest({ atUs: T0, names: [removed(1, 'old'), added(1, 'old')] });
  assert.deepEqual([...store.knownFiles(rootId)][0]?.names.map(String), ['old']);
  store.ingest({ atUs: T0, names: [removed(1, 'old')] });
  store.ingest({ atUs: T0, names: [added(1, 'old')] });
  store.ingest({ atUs: T0, names: [removed(1, 'old')] });
  assert.deepEqual([...store.knownFiles(rootId)][0]?.names, []);
  assert.deepEqual(listOf(store, 1), ['old']);
});
