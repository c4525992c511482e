/** Files of rules, line by line. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { TraceError } from '../../../src/common/errors.ts';
import { MAX_RULES_FILE, parseRules } from '../../../src/image/rules/parse-rules.ts';

const parse = (text: string) =>
  parseRules(Buffer.from(text, 'latin1'), 'my.rules').map(
    ({ include, glob }) => `${include ? '+' : '-'}${glob}`,
  );

describe('a file of rules', () => {
  it('has one a line, in their order, comments and empty lines between', () => {
    const text = '# first\n+ /etc/ssl/**\r\n\n   \n  - *.la  \n\t#x\n-\t#y\n+ a b\\ \n+ caf\xe9';
    assert.deepEqual(parse(text), ['+/etc/ssl/**', '-*.la', '-#y', '+a b\\ ', '+caf\xe9']);
    assert.deepEqual(parse(''), []);
  });

  for (const [what, text, message] of [
    ['a line without a sign', '+ a\n/etc/**\n', /^my\.rules, line 2: a rule is/],
    ['a sign without a glob', '+\n', /^my\.rules, line 1: a rule is/],
    ['a sign without a blank', '+a\n', /^my\.rules, line 1: a rule is/],
    ['a bad glob', '\n\n- a[b', /^my\.rules, line 3: 'a\[b' is not a pattern/],
    ['a last backslash', '- a\\', /^my\.rules, line 1: /],
    ['a very long line', `- ${'x'.repeat(3000)}`, /^my\.rules, line 1: it is too long/],
    ['a long line of blanks', `- a${' '.repeat(60_000)}b`, /^my\.rules, line 1: it is too long/],
    ['a slow line', `- a${' '.repeat(2000)}\\`, /^my\.rules, line 1: /],
    ['binary', '\x7fELF\x02\x01\x01\0\0', /^my\.rules: it holds NUL/],
    ['huge', '#'.repeat(MAX_RULES_FILE + 1), /^my\.rules: it is larger/],
  ] as const)
    it(`is refused: ${what}`, () => {
      const started = process.cpuUsage();
      assert.throws(
        () => parse(text),
        (error: unknown) => {
          assert.ok(error instanceof TraceError);
          assert.deepEqual([error.code, error.exit], ['bad-rules', 'data']);
          assert.match(error.message, message);
          assert.ok(error.hint !== undefined);
          return true;
        },
      );
      assert.ok(process.cpuUsage(started).user < 1_000_000);
    });
});
