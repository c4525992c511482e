/** `trace image extract`: the same files as others extract, and never one outside of the folder. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { compareBytes } from '../../../src/common/bytes.ts';
import { lacks } from '../../capabilities.ts';
import { TraceSandbox } from '../../support/trace-sandbox.ts';
import { allPaths, makeTree, run, sha256, temporaryFolder } from '../support.ts';
import { compressed } from './compressed.ts';
import { archive, directory, file, link, record } from './craft.ts';

let sandbox: TraceSandbox;
let serial = 0;
before(() => {
  sandbox = new TraceSandbox();
});
after(() => sandbox.remove());

function put(bytes: Buffer): string {
  writeFileSync(sandbox.at('image'), bytes);
  return sandbox.at('image');
}

/** A folder that does not exist yet, in one of its own. */
function fresh(): { outside: string; inside: string } {
  const outside = sandbox.at(`place-${serial++}`);
  mkdirSync(outside);
  return { outside, inside: join(outside, 'files') };
}

/** All that can be told of a tree. */
function told(root: string): string[] {
  return allPaths(root)
    .sort(compareBytes)
    .map((path) => {
      const full = Buffer.concat([Buffer.from(`${root}/`), path]);
      const { mode, uid, gid, rdev, nlink, mtimeMs } = lstatSync(full);
      const type = mode & 0o170000;
      const content =
        type === 0o100000
          ? sha256(readFileSync(full))
          : type === 0o120000
            ? readlinkSync(full, 'latin1')
            : '';
      const links = type === 0o040000 ? 0 : nlink;
      return [path.toString('latin1'), mode, uid, gid, rdev, links, mtimeMs, content].join(' ');
    });
}

describe('everything', { skip: lacks('root') }, () => {
  test('as bsdcpio extracts it: types, modes, owners, devices, times, hard links', async (t) => {
    const folder = temporaryFolder(t);
    const root = join(folder, 'root');
    makeTree(root);
    const paths = [...allPaths(root)].sort(compareBytes);
    const input = Buffer.concat(paths.flatMap((path) => [path, Buffer.from([0])]));
    const image = put(run('cpio', ['-o', '-0', '-H', 'newc', '--quiet'], { cwd: root, input }));
    const { inside } = fresh();
    const all = ['--owners', '--devices', '--set-id'];
    await sandbox.ok(['image', 'extract', image, '-C', inside, ...all]);
    assert.deepEqual(told(inside), told(root));
    const theirs = join(folder, 'theirs');
    mkdirSync(theirs);
    run('bsdcpio', ['-i', '-d', '-m', '--quiet'], { cwd: theirs, input: readFileSync(image) });
    const without = (lines: string[]) => lines.map((line) => line.split(' ').slice(0, 1));
    assert.deepEqual(without(told(inside)), without(told(theirs)));
  });
});

test('without root: what is not done is counted', async () => {
  const image = put(
    archive(
      directory('d', { mode: 0o040555, uid: 7 }),
      file('d/su', 'x', { mode: 0o104755, uid: 7 }),
      record({ name: 'null', mode: 0o020666, rdev: [1, 3] }),
      record({ name: 'sock', mode: 0o140666 }),
      record({ name: 'fifo', mode: 0o010640 }),
      link('empty', ''),
      link('gone', ''),
      record({ name: 'gone', mode: 0o140666 }),
      file('y/a'),
    ),
  );
  const { inside } = fresh();
  const { json, stderr } = await sandbox.ok(['image', 'extract', image, '-C', inside, '--json']);
  const { skipped, dropped, entries } = json as Record<string, unknown>;
  assert.deepEqual(
    [skipped, dropped, entries],
    [{ devices: 1, sockets: 2, empty_links: 1, set_id: 1 }, 1, 3],
  );
  assert.equal(stderr.match(/^warning:/gm)?.length, 5);
  assert.equal(lstatSync(join(inside, 'd/su')).mode, 0o100755);
  assert.equal(lstatSync(join(inside, 'd')).mode, 0o040555);
  assert.equal(lstatSync(join(inside, 'd/su')).uid, process.getuid?.());
  assert.ok(lstatSync(join(inside, 'fifo')).isFIFO());
  assert.deepEqual(readdirSync(inside).sort(), ['d', 'fifo']);
});

test('a root that its owner may not enter', { skip: lacks('root') }, async () => {
  const { inside } = fresh();
  mkdirSync(inside);
  chownSync(inside, 65534, 65534);
  const image = put(archive(directory('.', { mode: 0o040644 }), file('a')));
  await sandbox.ok(['image', 'extract', image, '-C', inside], { prefix: sandbox.asNobody() });
  const { mode, mtimeMs } = lstatSync(inside);
  assert.deepEqual([mode, mtimeMs], [0o040644, 1_000_000_000_000]);
});

