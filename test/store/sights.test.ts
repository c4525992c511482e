/** A session has a file as it was when this session first used it. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { FileState, NewFile } from '../../src/store/types.ts';
import { access, file, opened, recorded, T0 } from './fixtures.ts';

const DIRECTORY = 0o040755;

function stateOf({ mode, uid, gid, size, mtimeNs, nlink, ctimeNs }: NewFile): FileState {
  return { mode, uid, gid, size, mtimeNs, nlink, ctimeNs: ctimeNs ?? 0n };
}

/** Session 1 has used the file; each state after that is what the next session finds. */
function after(
  t: TestContext,
  first: Partial<NewFile>,
  ...states: readonly Partial<FileState>[]
): { sizes: number[]; rows: number; at: (session: number) => unknown } {
  const recording = recorded(t);
  const { store } = recording;
  const made = { ...file(1, 'etc/motd'), ctimeNs: 100n, ...first };
  const open = (id: number) => [opened(recording, { id, client: `10.0.0.${id}` })];
  store.ingest({ atUs: T0, opened: open(1), files: [made], accesses: [access(1, 1)] });
  for (const [index, changed] of states.entries()) {
    const id = index + 2;
    const state = { ...stateOf(made), ...changed };
    store.ingest({ atUs: T0, opened: open(id), accesses: [access(id, 1, { state })] });
  }
  const sessions = [1, ...states.map((_, index) => index + 2)];
  const seen = sessions.map((id) => store.files(id)[0]);
  return {
    sizes: seen.map((row) => row?.size ?? -1),
    rows: new Set(seen.map((row) => JSON.stringify(row, textOf, 0))).size,
    at: (session) => store.files(session)[0],
  };
}

/** Without what every session has of its own. */
function textOf(key: string, value: unknown): unknown {
  if (['firstUs', 'lastUs', 'firstBatch'].includes(key)) return undefined;
  return typeof value === 'bigint' ? value.toString() : value;
}

test('each session has its own, whatever came before and after', (t) => {
  const { sizes, at } = after(
    t,
    { size: 10 },
    { size: 20, ctimeNs: 200n, mode: 0o100600, uid: 7, gid: 8, mtimeNs: 5n, nlink: 2 },
    { size: 20, ctimeNs: 200n, mode: 0o100600, uid: 7, gid: 8, mtimeNs: 5n, nlink: 2 },
    { size: 10, ctimeNs: 300n },
  );
  assert.deepEqual(sizes, [10, 20, 20, 10]);
  const { type, mode, uid, gid, mtimeNs, ctimeNs, nlink } = at(3) as Record<string, unknown>;
  assert.deepEqual(
    [type, mode, uid, gid, mtimeNs, ctimeNs, nlink],
    [0o100000, 0o100600, 7, 8, 5n, 200n, 2],
  );
});

test('a session that goes on keeps what it saw first', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  const made = { ...file(1, 'etc/motd'), size: 10, ctimeNs: 100n };
  const open = (id: number) => opened(recording, { id, client: `10.0.0.${id}` });
  store.ingest({ atUs: T0, opened: [open(1)], files: [made], accesses: [access(1, 1)] });
  const sizes = () => [1, 2].map((id) => store.files(id)[0]?.size);
  const state = { ...stateOf(made), size: 20, ctimeNs: 200n };
  const accesses = [access(1, 1, { state }), access(2, 1, { state })];
  store.ingest({ atUs: T0, opened: [open(2)], accesses });
  assert.deepEqual(sizes(), [10, 20]);
  const later = { ...state, size: 30, ctimeNs: 300n };
  store.ingest({ atUs: T0, accesses: [access(1, 1, { state: later })] });
  assert.deepEqual(sizes(), [10, 20]);
  const rows = [access(2, 1), access(2, 1, { state: later })];
  store.ingest({ atUs: T0, opened: [open(3)], accesses: rows });
  store.ingest({ atUs: T0, accesses: [access(3, 1)] });
  // Nobody has used for the first time what it was meanwhile.
  assert.deepEqual([...sizes(), store.files(3)[0]?.size], [10, 20, 20]);
  assert.equal([...store.knownFiles(recording.rootId)][0]?.ctimeNs, 200n);
});

test('a link has its target, an enormous file its size', (t) => {
  const link = after(
    t,
    { mode: 0o120777, target: Buffer.from('a') },
    { ctimeNs: 2n, target: Buffer.from('b') },
  );
  assert.deepEqual((link.at(1) as { target: Buffer }).target.toString(), 'a');
  assert.deepEqual((link.at(2) as { target: Buffer }).target.toString(), 'b');
  assert.deepEqual(after(t, { size: 1 }, { size: 2 ** 63, ctimeNs: 2n }).sizes, [1, 2 ** 63]);
});

test('what is as it was is not kept again; of a directory only mode and owner count', (t) => {
  assert.equal(after(t, {}, {}).rows, 1);
  const directory = after(t, { mode: DIRECTORY, size: 1 }, { size: 2, ctimeNs: 200n });
  assert.deepEqual(directory.sizes, [1, 1]);
  const other = after(t, { mode: DIRECTORY, size: 1 }, { mode: 0o040700, size: 2, ctimeNs: 200n });
  assert.deepEqual(other.sizes, [1, 2]);
});

test('of what had gone at its first sight nothing is known later, either', (t) => {
  const gone = { mode: 0, inode: 0n, dev: 0, ctimeNs: null, size: 0 };
  assert.deepEqual(after(t, gone, { mode: 0o100644, size: 5, ctimeNs: 200n }).sizes, [0, 0]);
});

test('by the number that a file had first', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  const made = { ...file(1, 'etc/motd'), size: 10, ctimeNs: 100n };
  const open = (id: number) => opened(recording, { id, client: `10.0.0.${id}` });
  store.ingest({ atUs: T0, opened: [open(1)], files: [made], accesses: [access(1, 1)] });
  const again = { ...made, id: 2, size: 20, ctimeNs: 200n };
  store.ingest({ atUs: T0, opened: [open(2)], files: [again], accesses: [access(2, 2)] });
  const state = { ...stateOf(made), size: 30, ctimeNs: 300n };
  store.ingest({ atUs: T0, opened: [open(3)], accesses: [access(3, 2, { state })] });
  assert.deepEqual(
    [1, 2, 3].map((id) => store.files(id).map(({ fileId, size }) => [fileId, size])),
    [[[1, 10]], [[1, 20]], [[1, 30]]],
  );
});

test('who watches sees the sizes that each session saw', (t) => {
  const recording = recorded(t);
  const { store } = recording;
  const made = { ...file(1, 'etc/motd'), size: 10, ctimeNs: 100n };
  const open = (id: number) => opened(recording, { id, client: `10.0.0.${id}` });
  const look = () =>
    store
      .tally({ budgetMs: Infinity, most: 10, wallUs: T0 })
      .sessions.map(({ id, imageBytes }) => [id, imageBytes])
      .sort();
  store.ingest({ atUs: T0, opened: [open(1)], files: [made], accesses: [access(1, 1)] });
  const state = { ...stateOf(made), size: 5000, ctimeNs: 200n };
  store.ingest({ atUs: T0, opened: [open(2)], accesses: [access(2, 1, { state })] });
  assert.deepEqual(look(), [
    [1, 10],
    [2, 5000],
  ]);
  store.ingest({ atUs: T0, opened: [open(3)], accesses: [access(3, 1, { state })] });
  assert.deepEqual(look()[2], [3, 5000]);
});
