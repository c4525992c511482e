/** `trace image verify`: what it says of crafted images; that it is so, the lab sees by booting them. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { TraceSandbox } from '../../support/trace-sandbox.ts';
import { Input } from '../../../src/image/tools/input.ts';
import { verifyImage } from '../../../src/image/tools/verify-image.ts';
import { compressed } from './compressed.ts';
import { archive, type Crafted, directory, file, link, record, trailer } from './craft.ts';
import { CRAFTED } from './crafted-images.ts';

let sandbox: TraceSandbox;
before(() => {
  sandbox = new TraceSandbox();
});
after(() => sandbox.remove());

interface Verified {
  ok: boolean;
  stop: { code: string } | null;
  records: number;
  findings: { kind: string; code: string; path: string; offset: number }[];
  entries: { path: string; links: number; sha256: string | null; [key: string]: unknown }[];
}

async function verified(bytes: Buffer): Promise<Verified & { exit: number | null }> {
  writeFileSync(sandbox.at('image'), bytes);
  const { code, json } = await sandbox.run(['image', 'verify', sandbox.at('image'), '--json']);
  return { ...(json as Verified), exit: code };
}

/** In this process: there are many. */
async function walked(bytes: Buffer) {
  writeFileSync(sandbox.at('image'), bytes);
  const input = Input.open(sandbox.at('image'));
  try {
    return await verifyImage(input);
  } finally {
    input.close();
  }
}

describe('the rules', () => {
  for (const { what, bytes, found = [], stop = null } of CRAFTED)
    test(what, async () => {
      const { ok, stop: stopped, findings } = await walked(bytes);
      const told = findings.filter(({ kind }) => kind !== 'noted').map(({ code }) => code);
      assert.deepEqual([told, stopped?.code ?? null], [found, stop]);
      assert.equal(ok, found.length === 0 && stop === null);
    });
});

test('an end that may be none is noted', async () => {
  const noted = async (...bytes: readonly Buffer[]) => {
    const { ok, findings } = await walked(Buffer.concat(bytes));
    assert.ok(ok);
    return findings.map(({ kind, code, record: { name } }) => [kind, code, name]);
  };
  const name = (path: string, data = '', more: Partial<Crafted> = {}) =>
    file(path, data, { ino: 7, nlink: 3, ...more });
  const cut = (path: string) => ['noted', 'links-cut-off', path];
  const ended = ['noted', 'end-with-data', 'TRAILER!!!'];
  const end = file('TRAILER!!!', 'data');
  assert.deepEqual(await noted(name('a'), end, name('b'), archive(name('c', 'data'))), [
    ended,
    cut('b'),
  ]);
  // The data may also be with the first name; the last end record may be missing.
  assert.deepEqual(await noted(name('a', 'data'), trailer(), name('b'), name('c')), [cut('b')]);
  // Each has its own; all names are there; it is another file, or empty.
  const own = [archive(name('a', 'data')), archive(name('b'), name('c', 'data'))];
  const two = { nlink: 2 };
  const whole = [archive(name('a', '', two), name('b', 'data', two)), archive(name('c', '', two))];
  const others = [archive(name('a', 'data')), archive(name('b', '', { ino: 8 }))];
  for (const images of [own, whole, others, [archive(name('a')), archive(name('b'))]])
    assert.deepEqual(await noted(...images), []);
});

test('what will be there: types, modes, owners, links, content', async () => {
  const { exit, ok, entries } = await verified(
    archive(
      directory('usr', { mode: 0o040750, uid: 1, gid: 2 }),
      link('bin', 'usr'),
      file('bin/a', 'old'),
      record({ name: 'usr/b', ino: 3, nlink: 2 }),
      record({ name: 'usr/c', ino: 3, nlink: 2, data: 'both', mode: 0o104711, uid: 9 }),
      file('usr/a', 'new'),
    ),
  );
  assert.deepEqual([exit, ok], [0, true]);
  const sha256 = (text: string) => createHash('sha256').update(text).digest('hex');
  const mtime = '2001-09-09T01:46:40.000Z';
  const times = { mtime, built_in: false };
  const both = { type: 'file', mode: 0o4711, uid: 9, gid: 0, links: 2, size: 4 };
  const kernels = { uid: 0, gid: 0, size: 0, mtime: new Date(0).toISOString(), sha256: null };
  assert.deepEqual(entries, [
    { path: '.', type: 'directory', mode: 0o1777, links: 5, ...kernels, built_in: true },
    {
      path: 'bin',
      type: 'symlink',
      mode: 0o777,
      uid: 0,
      gid: 0,
      links: 1,
      size: 3,
      sha256: null,
      target: { path: 'usr' },
      ...times,
    },
    { path: 'dev', type: 'directory', mode: 0o755, links: 2, ...kernels, built_in: true },
    {
      path: 'dev/console',
      type: 'character',
      mode: 0o600,
      links: 1,
      ...kernels,
      major: 5,
      minor: 1,
      built_in: true,
    },
    { path: 'root', type: 'directory', mode: 0o700, links: 2, ...kernels, built_in: true },
    {
      path: 'usr',
      type: 'directory',
      mode: 0o750,
      uid: 1,
      gid: 2,
      links: 2,
      size: 0,
      sha256: null,
      ...times,
    },
    {
      path: 'usr/a',
      type: 'file',
      mode: 0o644,
      uid: 0,
      gid: 0,
      links: 1,
      size: 3,
      sha256: sha256('new'),
      ...times,
    },
    { path: 'usr/b', ...both, sha256: sha256('both'), ...times },
    { path: 'usr/c', ...both, sha256: sha256('both'), ...times },
  ]);
});

