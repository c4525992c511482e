/** How a session expression is read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatExpression, parseExpression, sessionsIn } from '../../src/sessions/expression.ts';

/** written, its one way of writing */
const GOOD: readonly (readonly [string, string])[] = [
  ['session-42', 'session-42'],
  ['42', 'session-42'],
  ['042', 'session-42'],
  ['session-41+session-42', 'session-41+session-42'],
  ['session-42-session-41', 'session-42-session-41'],
  ['session-41&session-42', 'session-41&session-42'],
  ['42-41', 'session-42-session-41'],
  ['session-42-41', 'session-42-session-41'],
  [' 41 + session-42 & 43 ', 'session-41+session-42&session-43'],
  ['((41))', 'session-41'],
  ['41-(42+43)', 'session-41-(session-42+session-43)'],
  ['(41-42)+43', 'session-41-session-42+session-43'],
  ['41-(42-(43&44))', 'session-41-(session-42-(session-43&session-44))'],
];

for (const [text, canonical] of GOOD)
  test(`'${text}' is ${canonical}`, () => {
    assert.equal(formatExpression(parseExpression(text)), canonical);
    assert.equal(formatExpression(parseExpression(canonical)), canonical);
  });

test('operators bind from left to right', () => {
  const one = { kind: 'session', id: 1 } as const;
  const two = { kind: 'session', id: 2 } as const;
  const three = { kind: 'session', id: 3 } as const;
  assert.deepEqual(parseExpression('1-2+3'), {
    kind: 'union',
    left: { kind: 'difference', left: one, right: two },
    right: three,
  });
});

/** written, what it says */
const BAD: readonly (readonly [string, RegExp])[] = [
  ['', /expected a session at column 1 of ''/],
  ['   ', /expected a session at column 4/],
  ['session', /expected a session at column 1 /],
  ['session-', /expected a session at column 1 /],
  ['session-x', /expected a session at column 1 /],
  ['sesion-42', /expected a session at column 1 /],
  ['42x', /expected a session at column 1 /],
  ['42+', /expected a session at column 4/],
  ['42 + +41', /expected a session at column 6/],
  ['42 41', /expected '\+', '-', '&' or the end at column 4/],
  ['(42', /expected '\)' at column 4/],
  ['42)', /expected '\+', '-', '&' or the end at column 3/],
  ['0', /no session has that number at column 1/],
  ['99999999999999999999', /no session has that number at column 1/],
  ['42|41', /expected a session at column 3/],
  ['('.repeat(200), /too many parentheses at column 101/],
  [`${'1+'.repeat(50_000)}1`, /too many sessions at column 2000 of '(1\+){100}…'/],
];

for (const [text, message] of BAD)
  test(`'${text.slice(0, 20)}' is refused`, () =>
    assert.throws(() => parseExpression(text), {
      name: 'TraceError',
      code: 'bad-expression',
      exit: 'usage',
      message,
    }));

test('the sessions of an expression, each once', () => {
  assert.deepEqual(sessionsIn(parseExpression('43+(41-42)+41')), [41, 42, 43]);
});