describe('nothing is written outside', () => {
  let outside: string;
  let inside: string;
  beforeEach(() => {
    ({ outside, inside } = fresh());
    mkdirSync(join(outside, 'victim'));
    writeFileSync(join(outside, 'victim/file'), 'safe');
  });
  const victim = (): string => join(outside, 'victim');
  const hostile: Readonly<Record<string, () => Buffer>> = {
    'names with ..': () =>
      archive(file('../victim/file', 'bad'), file('../../x', 'bad'), file('../new')),
    'absolute names': () => archive(file(`${victim()}/file`, 'bad'), file('/new')),
    'a file behind a link': () =>
      archive(link('out', victim()), file('out/file', 'bad'), file('out/new')),
    'a file behind a relative link': () =>
      archive(link('out', '../victim'), file('out/file', 'bad')),
    'a link that comes back': () =>
      archive(directory('out'), file('out/a'), link('b', '../victim'), file('b/file', 'bad')),
    'a file in the place of a link': () =>
      archive(link('file', `${victim()}/file`), file('file', 'bad')),
    'a directory in the place of a link': () =>
      archive(link('out', victim()), directory('out', { mode: 0o040777 }), file('out/file')),
    'a hard link to outside': () =>
      archive(
        link('l', `${victim()}/file`),
        record({ name: 'l', ino: 5, nlink: 2 }),
        record({ name: 'm', ino: 5, nlink: 2, data: 'bad' }),
      ),
    'a hard link to a link': () =>
      archive(
        record({ name: 'a', ino: 5, nlink: 2 }),
        link('a', `${victim()}/file`),
        record({ name: 'b', ino: 5, nlink: 2, data: 'bad' }),
      ),
    'a device that is a link': () =>
      archive(link('n', `${victim()}/file`), record({ name: 'n', mode: 0o020777, rdev: [1, 3] })),
    'the root a link': () => archive(link('.', victim()), file('file', 'bad')),
    'a name twice, by another path': () =>
      archive(directory('d'), link('d/../l', victim()), file('d/../l/file', 'bad')),
  };
  for (const [what, bytes] of Object.entries(hostile))
    test(what, async () => {
      await sandbox.run(['image', 'extract', put(bytes()), '-C', inside]);
      assert.deepEqual(readdirSync(outside).sort(), ['files', 'victim']);
      assert.deepEqual(readdirSync(victim()), ['file']);
      assert.equal(readFileSync(join(victim(), 'file'), 'utf8'), 'safe');
      assert.equal(lstatSync(join(victim(), 'file')).mode & 0o7777, 0o644);
    });

  test('a folder with something in it, or of another', async () => {
    mkdirSync(inside);
    symlinkSync(victim(), join(inside, 'etc'));
    await sandbox.fails(['image', 'extract', put(archive(file('a'))), '-C', inside], {
      code: 73,
      message: /not empty/,
      hint: /does not exist yet/,
    });
    assert.equal(existsSync(join(inside, 'a')), false);
    await sandbox.fails(
      ['image', 'extract', put(archive(file('a'))), '-C', join(inside, 'no/such')],
      {
        code: 73,
        message: /cannot extract to/,
      },
    );
    await sandbox.fails(['image', 'extract', put(archive(file('a')))], { code: 64, message: /-C/ });
  });
});

test('owners and devices: as root alone', { skip: lacks('root') }, async () => {
  const { inside } = fresh();
  const image = put(archive(file('a')));
  for (const option of ['--owners', '--devices'])
    await sandbox.fails(
      ['image', 'extract', image, '-C', inside, option],
      { code: 77, message: /only root/, hint: new RegExp(option) },
      { prefix: sandbox.asNobody() },
    );
  assert.equal(existsSync(inside), false);
});

test('all parts, from a pipe, into an empty folder that is there', async () => {
  const { inside } = fresh();
  mkdirSync(inside);
  chmodSync(inside, 0o755);
  const bytes = Buffer.concat([
    archive(directory('d'), file('d/a', 'old')),
    compressed('zstd', archive(file('d/a', 'new'), file('dev/x'))),
  ]);
  const line = 'cat "$0" | "$2" "$3" image extract - -C "$1"';
  const args = ['sh', '-c', line, put(bytes), inside, ...sandbox.command([])] as const;
  assert.equal((await sandbox.execute([...args])).code, 0);
  assert.equal(readFileSync(join(inside, 'd/a'), 'utf8'), 'new');
  assert.deepEqual(readdirSync(inside).sort(), ['d', 'dev']);
  assert.equal(lstatSync(inside).mode & 0o7777, 0o755);
});

test('a broken one: what was there, and status 65', async () => {
  const { inside } = fresh();
  const bytes = archive(file('a'), file('b', 'data')).subarray(0, 250);
  await sandbox.fails(['image', 'extract', put(bytes), '-C', inside], {
    code: 65,
    message: /is broken/,
  });
  assert.equal(readFileSync(join(inside, 'a'), 'utf8'), 'a');
});
