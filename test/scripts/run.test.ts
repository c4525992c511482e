/** What the test runner makes of passed, failed and skipped tests. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { afterEach, beforeEach } from 'node:test';
import { Place, REPOSITORY } from './place.ts';

let place: Place;
beforeEach(() => (place = new Place()));
afterEach(() => place.remove());

function file(name: string, body: string): void {
  const path = join(place.repository, 'test', name);
  mkdirSync(join(path, '..'), { recursive: true });
  writeFileSync(path, `import test from 'node:test';\n${body}\n`);
}

const run = (options = '') =>
  place.run('bash', `node '${join(REPOSITORY, 'test/run.ts')}' ${options} "$REPOSITORY"`);
const lastLine = (text: string) => text.trimEnd().split('\n').at(-1);

test('all passed: status 0 and the closing line', () => {
  file('a.test.mjs', '');
  file('a.test.ts', "test('one', () => {}); test('two', () => {});");
  file('room/b.test.ts', "test('three', () => {});");
  const { status, stdout } = run();
  assert.equal(lastLine(stdout), '3 passed, 0 failed, 0 skipped');
  assert.equal(status, 0);
});

test('a failure: status 1, its name and its cause', () => {
  file('a.test.ts', "test('one', () => {}); test('bad one', () => { throw new Error('why'); });");
  const { status, stdout } = run();
  assert.match(stdout, /^not ok {2}test\/a\.test\.ts:2: bad one\n.*Error: why/m);
  assert.equal(lastLine(stdout), '1 passed, 1 failed, 0 skipped');
  assert.equal(status, 1);
});

test('a file that does not load is a failure', () => {
  file('a.test.ts', "test('one', () => {});");
  file('b.test.ts', "throw new Error('at load');");
  assert.equal(run().status, 1);
});

test('a skip that does not come from a lack of this machine is a failure', () => {
  file('a.test.ts', "test('one', () => {}); test('two', { skip: 'slow' }, () => {});");
  const { status, stdout } = run();
  assert.match(stdout, /this machine lacks nothing for it: slow/);
  assert.equal(status, 1);
});

test('--quick leaves the lab and the bare machine out, --only chooses by path', () => {
  file('a.test.ts', "test('one', () => {});");
  file('b.test.ts', "test('two', () => {});");
  file('lab/c.test.ts', "test('three', () => {});");
  file('bare/d.test.ts', "test('four', () => {});");
  assert.equal(lastLine(run('--quick').stdout), '2 passed, 0 failed, 0 skipped');
  assert.equal(lastLine(run('--only "a.test|lab"').stdout), '2 passed, 0 failed, 0 skipped');
});

test('--only that matches nothing is an error', () => {
  file('a.test.ts', "test('one', () => {});");
  const { status, stderr } = run('--only nowhere');
  assert.equal(stderr, 'error: no test file matches /nowhere/\n');
  assert.equal(status, 1);
});
