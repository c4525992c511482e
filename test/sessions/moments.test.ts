/** Marks as bounds of what counts of a session. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { operationBit } from '../../src/common/words.ts';
import { evaluate, type SessionSource } from '../../src/sessions/evaluate.ts';
import { parseExpression } from '../../src/sessions/expression.ts';
import type { Moments } from '../../src/sessions/moments.ts';
import type { FileAccessRow, SessionRow } from '../../src/store/types.ts';

function session(id: number, marks: Readonly<Record<string, number>>): SessionRow {
  return {
    id,
    rootId: 1,
    root: Buffer.from('/nfsroots/sarge'),
    recordingId: 1,
    label: null,
    client: '10.0.0.7',
    tier: 'exact',
    evidence: { kind: 'nfs3-mount' },
    partial: false,
    openedUs: 0,
    lastUs: 0,
    closedUs: 1,
    closeReason: 'boot',
    files: 0,
    accesses: 0,
    bytes: 0,
    loss: 0,
    marks: Object.entries(marks).map(([text, atUs], index) => ({
      id: index + 1,
      sessionId: id,
      atUs,
      text: text.replace(/#.*/, ''),
    })),
    notes: [],
    clientLabel: null,
    clientName: null,
  };
}

function row(fileId: number, firstUs: number, lastUs: number): FileAccessRow {
  return {
    fileId,
    type: 0o100000,
    mode: 0o100644,
    uid: 0,
    gid: 0,
    size: 1,
    mtimeNs: 0n,
    nlink: 1,
    ctimeNs: null,
    target: null,
    dev: 1,
    inode: BigInt(fileId),
    operations: operationBit('read'),
    count: 1,
    bytes: 1,
    firstUs,
    lastUs,
    order: fileId,
    evidence: ['nfsd'],
    created: false,
    names: [Buffer.from(`file-${fileId}`)],
  };
}

const FILES: Readonly<Record<number, readonly FileAccessRow[]>> = {
  // Before, across, after; and exactly at the mark.
  1: [row(1, 10, 20), row(2, 10, 60), row(3, 50, 60), row(4, 30, 30)],
  2: [row(1, 110, 120), row(3, 100, 102), row(5, 160, 170)],
};
const SOURCE: SessionSource = {
  session: (id) =>
    [
      session(1, { up: 30, 'boot done': 40 }),
      session(2, { up: 130, 'boot done': 150 }),
      session(3, { 'up#1': 1, 'up#2': 2, other: 3 }),
      session(4, {}),
    ].find((known) => known.id === id),
  files: (id) => [...(FILES[id] ?? [])],
};

const objects = (text: string, moments: Moments): number[] =>
  evaluate(parseExpression(text), SOURCE, moments).objects.map(({ fileId }) => fileId);

describe('marks as bounds', () => {
  for (const [text, moments, expected] of [
    ['1', {}, [1, 2, 3, 4]],
    ['1', { until: 'up' }, [1, 2]],
    ['1', { since: 'up' }, [2, 3, 4]],
    ['1', { since: 'up', until: 'boot done' }, [2, 4]],
    ['1', { since: 'up', until: 'up' }, [2]],
    // Each session has its own moment of that name, and the algebra comes after.
    ['1+2', { until: 'up' }, [1, 2, 3]],
    ['2-1', { until: 'up' }, [3]],
    ['1&2', { since: 'up' }, []],
  ] as const)
    test(`${text} ${JSON.stringify(moments)}`, () => {
      assert.deepEqual(objects(text, moments), expected);
    });

  test('an operation of a session outside the bounds is none of the object', () => {
    const { objects: found } = evaluate(parseExpression('1+2'), SOURCE, { since: 'up' });
    assert.deepEqual(
      found.map(({ fileId, count }) => [fileId, count]),
      [
        [2, 1],
        [3, 1],
        [4, 1],
        [5, 1],
      ],
    );
  });

  for (const [text, moments, code, exit, message, hint] of [
    [
      '1+4',
      { until: 'up' },
      'unknown-mark',
      'notFound',
      /session-4 has no mark 'up'/,
      /no marks at all/,
    ],
    [
      '1',
      { since: 'Up' },
      'unknown-mark',
      'notFound',
      /session-1 has no mark 'Up'/,
      /its marks: 'up' \(1970-01-01T00:00:00.000Z\), 'boot done'/,
    ],
    ['3', { until: 'up' }, 'ambiguous-mark', 'usage', /session-3 has 2 marks 'up'/, /'other'/],
    [
      '1',
      { since: 'boot done', until: 'up' },
      'marks-out-of-order',
      'usage',
      /in session-1 the mark 'boot done' comes after 'up'/,
      /earlier/,
    ],
  ] as const)
    test(`refused: ${code}, ${text} ${JSON.stringify(moments)}`, () => {
      assert.throws(
        () => objects(text, moments),
        (error: { code?: string; exit?: string; message: string; hint?: string }) => {
          assert.deepEqual([error.code, error.exit], [code, exit]);
          assert.match(error.message, message);
          assert.match(error.hint ?? '', hint);
          return true;
        },
      );
    });
});
