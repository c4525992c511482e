/** `trace image diff`: what two images differ in, however each is stored. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { TraceSandbox } from '../../support/trace-sandbox.ts';
import { compressed } from './compressed.ts';
import { archive, directory, file, link, record } from './craft.ts';

let sandbox: TraceSandbox;
before(() => {
  sandbox = new TraceSandbox();
});
after(() => sandbox.remove());

function put(name: string, bytes: Buffer): string {
  writeFileSync(sandbox.at(name), bytes);
  return sandbox.at(name);
}

const device = (minor: number) => record({ name: 'n', mode: 0o020666, rdev: [1, minor] });

test('each aspect, in order of the paths', async () => {
  const first = put(
    'a',
    archive(
      directory('d'),
      file('d/content', 'one'),
      file('d/gone'),
      file('d/mode'),
      file('d/same', 'same', { mtime: 5 }),
      link('l', 'a'),
      device(3),
      file('type'),
    ),
  );
  const second = put(
    'b',
    archive(
      directory('d'),
      file('d/content', 'two', { uid: 4 }),
      file('d/mode', 'd/mode', { mode: 0o104755, gid: 4 }),
      file('d/new\n'),
      file('d/same', 'same', { mtime: 6 }),
      link('l', 'b'),
      device(4),
      link('type', 'x'),
    ),
  );
  const { code, text } = await sandbox.run(['image', 'diff', first, second]);
  assert.equal(code, 1);
  assert.deepEqual(text.split('\n'), [
    '~ d/content: uid, content',
    '- d/gone',
    '~ d/mode: mode, gid',
    '+ d/new\\x0a',
    '~ l: target',
    '~ n: device',
    '~ type: type',
    '',
  ]);
  const timed = await sandbox.run(['image', 'diff', first, second, '--times', '--json']);
  const { same, differences } = timed.json as {
    same: boolean;
    differences: { path: string; what: string; changed: string[] }[];
  };
  assert.equal(same, false);
  assert.deepEqual(
    differences.find(({ path }) => path === 'd/same'),
    { path: 'd/same', what: 'changed', changed: ['mtime'] },
  );
});

test('the same files in another order, in other parts, compressed, with other inode numbers', async () => {
  const first = put('a', archive(directory('d'), file('d/a'), file('d/b')));
  const parts = [archive(directory('d'), file('d/b', 'old')), archive(file('d/b'), file('d/a'))];
  const second = put('b', Buffer.concat(parts.map((part) => compressed('zstd', part))));
  assert.equal((await sandbox.ok(['image', 'diff', first, second])).text, '');
  const { same } = await sandbox.json<{ same: boolean }>(['image', 'diff', first, second]);
  assert.equal(same, true);
});

test('one with the directories that only the kernel brings along, and one broken', async () => {
  const first = put('a', archive(directory('dev'), file('a')));
  const second = put('b', archive(file('a'), file('b')).subarray(0, 130));
  const { code, text, stderr } = await sandbox.run(['image', 'diff', first, second]);
  assert.equal(text, '- dev\n');
  assert.equal(code, 65);
  assert.match(stderr, /b is broken/);
  await sandbox.fails(['image', 'diff', '-', '-'], { code: 64, message: /standard input/ });
});

test('two names that differ in bytes that are not UTF-8 only are not taken for one', async () => {
  put('x1', archive(file('x')));
  put('y1', archive(file('y')));
  const script = `
    cd "$1"; shift
    mv x1 "$(printf 'i\\376')"; mv y1 "$(printf 'i\\377')"
    "$@" image diff "$(printf 'i\\376')" "$(printf 'i\\377')"`;
  const line = [sandbox.folder, ...sandbox.command([])];
  const { code, stderr } = await sandbox.execute(['sh', '-c', script, 'sh', ...line]);
  assert.match(stderr, /^error: two arguments are i.* but for bytes that are not UTF-8\nhint: /);
  assert.equal(code, 64);
});