test('hard links: which names are one file, and what is in it', async () => {
  const two = { ino: 7, nlink: 2 };
  const [a, b] = [record({ name: 'a', ...two }), record({ name: 'b', ...two, data: 'data' })];
  for (const [what, bytes, links, size] of [
    ['in one archive', archive(a, b), 2, 4],
    ['over an end record', Buffer.concat([archive(a), archive(b)]), 1, 0],
    ['without one', Buffer.concat([a, archive(b)]), 2, 4],
    ['of one link each', archive(file('a', '', { ino: 7 }), file('b', 'data', { ino: 7 })), 1, 0],
    ['of another type', archive(record({ name: 'a', ...two, mode: 0o010600 }), b), 1, 0],
  ] as const) {
    const { tree } = await walked(bytes);
    const found = new Map(tree.entries()).get('a');
    assert.deepEqual([found?.links, found?.size], [links, size], what);
  }
});

test("a record of the kernel's own console is nothing to tell; a second one is", async () => {
  const console = record({ name: 'dev/console', mode: 0o020600, rdev: [5, 1] });
  const codes = async (bytes: Buffer) => (await walked(bytes)).findings.map(({ code }) => code);
  assert.deepEqual(await codes(archive(directory('dev'), console)), []);
  assert.deepEqual(await codes(archive(directory('dev'), console, console)), ['overwritten']);
});

test('for people: one line for each, and the status', async () => {
  writeFileSync(sandbox.at('bad'), archive(file('y/a\n')));
  const { code, text } = await sandbox.run(['image', 'verify', sandbox.at('bad')]);
  assert.equal(code, 1);
  assert.match(text, /^dropped y\/a\\x0a: its directory is not there/);
  writeFileSync(sandbox.at('good'), archive(file('a')));
  const good = await sandbox.ok(['image', 'verify', sandbox.at('good')]);
  assert.match(good.text, /good: 1 records, all unpacked as they say\n$/);
});

test('an image with nothing in it is none that is right', async () => {
  for (const bytes of [
    Buffer.alloc(0),
    Buffer.alloc(1 << 20),
    archive(),
    compressed('gzip', archive()),
  ]) {
    const { exit, ok, records, stop, entries } = await verified(bytes);
    assert.deepEqual([exit, ok, records, stop], [1, false, 0, null]);
    assert.ok(entries.length > 0, "the kernel's own");
    const { code, text } = await sandbox.run(['image', 'verify', sandbox.at('image')]);
    assert.equal(code, 1);
    assert.match(text, /image: 0 records, there is nothing in it\n$/);
  }
});

test('from a pipe, and of a hostile size: told, in bounded memory', async () => {
  const line =
    'head -c 600M /dev/zero | cat "$0" - | "$1" --max-old-space-size=200 "$2" image verify -';
  const big = Buffer.concat([record({ name: 'x', size: 0x20000000 })]);
  writeFileSync(sandbox.at('big'), big);
  const args = ['sh', '-c', line, sandbox.at('big'), ...sandbox.command([])] as const;
  const { code, text } = await sandbox.execute([...args]);
  assert.equal(code, 0, text);
});

test('cut off at every byte: never a crash, and the tree of what was there', async () => {
  const whole = archive(directory('a'), file('a/b', 'bytes'), link('a/c', 'b'), file('d'));
  for (let at = 0; at < whole.length; at++) {
    const { tree } = await walked(whole.subarray(0, at));
    assert.ok([...tree.entries()].length <= 8);
  }
});
