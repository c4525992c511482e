/** Choosing what goes into an image: rules, marks, drift, and what each refuses. */
import assert from 'node:assert/strict';
import { chmodSync, existsSync, mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { recordsOf } from '../image/records-of.ts';
import { placeForTests, SESSIONS } from '../support/recorded-place.ts';

interface Report {
  readonly rules: readonly { rule: string; files: number; bytes: number; kept: object[] }[];
  readonly left_out: readonly { path: string; why: string }[];
  readonly drift: readonly { path: string; what: string }[];
  readonly since: string | null;
  readonly until: string | null;
  readonly reasons: Readonly<Record<string, number>>;
}

const { sandbox, root } = placeForTests();
before(() => {
  mkdirSync(`${root}/usr/lib/deep`);
  writeFileSync(`${root}/usr/lib/deep/never-read`, 'never');
  writeFileSync(Buffer.from(`${root}/usr/lib/caf\xe9`, 'latin1'), 'bytes');
});

const exported = (...more: string[]): string[] => ['export', SESSIONS.whole, '-o', 'x', ...more];
const names = (): string[] => recordsOf(readFileSync(sandbox.at('x'))).map(({ name }) => name);

describe('rules', () => {
  test('of the command line come before the file’s, each in its order', async () => {
    writeFileSync(
      sandbox.at('my.rules'),
      Buffer.from('# mine\n- /bin/**\n+ /lib/caf\xe9\n+ /usr/lib/deep/\n', 'latin1'),
    );
    const report = await sandbox.json<Report>(
      exported('--exclude', '/etc/*', '--include', '/bin/tool', '--rules', 'my.rules'),
    );
    assert.deepEqual(
      report.rules.map(({ rule, files, bytes }) => [rule, files, bytes]),
      [
        ['- /etc/*', 1, 3],
        ['+ /bin/tool', 0, 0],
        ['- /bin/**', 0, 0],
        ['+ /lib/caf\ufffd', 1, 5],
        ['+ /usr/lib/deep/', 2, 5],
      ],
    );
    assert.deepEqual(
      report.left_out.map(({ why }) => why),
      ['rule'],
    );
    const all = names();
    for (const name of ['bin/tool', 'usr/lib/deep/never-read', 'usr/lib/caf\xe9'])
      assert.ok(all.includes(name), name);
    assert.ok(!all.some((name) => name.startsWith('etc/')));
  });

  test('are told of in words', async () => {
    const { text, stderr } = await sandbox.ok(
      exported('--include', '/usr/lib/deep/**', '--exclude', '/usr/**', '--include', '/nothing'),
    );
    assert.match(text, /^\+ \/usr\/lib\/deep\/\*\*: 2 paths, 5 B$/m);
    assert.match(stderr, /^warning: the rule '\+ \/nothing' decides nothing\nhint: /m);
  });

  const usage = [
    ['a bad pattern', ['--include', '../x'], /'\.\.\/x' is not a pattern: '\.\.' is no name/],
    ['an empty one', ['--exclude', ''], /'' is not a pattern: it is empty/],
    ['too many', Array.from({ length: 1001 }, () => ['--include', 'x']).flat(), /1001 rules, and/],
    ['a policy that is none', ['--on-drift', 'ignore'], /'ignore' is invalid/],
  ] as const;
  for (const [what, args, message] of usage)
    test(`refused: ${what}`, async () => {
      const output = sandbox.at('refused');
      await sandbox.fails(['export', SESSIONS.whole, '-o', output, ...args], { code: 64, message });
      assert.equal(existsSync(output), false);
    });

  for (const [what, content, code, message] of [
    ['binary', readFileSync(process.execPath).subarray(0, 5000), 65, /NUL bytes/],
    ['huge', Buffer.alloc(10_000_000, '#'), 65, /larger than 65536 bytes/],
    ['no rules', 'usr/share/**\n', 65, /bad\.rules, line 1: a rule is '\+ GLOB' or '- GLOB'/],
    ['a bad pattern', '+ /ok\n- [x\n', 65, /bad\.rules, line 2: '\[x' is not a pattern/],
    ['a folder', null, 74, /cannot read the rules in \/: EISDIR/],
    ['nothing', undefined, 66, /cannot read the rules in none\.rules: ENOENT/],
  ] as const)
    test(`a file of rules that is ${what}`, async () => {
      if (content !== null && content !== undefined)
        writeFileSync(sandbox.at('bad.rules'), content);
      const file = content === null ? '/' : content === undefined ? 'none.rules' : 'bad.rules';
      const output = sandbox.at('refused');
      await sandbox.fails(['export', SESSIONS.whole, '-o', output, '--rules', file], {
        code,
        message,
        hint: /./,
      });
      assert.equal(existsSync(output), false);
    });

  test('a file of rules without an end', async () => {
    await sandbox.fails(exported('--rules', '/dev/zero'), { code: 65, message: /larger/ });
  });
});

test('--skeleton has every directory', async () => {
  await sandbox.ok(exported('--skeleton'));
  const all = names();
  for (const name of ['usr/lib/deep', 'lib', 'proc']) assert.ok(all.includes(name), name);
  assert.ok(!all.includes('usr/lib/deep/never-read'));
});

describe('marks', () => {
  test('bound what counts', async () => {
    const all = await sandbox.json<Report>(exported());
    const before = await sandbox.json<Report>(exported('--until', 'boot done'));
    assert.deepEqual(before.reasons, all.reasons);
    assert.deepEqual([before.since, before.until, all.until], [null, 'boot done', null]);
    const since = await sandbox.json<Report>(exported('--since', 'boot done'));
    assert.equal(since.reasons['read'], undefined);
    assert.ok(!names().includes('bin/tool'));
  });

  test('that are not there', async () => {
    await sandbox.fails(exported('--until', 'later'), {
      code: 66,
      message: /session-1 has no mark 'later'/,
      hint: /its marks: 'boot done' \(20/,
    });
    await sandbox.fails(['export', '1+4', '-o', 'x', '--since', 'boot done'], {
      code: 66,
      message: /session-4 has no mark 'boot done'/,
    });
  });
});

describe('a root that drifted', () => {
  test('is taken, told, skipped or refused, and --strict refuses it', async () => {
    const output = sandbox.at('strict');
    const strict = ['export', SESSIONS.whole, '-o', output, '--strict'];
    await sandbox.ok(strict);
    chmodSync(`${root}/bin/tool`, 0o700);
    utimesSync(`${root}/init`, 1, 1);
    const before = readFileSync(output);
    const refused = { code: 1, message: /2 objects are not as .*bin\/tool: changed-mode/ };
    await sandbox.fails(strict, { ...refused, hint: /without --strict/ });
    await sandbox.fails(['export', SESSIONS.whole, '-o', output, '--on-drift', 'fail'], {
      ...refused,
      hint: /skip leaves them out/,
    });
    assert.ok(readFileSync(output).equals(before));
    const { stderr } = await sandbox.ok(exported());
    assert.match(stderr, /^warning: 1 recorded objects changed-mode since/m);
    assert.ok(names().includes('bin/tool'));
    const report = await sandbox.json<Report>(exported('--on-drift', 'skip'));
    // Without /init the kernel would not use the image at all: as it is now is better.
    assert.deepEqual(report.left_out, [{ path: 'bin/tool', why: 'drift' }]);
    assert.ok(names().includes('init'));
    assert.ok(!names().includes('bin/tool'));
    const { text } = await sandbox.ok(exported('--on-drift', 'skip'));
    assert.match(text, /^not as recorded: 1 paths, left out$/m);
  });
});
