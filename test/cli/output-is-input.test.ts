/** An output that would replace what it is made from is refused, by whatever path it is named. */
import assert from 'node:assert/strict';
import { readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { placeForTests, SESSIONS } from '../support/recorded-place.ts';

const place = placeForTests();
const { sandbox } = place;

describe('an output that is its own input', () => {
  for (const command of ['export', 'list'] as const)
    test(`${command}: the database stays what it is`, async () => {
      symlinkSync(sandbox.database, sandbox.at(command));
      const before = readFileSync(sandbox.database);
      await sandbox.fails([command, SESSIONS.whole, '-o', sandbox.at(command)], {
        code: 64,
        message: /is what the output would be made from/,
        hint: /another name/,
      });
      assert.deepEqual(readFileSync(sandbox.database), before);
    });

  for (const [what, more] of [
    ['a report that is the database', ['-o', 'x', '--report', 'DATABASE']],
    ['an image that is appended to itself', ['-o', 'RULES', '--append', 'RULES']],
    ['an image in place of its rules', ['-o', 'RULES', '--rules', 'RULES']],
  ] as const)
    test(what, async () => {
      const rules = sandbox.at('its.rules');
      writeFileSync(rules, '+ /etc/*\n');
      const args = more.map((one) => (one === 'RULES' ? `${sandbox.at('.')}/its.rules` : one));
      const named = args.map((one) => (one === 'DATABASE' ? sandbox.database : one));
      await sandbox.fails(['export', SESSIONS.whole, ...named], {
        code: 64,
        message: /is what the output would be made from/,
      });
      assert.equal(readFileSync(rules, 'utf8'), '+ /etc/*\n');
    });
});
