/** The native tree: what it reads, and that nothing leads it out of the root. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { TraceError } from '../../src/common/errors.ts';
import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { fromBytes } from '../../src/image/resolve.ts';
import {
  allPaths,
  HOSTILE_NAMES,
  makeTree,
  openTree,
  put,
  run,
  temporaryFolder,
} from './support.ts';
import { lacks } from '../capabilities.ts';

const path = (text: string): Buffer => Buffer.from(text, 'latin1');
const withCode = (code: string) => (error: unknown) =>
  error instanceof TraceError && error.code === code;

describe('a root', () => {
  it('tells of each name what lstat does', (t) => {
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    const tree = openTree(t, root);
    for (const [name, type, mode] of [
      ['', 'directory', 0o755],
      ['tmp', 'directory', 0o1777],
      ['usr/bin/sudo', 'file', 0o4755],
      ['etc/absolute', 'symlink', 0o777],
      ['var/fifo', 'fifo', 0o640],
    ] as const) {
      const stat = tree.lstat(path(name));
      assert.deepEqual([stat?.type, stat?.mode, stat?.foreign], [type, mode, false], name);
    }
    const tool = tree.lstat(path('usr/bin/tool'));
    const real = statSync(join(root, 'usr/bin/tool'), { bigint: true });
    assert.equal(tool?.ino, real.ino);
    assert.equal(tool.size, 300_001);
    assert.equal(tool.mtime, Number(real.mtimeMs / 1000n));
    for (const name of HOSTILE_NAMES)
      assert.equal(tree.lstat(path(`odd/${name}`))?.size, Buffer.byteLength(name), name);
    assert.deepEqual(
      tree.list(path('odd')).map((name) => name.toString('latin1')),
      [...HOSTILE_NAMES].sort(),
    );
    assert.equal(tree.readlink(path('etc/absolute')).toString(), '/usr/bin/tool');
    assert.equal(tree.read(path('etc/abcd'), 1, 100).toString(), 'bcd');
  });

  it('has null for what is not there, is below a file, or is only behind a link', (t) => {
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    const tree = openTree(t, root);
    for (const name of ['nope', 'nope/deeper', 'init/x', 'lib/hard1', 'x'.repeat(256)])
      assert.equal(tree.lstat(path(name)), null, name);
    assert.notEqual(tree.lstat(path('usr/lib/hard1')), null);
  });

  it('gives the same answers about many paths at once', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    run('setfattr', ['-n', 'user.note', '-v', 'x', join(root, 'etc/ab')]);
    run('setfattr', ['-n', 'user.note', '-v', 'x', join(root, 'usr')]);
    const tree = openTree(t, root);
    const odd = [
      'nope',
      'init/x',
      'lib/hard1',
      'x'.repeat(256),
      'a\0b',
      '..',
      'usr/../etc',
      '/etc',
    ];
    const paths = [path(''), ...allPaths(root), ...odd.map(path)];
    const surveyed = await tree.survey(paths.map(fromBytes));
    const told = (ask: () => unknown): unknown => {
      try {
        return ask();
      } catch (error) {
        return error instanceof TraceError ? error.code : error;
      }
    };
    for (const one of [...paths, path('not/surveyed')]) {
      assert.deepEqual(
        told(() => surveyed.lstat(one)),
        told(() => tree.lstat(one)),
        one.toString(),
      );
      for (const [offset, length] of [
        [0, 2],
        [0, 4],
        [0, 5],
        [1, 4],
        [0, 400],
      ] as const)
        assert.deepEqual(
          told(() => surveyed.read(one, offset, length)),
          told(() => tree.read(one, offset, length)),
          one.toString(),
        );
      assert.deepEqual(
        told(() => surveyed.attributes(one)),
        told(() => tree.attributes(one)),
        one.toString(),
      );
    }
    assert.deepEqual(surveyed.attributes(path('usr')), ['user.note']);
    assert.deepEqual(surveyed.list(path('odd')), tree.list(path('odd')));
    assert.deepEqual(await surveyed.symlinks(), await tree.symlinks());
  });

  it('opens no fifo and no device for what it is asked about many paths', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    const tree = openTree(t, root);
    rmSync(join(root, 'etc'), { recursive: true });
    symlinkSync('/etc', join(root, 'etc'));
    const surveyed = await tree.survey(['var/fifo', 'etc/passwd']);
    assert.equal(surveyed.lstat(path('var/fifo'))?.type, 'fifo');
    assert.equal(surveyed.lstat(path('etc/passwd')), null);
    assert.throws(() => surveyed.read(path('etc/passwd'), 0, 4), withCode('not-in-root'));
  });

  it('refuses paths that are not plain', (t) => {
    const tree = openTree(t, temporaryFolder(t));
    for (const name of ['/etc', '..', '../etc', 'a/../b', 'a//b', './a', 'a/', 'a\0b'])
      assert.throws(() => tree.lstat(path(name)), withCode('root-unreadable'), name);
  });

  it('finds all symbolic links, sorted', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    const links = await openTree(t, root).symlinks();
    assert.deepEqual(
      links.map((link) => link.path.toString()),
      [
        'bin',
        'etc/absolute',
        'etc/chain1',
        'etc/chain2',
        'etc/dangling',
        'etc/long',
        'etc/loop1',
        'etc/loop2',
        'lib',
      ],
    );
    assert.equal(links[1]?.target.toString(), '/usr/bin/tool');
  });

  it('survives a tree deeper than any path', async (t) => {
    const root = temporaryFolder(t);
    const dig = `for (let i = 0; i < 300; i++) {
        fs.mkdirSync('${'d'.repeat(60)}');
        process.chdir('${'d'.repeat(60)}');
      }
      fs.symlinkSync('x', 'y');`;
    run(process.execPath, ['-e', dig], { cwd: root });
    try {
      put(join(root, 'a/b'), '');
      symlinkSync('b', join(root, 'a/c'));
      const links = await openTree(t, root).symlinks();
      assert.deepEqual(
        links.map((link) => link.path.toString()),
        ['a/c'],
      );
    } finally {
      run('rm', ['-rf', join(root, 'd'.repeat(60))]);
    }
  });

  it('never waits for a fifo, and never reads one', (t) => {
    const root = temporaryFolder(t);
    run('mkfifo', [join(root, 'fifo')]);
    assert.throws(() => openTree(t, root).read(path('fifo'), 0, 1), withCode('root-unreadable'));
  });

  it('leaves access times alone', { skip: lacks('root') }, (t) => {
    const root = temporaryFolder(t);
    const file = join(root, 'file');
    writeFileSync(file, 'x');
    utimesSync(file, 1000, 2000);
    openTree(t, root).read(path('file'), 0, 1);
    assert.equal(statSync(file).atimeMs, 1_000_000);
  });

  it('never follows a directory that became a link', (t) => {
    const folder = temporaryFolder(t);
    const root = join(folder, 'root');
    put(join(root, 'etc/passwd'), 'inside');
    put(join(folder, 'outside/passwd'), 'outside');
    const tree = openTree(t, root);
    renameSync(join(root, 'etc'), join(root, 'was'));
    symlinkSync(join(folder, 'outside'), join(root, 'etc'));
    assert.equal(tree.lstat(path('etc/passwd')), null);
    assert.throws(() => tree.read(path('etc/passwd'), 0, 9), withCode('not-in-root'));
    assert.throws(() => tree.list(path('etc')), withCode('not-in-root'));
  });

  it('says when a link became something else, and when a path is too long for anybody', (t) => {
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'etc/passwd'), 'inside');
    const tree = openTree(t, root);
    assert.throws(() => tree.readlink(path('etc/passwd')), {
      code: 'not-in-root',
      message: /it is not there as a link any more$/,
      hint: /try again/,
    });
    const long = path(`etc/${'n/'.repeat(3000)}end`);
    assert.throws(() => tree.read(long, 0, 1), withCode('path-too-long'));
  });
});

describe('a root that cannot be read', () => {
  it('is an error with a hint', (t) => {
    const folder = temporaryFolder(t);
    writeFileSync(join(folder, 'file'), '');
    for (const name of ['missing', 'file'])
      assert.throws(
        () => NativeTree.open(join(folder, name)),
        (error: unknown) =>
          error instanceof TraceError &&
          error.code === 'root-not-found' &&
          error.exit === 'notFound' &&
          error.hint !== undefined,
      );
  });

  it('does not hide links in a directory that may not be read', async (t) => {
    const root = temporaryFolder(t);
    mkdirSync(join(root, 'closed'), { mode: 0o700 });
    chmodSync(root, 0o755);
    // Root may read anything: ask as somebody else, in a process of its own.
    const script = `
      if (process.getuid() === 0) { process.setgroups([]); process.setgid(65534); process.setuid(65534); }
      else (await import('node:fs')).chmodSync(${JSON.stringify(join(root, 'closed'))}, 0);
      const { NativeTree } = loaded;
      await NativeTree.open(${JSON.stringify(root)}).symlinks().then(
        () => console.log('read it'), (error) => console.log(error.code, error.exit));`;
    const face = join(import.meta.dirname, '../../src/fanotify-ts/tree.ts');
    const done = spawnSync(process.execPath, [
      '--input-type=module',
      '-e',
      `const loaded = await import(${JSON.stringify(face)});${script}`,
    ]);
    chmodSync(join(root, 'closed'), 0o700);
    assert.equal(done.stdout.toString(), 'root-not-readable permission\n', done.stderr.toString());
    await Promise.resolve();
  });
});

describe('other file systems in a root', () => {
  it('are not entered, and are marked', { skip: lacks('root', 'mount') }, async (t) => {
    const root = temporaryFolder(t);
    mkdirSync(join(root, 'proc'));
    const mounted = spawnSync('mount', ['-t', 'tmpfs', 'tmpfs', join(root, 'proc')]);
    assert.equal(mounted.status, 0, mounted.stderr.toString());
    try {
      put(join(root, 'proc/inside'), '');
      symlinkSync('inside', join(root, 'proc/link'));
      const tree = NativeTree.open(root);
      assert.equal(tree.lstat(path('proc'))?.foreign, true);
      assert.equal(tree.lstat(path('proc/inside')), null);
      assert.deepEqual(await tree.symlinks(), []);
      tree.close();
      // A mount point given as the root is simply the root.
      const itself = NativeTree.open(join(root, 'proc'));
      assert.equal(itself.lstat(path(''))?.foreign, false);
      assert.notEqual(itself.lstat(path('inside')), null);
      itself.close();
    } finally {
      run('umount', [join(root, 'proc')]);
      rmSync(join(root, 'proc'), { recursive: true });
    }
  });

  it('are entered where they are named', { skip: lacks('root', 'mount') }, async (t) => {
    const folder = temporaryFolder(t);
    const root = join(folder, 'root');
    put(join(root, 'a/below'), 'hidden by the mount');
    put(join(folder, 'secret'), 'outside');
    const mount = (at: string): void => {
      mkdirSync(join(root, at), { recursive: true });
      run('mount', ['-t', 'tmpfs', 'tmpfs', join(root, at)]);
    };
    mount('a');
    try {
      put(join(root, 'a/d/file'), 'on the first');
      symlinkSync('file', join(root, 'a/d/link'));
      symlinkSync('../../secret', join(root, 'a/out'));
      mount('a/d/m');
      put(join(root, 'a/d/m/deep/er/file'), 'on the second');
      mount('a/other');
      put(join(root, 'a/other/file'), 'not named');
      const mounts = ['a/d/m', 'a', 'gone', 'gone/too'].map(path);
      const tree = NativeTree.open(root, { mounts });
      assert.equal(tree.lstat(path('a'))?.foreign, false);
      assert.equal(tree.lstat(path('a/d/m'))?.foreign, false);
      assert.equal(tree.lstat(path('a/below')), null);
      // To and fro, as the open directories on the way are kept.
      for (const round of [1, 2]) {
        assert.equal(
          String(tree.read(path('a/d/m/deep/er/file'), 0, 99)),
          'on the second',
          `${round}`,
        );
        assert.equal(String(tree.read(path('a/d/file'), 0, 99)), 'on the first');
        assert.deepEqual(tree.list(path('a/d')).map(String), ['file', 'link', 'm']);
        assert.deepEqual(tree.list(path('a/d/m')).map(String), ['deep']);
      }
      assert.equal(tree.lstat(path('a/other'))?.foreign, true);
      assert.equal(tree.lstat(path('a/other/file')), null);
      // A link is never followed, so none leads out.
      assert.equal(tree.lstat(path('a/out/x')), null);
      const links = (await tree.symlinks()).map((link) => String(link.path));
      assert.deepEqual(links, ['a/d/link', 'a/out']);
      tree.close();
    } finally {
      run('umount', ['--recursive', join(root, 'a')]);
    }
  });
});
