/** What a session expression holds. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operationBit } from '../../src/common/words.ts';
import { countOperations, evaluate, namedFiles } from '../../src/sessions/evaluate.ts';
import { parseExpression } from '../../src/sessions/expression.ts';
import type { FileAccessRow } from '../../src/store/types.ts';
import { row, session, source } from './made-up-rows.ts';

const READ = operationBit('read');
const LOOKUP = operationBit('lookup');

const SESSIONS = [session(1), session(2), session(3)];
const THREE = source(SESSIONS, { 1: [row(1), row(2)], 2: [row(2), row(3)], 3: [row(3)] });

/** expression, objects */
const SETS: readonly (readonly [string, readonly number[]])[] = [
  ['1', [1, 2]],
  ['1+2', [1, 2, 3]],
  ['1&2', [2]],
  ['1-2', [1]],
  ['2-1', [3]],
  ['1+2-3', [1, 2]],
  ['1+(2-3)', [1, 2]],
  ['1-2+3', [1, 3]],
  ['1-(2+3)', [1]],
  ['1&3', []],
];

for (const [text, objects] of SETS)
  test(`${text} holds ${objects.join(', ') || 'nothing'}`, () => {
    const set = evaluate(parseExpression(text), THREE);
    assert.deepEqual(
      set.objects.map(({ fileId }) => fileId),
      objects,
    );
  });

test('an object of two sessions unites what they did', () => {
  const a = row(1, { operations: READ, firstUs: 10, lastUs: 20, created: true });
  const b = row(1, {
    operations: LOOKUP,
    firstUs: 5,
    lastUs: 15,
    order: 9,
    names: [Buffer.from('other'), Buffer.from('file-1')],
    evidence: ['fanotify'],
  });
  const set = evaluate(parseExpression('1+2'), source(SESSIONS, { 1: [a], 2: [b] }));
  const [merged] = set.objects;
  assert.ok(merged);
  assert.deepEqual(merged.names.map(String), ['file-1', 'other']);
  assert.deepEqual(
    [merged.operations, merged.count, merged.firstUs, merged.lastUs, merged.order],
    [READ | LOOKUP, 2, 5, 20, 1],
  );
  assert.equal(merged.created, false);
  assert.deepEqual(merged.evidence, ['fanotify', 'nfsd']);
});

/** expression, sessions of its object 2 */
const SHARES: readonly (readonly [string, readonly number[]])[] = [
  ['1', [1]],
  ['2+1', [2, 1]],
  ['1&2', [1, 2]],
  ['2-3', [2]],
  ['1+(2-3)', [1, 2]],
  ['1+3', [1]],
];

for (const [text, sessions] of SHARES)
  test(`${text}: an object knows which sessions it comes from`, () => {
    const { objects } = evaluate(parseExpression(text), THREE);
    assert.deepEqual(objects.find(({ fileId }) => fileId === 2)?.sessions, sessions);
  });

test('objects without a name come last and are counted', () => {
  const rows = [row(5, { names: [] }), row(2), row(1, { names: [Buffer.from([0xff])] })];
  const set = evaluate(parseExpression('1'), source(SESSIONS, { 1: rows }));
  assert.deepEqual(
    set.objects.map(({ fileId }) => fileId),
    [2, 1, 5],
  );
  assert.equal(set.unnamed, 1);
});

test('sessions that are not there, or of another root', () => {
  assert.throws(() => evaluate(parseExpression('1+7'), THREE), {
    code: 'unknown-session',
    exit: 'notFound',
    message: /session-7/,
  });
  const other = session(2, { rootId: 2, root: Buffer.from('/nfsroots/woody') });
  assert.throws(() => evaluate(parseExpression('1+2'), source([session(1), other], {})), {
    code: 'different-roots',
    exit: 'usage',
    message: 'session-1 is of /nfsroots/sarge, session-2 of /nfsroots/woody',
  });
});

test('the set knows its worst tier, its loss and what is still open', () => {
  const sessions = [
    session(1, { tier: 'exact+names', loss: 2 }),
    session(2, { tier: 'sole-client', loss: 3, closedUs: null }),
    session(3, { tier: 'reads' }),
  ];
  const set = evaluate(parseExpression('3+1-2'), source(sessions, {}));
  assert.equal(set.expression, 'session-3+session-1-session-2');
  assert.equal(set.tier, 'sole-client');
  assert.equal(set.loss, 5);
  assert.deepEqual(set.open, [2]);
});

const CONTINUED = [
  session(1),
  session(2, { partial: true, evidence: { kind: 'quiet', detail: { after: 1 } } }),
  session(3, { partial: true, evidence: { kind: 'quiet', detail: { after: 2 } } }),
  session(4, { partial: true, evidence: { kind: 'first-traffic' } }),
];

