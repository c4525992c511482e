/** No room: for an image, for a list, for the database. What was there stays. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { fillUp } from '../support/fill-up.ts';
import { recordedPlace, SESSIONS, type RecordedPlace } from '../support/recorded-place.ts';
import { TraceSandbox } from '../support/trace-sandbox.ts';

describe('a full disk', { skip: lacks('root', 'mount') }, () => {
  let place: RecordedPlace;
  let sandbox: TraceSandbox;
  let small: string;
  before(() => {
    place = recordedPlace();
    ({ sandbox } = place);
    small = sandbox.at('small');
    mkdirSync(small);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=128k', 'none', small]);
  });
  after(async () => {
    execFileSync('umount', ['-l', small]);
    await sandbox.remove();
  });

  for (const [what, args] of [
    ['an image', ['export', SESSIONS.whole]],
    ['a list', ['list', SESSIONS.whole]],
  ] as const)
    test(`${what}: the old file is left as it was, and nothing beside it`, async () => {
      const output = `${small}/out`;
      writeFileSync(output, 'the old one');
      const filler = `${small}/filler`;
      if (what === 'a list') fillUp(filler);
      await sandbox.fails([...args, '-o', output], {
        code: 74,
        message: /no space is left/,
        hint: /free some space/,
      });
      assert.equal(readFileSync(output, 'utf8'), 'the old one');
      rmSync(filler, { force: true });
      assert.deepEqual(readdirSync(small), ['out']);
    });

  test('a stream to a full device', async () => {
    await sandbox.fails(['export', SESSIONS.whole, '-o', '/dev/full'], {
      code: 74,
      message: /no space is left/,
    });
  });

  test('an answer to a full device', async () => {
    const prefix = ['sh', '-c', 'exec "$@" >/dev/full', 'sh'];
    for (const args of [
      ['sessions'],
      ['sessions', '--json'],
      ['--help'],
      ['list', SESSIONS.whole],
    ]) {
      const { code, stderr } = await sandbox.run(args, { prefix });
      assert.equal(code, 74, stderr);
      assert.match(
        stderr,
        /^error: cannot write to standard output: no space is left there\nhint: .*\n$/,
      );
    }
    const deaf = ['sh', '-c', 'exec "$@" >/dev/full 2>&1', 'sh'];
    assert.equal((await sandbox.run(['sessions'], { prefix: deaf })).code, 74);
  });
});
