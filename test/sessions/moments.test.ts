/** Marks as bounds of what counts of a session. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { evaluate } from '../../src/sessions/evaluate.ts';
import { parseExpression } from '../../src/sessions/expression.ts';
import type { Moments } from '../../src/sessions/moments.ts';
import { row, session, source } from './made-up-rows.ts';

const read = (fileId: number, firstUs: number, lastUs: number) => row(fileId, { firstUs, lastUs });

function marked(id: number, marks: Readonly<Record<string, number>>) {
  return session(id, {
    marks: Object.entries(marks).map(([text, atUs], index) => ({
      id: index + 1,
      sessionId: id,
      atUs,
      text: text.replace(/#.*/, ''),
    })),
  });
}

const SOURCE = source(
  [
    marked(1, { up: 30, 'boot done': 40 }),
    marked(2, { up: 130, 'boot done': 150 }),
    marked(3, { 'up#1': 1, 'up#2': 2, other: 3 }),
    marked(4, {}),
    session(5, {
      marks: ['up', 'up', 'up#1'].map((text, at) => ({ id: at, sessionId: 5, atUs: at + 1, text })),
    }),
  ],
  {
    // Before, across, after; and exactly at the mark.
    1: [read(1, 10, 20), read(2, 10, 60), read(3, 50, 60), read(4, 30, 30)],
    3: [read(1, 0, 0), read(2, 1, 1), read(3, 2, 2)],
    5: [read(1, 0, 0), read(2, 1, 1), read(3, 2, 2)],
    2: [read(1, 110, 120), read(3, 100, 102), read(5, 160, 170)],
  },
);

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
    // One of several with a text, by its number.
    ['3', { until: 'up#1' }, [1]],
    ['3', { until: 'up#2' }, [1, 2]],
    ['3', { since: 'up#2' }, [3]],
    ['1', { since: 'up#1' }, [2, 3, 4]],
    // A mark of that very text comes first.
    ['5', { until: 'up#1' }, [1, 2, 3]],
    ['5', { until: 'up#2' }, [1, 2]],
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
    [
      '3',
      { until: 'up' },
      'ambiguous-mark',
      'usage',
      /session-3 has 2 marks 'up'/,
      /say which, 'up#1' .*: 'up#1' \(.*\), 'up#2' \(.*\), 'other' \(/,
    ],
    ['3', { until: 'up#3' }, 'unknown-mark', 'notFound', /no mark 'up#3'/, /'up#2'/],
    ['3', { until: 'up#0' }, 'unknown-mark', 'notFound', /no mark 'up#0'/, /'up#2'/],
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
