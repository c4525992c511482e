/** How the command line speaks: results and talk apart, names as they are, JSON that parses. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { BIG_BYTES, ODD_NAME, placeForTests, SESSIONS } from '../support/recorded-place.ts';
import type { Ran } from '../support/trace-sandbox.ts';

const place = placeForTests();
const { sandbox } = place;

const ESCAPE = '\u001b';
const quoted = (word: string): string => `'${word.replaceAll("'", "'\\''")}'`;

/** On a terminal of its own; what the person sees. */
async function onTerminal(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
  const line = sandbox.command(args).map(quoted).join(' ');
  return sandbox.execute(['script', '-qec', line, '/dev/null'], { env });
}

/** Through a shell, for pipes. */
function shell(script: string): Promise<Ran> {
  const trace = sandbox.command([]).map(quoted).join(' ');
  return sandbox.execute(['sh', '-c', `trace() { ${trace} "$@"; }; ${script}`]);
}

describe('names', () => {
  test('their own bytes into a pipe', async () => {
    const { stdout } = await sandbox.ok(['list', SESSIONS.whole]);
    assert.deepEqual(
      stdout,
      Buffer.concat([Buffer.from('bin/tool\n'), ODD_NAME, Buffer.from('\ninit\n')]),
    );
    const files = await sandbox.ok(['files', SESSIONS.whole]);
    assert.ok(files.stdout.includes(Buffer.concat([Buffer.from('read\t'), ODD_NAME])));
    const nul = await sandbox.ok(['files', SESSIONS.whole, '-0']);
    assert.ok(nul.stdout.includes(Buffer.concat([Buffer.from([0]), ODD_NAME, Buffer.from([0])])));
  });

  test('escaped on a terminal, a newline too', async () => {
    const list = await onTerminal(['list', SESSIONS.whole]);
    assert.equal(list.text, 'bin/tool\r\netc/\\xff odd\r\ninit\r\n');
    const files = await onTerminal(['files', SESSIONS.newline]);
    assert.equal(files.text, 'read\tetc/with\\x0anewline\r\nread\tinit\r\n');
  });

  test('in JSON: text, and their bytes if that is not all', async () => {
    const { paths } = await sandbox.json<{ paths: unknown[] }>(['list', SESSIONS.whole]);
    assert.deepEqual(paths, [
      { path: 'bin/tool' },
      { path: 'etc/\ufffd odd', path_base64: ODD_NAME.toString('base64') },
      { path: 'init' },
    ]);
    const { files } = await sandbox.json<{ files: { path: string; path_base64?: string }[] }>([
      'files',
      SESSIONS.newline,
    ]);
    assert.deepEqual(
      files.map(({ path }) => path),
      ['etc/with\nnewline', 'init'],
    );
  });

  test('in talk: always one line', async () => {
    await sandbox.fails(['start', '--root', '/no\nsuch\u001b[31m'], {
      code: 66,
      message: /^error: cannot record \/no\\x0asuch\\x1b\[31m: /,
    });
  });
});

describe('colours', () => {
  const seen = async (env: NodeJS.ProcessEnv): Promise<string> => {
    const { code, text } = await onTerminal(['show', '77'], { TERM: 'xterm-256color', ...env });
    assert.equal(code, 66);
    return text;
  };

  test('on a terminal', async () => {
    assert.match(await seen({}), new RegExp(`^${ESCAPE}\\[31merror:${ESCAPE}\\[39m there is no`));
  });

  test('not with NO_COLOR', async () => {
    assert.match(await seen({ NO_COLOR: '1' }), /^error: there is no session-77\r\nhint: /);
  });

  test('not into a pipe', async () => {
    const { stderr } = await sandbox.run(['show', '77'], { env: { TERM: 'xterm-256color' } });
    assert.match(stderr, /^error: there is no session-77\nhint: /);
  });
});

describe('JSON', () => {
  test('of every command that reads', async () => {
    const whole = SESSIONS.whole;
    for (const args of [
      ['sessions'],
      ['sessions', '--client', '10.0.0.8', '--root', place.root, '--since', '2020-01-01T00:00:00Z'],
      ['show', whole],
      ['files', whole, '--ops', 'read,readdir'],
      ['list', whole],
      ['list', whole, '-o', 'x.list'],
      ['export', whole, '-o', 'x.cpio'],
    ]) {
      const { stderr, json } = await sandbox.ok([...args, '--json']);
      assert.equal(typeof json, 'object', args.join(' '));
      assert.equal(stderr, '', args.join(' '));
    }
  });

  test('of a session', async () => {
    const { sessions } = await sandbox.json<{ sessions: Record<string, unknown>[] }>(['sessions']);
    assert.deepEqual(sessions[0], {
      session: 'session-1',
      id: 1,
      root: { path: place.root },
      client: '10.0.0.7',
      client_label: null,
      client_name: null,
      label: 'a label',
      tier: 'exact',
      evidence: { kind: 'nfs3-mount' },
      partial: false,
      open: false,
      opened: '2023-11-14T22:13:21.000Z',
      last: '2023-11-14T22:13:21.000Z',
      closed: '2023-11-14T22:13:29.000Z',
      close_reason: 'stop',
      files: 3,
      accesses: 3,
      bytes: 300,
      loss: 0,
      marks: [{ at: '2023-11-14T22:13:25.000Z', text: 'boot done' }],
      notes: [],
    });
    const { losses, image } = await sandbox.json<{
      losses: unknown;
      image: { reasons: Record<string, number> };
    }>(['show', SESSIONS.lossy]);
    assert.deepEqual(losses, [
      {
        where: 'trace-ring',
        count: 3,
        from: '2023-11-14T22:13:20.000Z',
        to: '2023-11-14T22:13:20.000Z',
        detail: null,
      },
    ]);
    assert.equal(image.reasons['read'], 3);
  });

  test('of an export', async () => {
    const report = await sandbox.json<Record<string, unknown>>([
      'export',
      '1+4',
      '-o',
      'report.cpio',
    ]);
    assert.equal(report['expression'], 'session-1+session-4');
    assert.equal(report['output'], 'report.cpio');
    assert.equal(report['bytes'], readFileSync(sandbox.at('report.cpio')).length);
    assert.equal(report['content_bytes'], 10 + BIG_BYTES + 9 + 3);
    assert.deepEqual(report['drift'], []);
  });
});

describe('results and talk', () => {
  test('-o - streams the very bytes of -o FILE', async () => {
    await sandbox.ok(['export', SESSIONS.whole, '-o', 'file.cpio']);
    const { stdout, stderr } = await sandbox.ok(['export', SESSIONS.whole, '-o', '-']);
    assert.ok(stdout.equals(readFileSync(sandbox.at('file.cpio'))));
    assert.ok(stdout.length > BIG_BYTES);
    assert.equal(stderr, '');
  });

  test('a slow reader gets everything', async () => {
    const { text } = await shell(`trace export 1 -o - | (sleep 0.5; sha256sum)`);
    const file = await sandbox.ok(['export', '1', '-o', '-']);
    assert.ok(text.startsWith(createHash('sha256').update(file.stdout).digest('hex')));
  });

  test('a reader that has seen enough is no failure', async () => {
    for (const command of ['files 1', 'list 1', 'sessions --json', '--help', 'export --help']) {
      const { text, stderr } = await shell(`{ trace ${command}; echo "code $?" >&2; } | head -1`);
      assert.equal(stderr, 'code 0\n', command);
      assert.equal(text.split('\n').length, 2, command);
    }
  });

  test('an image that nobody reads to its end is one', async () => {
    const { stderr } = await shell(`{ trace export 1 -o -; echo "code $?" >&2; } | head -c 100`);
    assert.match(
      stderr,
      /^error: the reader of the image closed its end.*\n(hint: .*\n)?code 74\n$/,
    );
  });

  test('help and version on stdout', async () => {
    const help = await sandbox.ok(['export', '--help']);
    assert.match(help.text, /Usage: trace export .*<expression>/);
    assert.equal(help.stderr, '');
    const version = await sandbox.ok(['--version']);
    assert.match(version.text, /^\d+\.\d+\.\d+\n$/);
  });

  test('global options may stand anywhere', async () => {
    const { text } = await sandbox.ok(['--json', 'sessions']);
    assert.equal(text, (await sandbox.ok(['sessions', '--json'])).text);
  });
});