/** expression, sessions that make it partial */
const DOUBTS: readonly (readonly [string, readonly number[]])[] = [
  ['2', [2]],
  ['1+2', []],
  ['2+1', []],
  ['3+2', [2]],
  ['1+2+3', []],
  ['1+3', [3]],
  ['2-1', [2]],
  ['2&1', [2]],
  ['4+1', [4]],
];

for (const [text, partial] of DOUBTS)
  test(`${text} is ${partial.length === 0 ? 'whole' : 'partial'}`, () => {
    const set = evaluate(parseExpression(text), source(CONTINUED, {}));
    assert.deepEqual(set.partial, partial);
  });

test('of several sessions, a file is as the one saw it that came to it last', () => {
  // Times may be of another clock.
  const saw = (firstBatch: number, size: number) => [row(1, { firstBatch, size, firstUs: -size })];
  const rows = source(SESSIONS, { 1: saw(30, 3), 2: saw(10, 1), 3: saw(20, 2) });
  for (const [text, size] of [
    ['1', 3],
    ['2+3', 2],
    ['3+2', 2],
    ['2+3+1', 3],
    ['1+2+3', 3],
    ['2+(1&3)', 3],
  ] as const)
    assert.equal(evaluate(parseExpression(text), rows).objects[0]?.size, size, text);
});

test('one row a name for the image, in bytewise order', () => {
  const target = Buffer.from('to');
  const rows = [
    row(1, { names: [Buffer.from('b'), Buffer.from('z')], created: true }),
    row(2, { names: [Buffer.from('')], type: 0o120000, mtimeNs: -1n, ctimeNs: 5n, target }),
    row(3, { names: [Buffer.from('a')], type: 0 }),
    row(4, { names: [] }),
  ];
  const owner = { mode: 0o644, uid: 0, gid: 0 };
  assert.deepEqual(namedFiles(rows), [
    {
      path: Buffer.from(''),
      operations: READ,
      created: false,
      seen: {
        type: 'symlink',
        size: 1,
        mtime: -1,
        ...owner,
        inode: 2n,
        ctimeNs: 5n,
        target,
      },
      bytesRead: 1,
    },
    { path: Buffer.from('a'), operations: READ, created: false, bytesRead: 1 },
    {
      path: Buffer.from('b'),
      operations: READ,
      created: true,
      seen: { type: 'file', size: 1, mtime: 1, ...owner, inode: 1n },
      bytesRead: 1,
    },
    {
      path: Buffer.from('z'),
      operations: READ,
      created: true,
      seen: { type: 'file', size: 1, mtime: 1, ...owner, inode: 1n },
      bytesRead: 1,
    },
  ]);
});

test('of two files of one name the one comes first that was used last', () => {
  const names = [Buffer.from('etc/b')];
  const sizes = [
    row(1, { names, firstBatch: 5, size: 1 }),
    row(2, { names, firstBatch: 7, size: 2 }),
    row(3, { names, firstBatch: 6, size: 3 }),
  ];
  assert.deepEqual(
    namedFiles(sizes).map(({ seen }) => seen?.size),
    [2, 3, 1],
  );
});

test('a name of what only a sweep touched says which', () => {
  const rows = [row(1, { names: [Buffer.from('a'), Buffer.from('b')] }), row(2)];
  const named = namedFiles(rows, new Map([[1, 0]]));
  assert.deepEqual(
    named.map(({ path, sweep }) => [path.toString(), sweep]),
    [
      ['a', 0],
      ['b', 0],
      ['file-2', undefined],
    ],
  );
});

test('bytes of reads are known only where nothing else is among them', () => {
  const bytesOf = (fields: Partial<FileAccessRow>) =>
    namedFiles([row(1, { names: [Buffer.from('a')], ...fields })])[0]?.bytesRead;
  assert.equal(bytesOf({ bytes: 4096 }), 4096);
  assert.equal(bytesOf({ bytes: 0 }), undefined);
  assert.equal(bytesOf({ bytes: 4096, operations: LOOKUP }), undefined);
  assert.equal(bytesOf({ bytes: 4096, operations: READ | operationBit('write') }), undefined);
});

test('objects are counted by operation', () => {
  const counts = countOperations([
    row(1, { operations: READ | LOOKUP }),
    row(2),
    row(3, { operations: 0 }),
  ]);
  assert.equal(counts.read, 2);
  assert.equal(counts.lookup, 1);
  assert.equal(counts.readlink, 0);
});
