/** The pages on the command line, its JSON and the configuration say what is so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { loadConfig } from '../../src/daemon/config.ts';
import { RULES } from '../../src/image/needs/rule.ts';
import { lacks } from '../capabilities.ts';
import { makeFileSystem } from '../index/file-systems.ts';
import { recordedPlace, SESSIONS } from '../support/recorded-place.ts';
import { TraceSandbox } from '../support/trace-sandbox.ts';

const page = (name: string): string =>
  readFileSync(join(import.meta.dirname, '../../docs', name), 'utf8');

/** `## trace NAME` → what is below it. */
function sections(text: string): Map<string, string> {
  const parts = text.split(/^## trace (.*)$/m).slice(1);
  return new Map(
    parts.flatMap((name, index) =>
      index % 2 === 0 ? [[name, parts[index + 1] ?? ''] as const] : [],
    ),
  );
}

const optionsIn = (text: string): Set<string> =>
  new Set(text.match(/--[a-z-]+|(?<=^| |`)-[0-9a-z](?=[ ,`])/gm));

describe('command-line.md', () => {
  let sandbox: TraceSandbox;
  before(() => {
    sandbox = new TraceSandbox();
  });
  after(() => sandbox.remove());
  const told = sections(page('command-line.md'));

  test('has every command', async () => {
    const { text } = await sandbox.ok(['--help']);
    const names = [...text.matchAll(/^ {2}([a-z]+) .*$/gm)].map(([, name]) => name);
    const described = new Set([...told.keys()].map((name) => name.split(' ')[0]));
    assert.deepEqual([...described].sort(), names.filter((name) => name !== 'help').sort());
  });

  for (const [name, text] of told)
    test(`${name}: its options, all of them, and no others`, async () => {
      const help = (await sandbox.ok([...name.split(' '), '--help'])).text;
      const real = optionsIn(help.slice(help.indexOf('\nOptions:')));
      for (const option of ['--help', '-h']) real.delete(option);
      const table = text.split('\n').filter((line) => line.startsWith('| `-'));
      const described = optionsIn(table.map((line) => line.split('|')[1]).join('\n'));
      assert.deepEqual([...described].sort(), [...real].sort());
      const known = new Set([...real, '--db', '--json']);
      for (const [line] of text.matchAll(/^trace .*$/gm))
        for (const option of optionsIn(line.replace(/[|>].*| -n1.*/, '')))
          assert.ok(known.has(option), `${option} in: ${line}`);
    });
});

test('command-line.md and image.md: every rule of an image', () => {
  assert.ok(page('command-line.md').includes(`\`${RULES.join(' ')}\``));
  const rows = [...page('image.md').matchAll(/^\| `(\w+)` \| (?:`[a-z-]+`(?: `[a-z-]+`)*) \| /gm)];
  assert.deepEqual(
    rows.map(([, name]) => name),
    RULES,
  );
});

test('configuration.md: every key with its default', () => {
  const rows = [...page('configuration.md').matchAll(/^\| `(\w+)` \| (?:`(.*?)`|none) \|/gm)];
  const told = Object.fromEntries(
    rows.flatMap(([, key = '', value]) =>
      value === undefined ? [] : [[key, JSON.parse(value) as unknown]],
    ),
  );
  assert.deepEqual(told, { ...loadConfig(undefined, {}) });
  assert.throws(() => loadConfig('/dev/null', {}), { code: 'bad-config' });
  const known = rows.map(([, key]) => key);
  const [example = ''] = /(?<=```json\n)[^`]*/.exec(page('configuration.md')) ?? [];
  for (const key of Object.keys(JSON.parse(example) as object)) assert.ok(known.includes(key));
  // All that the schema knows, as it tells in its hint.
  assert.throws(
    () => loadConfig(undefined, { NFSROOT_TRACE_SOCKET: 'relative' }),
    (error: { hint?: string }) => error.hint === `known keys: ${known.join(', ')}`,
  );
});

/** Keys of objects, however deep; lists by their first element; what maps by names is opaque. */
function shapeOf(value: unknown, name = ''): unknown {
  if (Array.isArray(value)) return value.length === 0 ? 'empty' : [shapeOf(value[0])];
  if (typeof value !== 'object' || value === null) return 'value';
  if (['reasons', 'evidence'].includes(name)) return 'map';
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => key !== 'path_base64')
      .map(([key, below]) => [key, shapeOf(below, key)]),
  );
}

/** Fails where an empty list or null of the real thing hides nothing, too. */
function assertShape(real: unknown, told: unknown, where: string): void {
  if (real === 'empty' || told === 'empty' || real === 'value') return;
  if (Array.isArray(real) && Array.isArray(told)) assertShape(real[0], told[0], `${where}[]`);
  else if (typeof real === 'object' && typeof told === 'object' && real !== null && told !== null) {
    assert.deepEqual(Object.keys(real), Object.keys(told), where);
    for (const [key, below] of Object.entries(real))
      assertShape(below, (told as Record<string, unknown>)[key], `${where}.${key}`);
  } else assert.deepEqual(real, told, where);
}

