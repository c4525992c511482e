/** Which results of tests make a run good. */
import assert from 'node:assert/strict';
import test from 'node:test';
import { CAPABILITIES, skipReason, type Capability, type Lack } from './capabilities.ts';
import { Verdict } from './verdict.ts';

const lacks = {
  ...(Object.fromEntries(CAPABILITIES.map((name) => [name, null])) as Record<Capability, Lack>),
  qemu: 'no qemu-system-x86_64',
};
const file = '/repository/test/a.test.ts';

test('counts tests, and not the suites around them', () => {
  const verdict = new Verdict(lacks);
  verdict.take('test:pass', { file, name: 'a', details: { type: 'test' } });
  verdict.take('test:pass', { file, name: 'suite', details: { type: 'suite' } });
  assert.equal(verdict.passed, 1);
  assert.ok(verdict.ok);
});

test('a run without a passed test is not ok', () => {
  assert.equal(new Verdict(lacks).ok, false);
});

test('a skip for what the machine lacks is noted with its reason', () => {
  const verdict = new Verdict(lacks);
  const reason = skipReason('qemu', 'no qemu-system-x86_64');
  assert.equal(verdict.take('test:pass', { file, name: 'a', skip: reason }), null);
  assert.deepEqual(verdict.skips, [{ file, name: 'a', reason }]);
  assert.equal(verdict.passed, 0);
});

for (const skip of [true, '', 'flaky', 'needs loop: no /dev/loop0', 'needs qemu: another reason']) {
  test(`a skip without need fails: ${String(skip)}`, () => {
    const verdict = new Verdict(lacks);
    assert.match(verdict.take('test:pass', { file, name: 'a', skip })?.text ?? '', /^skipped, and/);
    assert.equal(verdict.ok, false);
  });
}

test('a todo fails, whether it passes or not', () => {
  const verdict = new Verdict(lacks);
  assert.ok(verdict.take('test:pass', { file, name: 'a', todo: true }));
  assert.ok(verdict.take('test:fail', { file, name: 'a', todo: 'later' }));
});

test('`only` fails', () => {
  const message = "'only' and 'runOnly' require the --test-only command-line option.";
  assert.ok(new Verdict(lacks).take('test:diagnostic', { file, message }));
});

test('a file without a test fails', () => {
  assert.ok(new Verdict(lacks).take('test:pass', { file, name: file }));
});

test('a failure is told once, with its cause and its place', () => {
  const verdict = new Verdict(lacks);
  const cause = new Error('no good');
  const failure = verdict.take('test:fail', {
    file,
    line: 7,
    name: 'kid',
    details: { type: 'test', error: { failureType: 'testCodeFailure', cause } },
  });
  assert.equal(failure?.file, `${file}:7`);
  assert.match(failure.text, /no good/);
  const parent = { failureType: 'subtestsFailed', cause: '1 subtest failed' };
  assert.equal(
    verdict.take('test:fail', { file, name: 'parent', details: { error: parent } }),
    null,
  );
  assert.equal(verdict.failures.length, 1);
});