describe('json.md', () => {
  const told = new Map(
    [...page('json.md').matchAll(/^```json (\w+)\n([^`]*(?:`[^`]+`[^`]*)*?)^```$/gm)].map(
      ([, name = '', text = '']) => [name, JSON.parse(text) as Record<string, unknown>],
    ),
  );
  const same = (name: string, real: unknown): void => {
    const documented = told.get(name);
    assert.ok(documented !== undefined, `${name} is not in json.md`);
    assertShape(shapeOf(real), shapeOf(documented), name);
  };

  test('what reads the database', async () => {
    const { sandbox } = recordedPlace();
    try {
      const sessions = await sandbox.json<{ sessions: object[] }>(['sessions']);
      same('sessions', sessions);
      const shown = await sandbox.json<object>(['show', SESSIONS.lossy]);
      const ofSession = Object.keys(sessions.sessions[0] ?? {});
      same(
        'show',
        Object.fromEntries(Object.entries(shown).filter(([key]) => !ofSession.includes(key))),
      );
      same('clients', await sandbox.json(['client', 'list']));
      same('files', await sandbox.json(['files', SESSIONS.whole]));
      same('missing', await sandbox.json(['files', SESSIONS.whole, '--missing']));
      same('list', await sandbox.json(['list', SESSIONS.whole]));
      const doubtful = ['export', '2+3', '--accept-loss', '-o', 'x'];
      same('export', await sandbox.json(doubtful));
      const manifest = ['export', SESSIONS.whole, '--format', 'manifest', '-o', '-'];
      same('manifest', JSON.parse((await sandbox.ok(manifest)).text));
      await sandbox.ok(['export', SESSIONS.whole, '-o', 'x', '--report', sandbox.at('x.json')]);
      same('report', JSON.parse(readFileSync(sandbox.at('x.json'), 'utf8')));
      const compressed = [
        'export',
        '2+3',
        '--accept-loss',
        '-o',
        'x.gz',
        '--frame-cache',
        'frames',
      ];
      same('export', await sandbox.json(compressed));
      same('error', (await sandbox.run(['show', '77', '--json'])).json);
      same('doctor', (await sandbox.run(['doctor', '--json'])).json);
      await sandbox.ok(['export', SESSIONS.whole, '-o', 'x.cpio']);
      const image = sandbox.at('x.cpio');
      same('imageList', await sandbox.json(['image', 'list', image]));
      same('imageParts', await sandbox.json(['image', 'parts', image]));
      same('imageVerify', await sandbox.json(['image', 'verify', image]));
      await sandbox.ok(['export', '2+3', '--accept-loss', '-o', 'y.cpio']);
      const differing = ['image', 'diff', image, sandbox.at('y.cpio'), '--json'];
      same('imageDiff', (await sandbox.run(differing)).json);
      same('imageLint', (await sandbox.run(['image', 'lint', image, '--json'])).json);
      same('imageRam', await sandbox.json(['image', 'ram', image]));
      same('imageExtract', await sandbox.json(['image', 'extract', image, '-C', 'files']));
    } finally {
      await sandbox.remove();
    }
  });

  test('what is kept by the daemon', { skip: lacks('root', 'fanotify') }, async () => {
    const { sandbox } = recordedPlace();
    try {
      await sandbox.daemon();
      same('kept', await sandbox.json(['snapshot', SESSIONS.whole]));
      same('content', await sandbox.json(['content', 'list']));
      same('checked', await sandbox.json(['content', 'check']));
      same('export', await sandbox.json(['export', '1', '--as-recorded', '-o', 'x']));
      same('pruned', await sandbox.json(['content', 'prune']));
      same('pruned', await sandbox.json(['content', 'remove', SESSIONS.whole]));
    } finally {
      await sandbox.remove();
    }
  });

  test('what asks the daemon', { skip: lacks('root', 'loop', 'fanotify', 'handles') }, async () => {
    const disk = makeFileSystem('ext4');
    const sandbox = new TraceSandbox();
    try {
      const root = `${disk.path}/root`;
      mkdirSync(root);
      same('start', await sandbox.json(['start', '--root', root]));
      same('status', await sandbox.json(['status']));
      same('watch', await sandbox.json(['watch', '--once']));
      same('mark', await sandbox.json(['mark', 'x']));
      same('mark', await sandbox.json(['session', 'new', '--client', '10.0.0.7']));
      writeFileSync(sandbox.at('list'), '.\nopen(\n');
      const importing = ['import', '--list', sandbox.at('list'), '--root', root];
      same('import', await sandbox.json(importing));
      same('label', await sandbox.json(['client', 'label', '10.0.0.7', 'rack1-07']));
      same('stop', await sandbox.json(['stop']));
      assert.deepEqual(await sandbox.json(['stop', '--daemon']), { daemon: 'stopped' });
    } finally {
      await sandbox.remove();
      disk.remove();
    }
  });
});

test('every script for people tells what it is for, and does nothing else', () => {
  const scripts = join(import.meta.dirname, '../../scripts');
  for (const name of [
    'build',
    'demo',
    'install',
    'lint',
    'soak',
    'test',
    'fuzz',
    'bench-recorder',
    'bench-image',
  ]) {
    const { status, stdout, stderr } = spawnSync(join(scripts, name), ['--help']);
    assert.equal(status, 0, name);
    assert.equal(stderr.toString(), '', name);
    assert.match(stdout.toString(), /^[A-Z].*\w/, name);
  }
});

test('a group of commands without one is an error in words', async () => {
  const sandbox = new TraceSandbox();
  try {
    const { code, stderr } = await sandbox.run(['session']);
    assert.equal(code, 64);
    assert.equal(
      stderr,
      'error: a command is missing after this word\nhint: --help after it lists them\n',
    );
  } finally {
    await sandbox.remove();
  }
});
