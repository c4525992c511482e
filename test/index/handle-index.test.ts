/** What the index knows of a tree, on every kind of file system that is commonly exported. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type { HandleIndex } from '../../src/fanotify-ts/handle-index.ts';
import { TraceError } from '../../src/common/errors.ts';
import { HandleIndex as Index } from '../../src/fanotify-ts/handle-index.ts';
import {
  KINDS,
  cannotMake,
  idOf,
  indexOf,
  liveTree,
  makeFileSystem,
  type MountedFileSystem,
} from './file-systems.ts';

function texts(paths: readonly Buffer[]): string[] {
  return paths.map((path) => path.toString('latin1'));
}

for (const kind of KINDS) {
  describe(`handle index on ${kind}`, { skip: cannotMake(kind) }, () => {
    let fs: MountedFileSystem;
    let root: string;
    let test = 0;
    before(() => (fs = makeFileSystem(kind)));
    after(() => fs.remove());

    /** A fresh directory to index. */
    function freshRoot(): string {
      root = `${fs.path}/root${test++}`;
      mkdirSync(root);
      return root;
    }

    it('knows an empty root', async () => {
      const index = await indexOf(freshRoot());
      assert.equal(index.objects, 1);
      assert.deepEqual(texts(index.pathsOf(0)), ['']);
      assert.equal(index.isDirectory(0), true);
      assert.equal(index.isGone(0), false);
      assert.equal(index.statOf(0)?.inode, lstatSync(root, { bigint: true }).ino);
      assert.equal(index.idOfHandle(index.handleOf(0)), 0);
      index.close();
    });

    it('knows every kind of object, and stats it like lstat', async () => {
      freshRoot();
      mkdirSync(`${root}/usr/bin`, { recursive: true });
      writeFileSync(`${root}/usr/bin/sh`, '#!', { mode: 0o4755 });
      chownSync(`${root}/usr/bin/sh`, 12, 34);
      symlinkSync('usr/bin', `${root}/bin`);
      symlinkSync('/nowhere', `${root}/dangling`);
      execFileSync('mkfifo', [`${root}/fifo`]);
      execFileSync('mknod', [`${root}/null`, 'c', '1', '3']);
      const index = await indexOf(root);
      const tree = liveTree(index);
      assert.deepEqual([...tree.keys()].sort(), [
        '',
        'bin',
        'dangling',
        'fifo',
        'null',
        'usr',
        'usr/bin',
        'usr/bin/sh',
      ]);
      for (const [path, id] of tree) {
        const real = lstatSync(`${root}/${path}`.replace(/\/$/, ''), { bigint: true });
        assert.deepEqual(index.statOf(id), {
          dev: Number(real.dev),
          inode: real.ino,
          mode: Number(real.mode),
          uid: Number(real.uid),
          gid: Number(real.gid),
          size: Number(real.size),
          mtimeNs: real.mtimeNs,
          ctimeNs: real.ctimeNs,
          nlink: Number(real.nlink),
          rdev: Number(real.rdev),
          birthNs: real.birthtimeNs,
          ...(real.isSymbolicLink() && {
            target: readlinkSync(`${root}/${path}`, { encoding: 'buffer' }),
          }),
        });
        assert.equal(index.isDirectory(id), real.isDirectory());
        assert.equal(index.idOfHandle(index.handleOf(id)), id);
      }
      index.close();
    });

    it('has one id for all names of a file, sorted by bytes', async () => {
      freshRoot();
      mkdirSync(`${root}/b`);
      mkdirSync(`${root}/a`);
      writeFileSync(`${root}/b/x`, '');
      linkSync(`${root}/b/x`, `${root}/a/y`);
      linkSync(`${root}/b/x`, `${root}/Z`);
      const index = await indexOf(root);
      const id = idOf(index, 'b/x');
      assert.deepEqual(texts(index.pathsOf(id)), ['Z', 'a/y', 'b/x']);
      unlinkSync(`${root}/a/y`);
      await index.walk();
      assert.deepEqual(texts(index.pathsOf(id)), ['Z', 'b/x']);
      index.close();
    });

    it('takes names as bytes', async () => {
      freshRoot();
      const names = ['a b', 'new\nline', '"quo\'te', '\xff\xfe', 'x'.repeat(255), ' ', '\\', '-'];
      for (const name of names) writeFileSync(Buffer.from(`${root}/${name}`, 'latin1'), '');
      const index = await indexOf(root);
      assert.deepEqual([...liveTree(index).keys()].sort(), ['', ...names].sort());
      for (const name of names) assert.equal(index.statOf(idOf(index, name))?.size, 0);
      index.close();
    });

    it('keeps ids over walks, and ids and last names of what is gone', async () => {
      freshRoot();
      mkdirSync(`${root}/d`);
      writeFileSync(`${root}/d/f`, '1');
      writeFileSync(`${root}/twice`, '');
      linkSync(`${root}/twice`, `${root}/d/again`);
      const index = await indexOf(root);
      const before = liveTree(index);
      const generation = index.namesGeneration;
      await index.walk();
      assert.deepEqual(liveTree(index), before);
      assert.equal(index.namesGeneration, generation);

      const [file, twice] = [idOf(index, 'd/f'), idOf(index, 'twice')];
      unlinkSync(`${root}/d/f`);
      unlinkSync(`${root}/twice`);
      unlinkSync(`${root}/d/again`);
      writeFileSync(`${root}/d/f`, '2');
      await index.walk();
      assert.ok(index.namesGeneration > generation);
      assert.equal(index.isGone(file), true);
      assert.equal(index.statOf(file), null);
      assert.deepEqual(texts(index.pathsOf(file)), ['d/f']);
      assert.equal(index.isGone(twice), true);
      assert.deepEqual(texts(index.pathsOf(twice)), ['d/again', 'twice']);
      // The same name, and perhaps the same inode number, is another object: another generation.
      assert.notEqual(idOf(index, 'd/f'), file);
      assert.equal(index.statOf(idOf(index, 'd/f'))?.size, 1);

      const below = idOf(index, 'd/f');
      rmSync(`${root}/d`, { recursive: true });
      await index.walk();
      assert.deepEqual([...liveTree(index).keys()], ['']);
      assert.equal(index.isGone(below), true);
      assert.deepEqual(texts(index.pathsOf(below)), ['d/f']);
      index.close();
    });

    it('moves everything below a moved directory at once', async () => {
      freshRoot();
      mkdirSync(`${root}/old/deep/er`, { recursive: true });
      mkdirSync(`${root}/new`);
      writeFileSync(`${root}/old/deep/er/f`, '');
      const index = await indexOf(root);
      const [directory, file] = [idOf(index, 'old/deep'), idOf(index, 'old/deep/er/f')];
      const [from, to] = [index.handleOf(idOf(index, 'old')), index.handleOf(idOf(index, 'new'))];

      renameSync(`${root}/old/deep`, `${root}/new/moved`);
      assert.equal(index.statOf(file), null);
      assert.equal(index.refreshDirectory(to), true);
      assert.deepEqual(texts(index.pathsOf(file)), ['new/moved/er/f']);
      assert.equal(index.statOf(file)?.size, 0);

      renameSync(`${root}/new/moved`, `${root}/old/back`);
      const object = index.handleOf(directory);
      assert.equal(index.forget({ parent: to, name: Buffer.from('moved') }), true);
      assert.equal(index.isGone(file), true);
      assert.deepEqual(texts(index.pathsOf(file)), ['new/moved/er/f']);
      index.learn({ parent: from, name: Buffer.from('back'), object, directory: true });
      assert.deepEqual(texts(index.pathsOf(file)), ['old/back/er/f']);
      assert.equal(index.isGone(file), false);

      renameSync(`${root}/old/back`, `${root}/walked`);
      await index.walk();
      assert.deepEqual(texts(index.pathsOf(file)), ['walked/er/f']);
      index.close();
    });

    it('learns what was there for a moment only', async () => {
      const index = await indexOf(freshRoot());
      writeFileSync(`${root}/moment`, '');
      const witness = await indexOf(root);
      unlinkSync(`${root}/moment`);
      const object = witness.handleOf(idOf(witness, 'moment'));
      witness.close();
      const parent = index.handleOf(0);
      const name = Buffer.from('moment');
      assert.equal(index.learn({ parent, name, object }), true);
      const id = index.idOfHandle(object);
      assert.deepEqual(texts(index.pathsOf(id)), ['moment']);
      assert.equal(index.refreshDirectory(parent), true);
      assert.equal(index.isGone(id), true);
      assert.deepEqual(texts(index.pathsOf(id)), ['moment']);
      assert.equal(index.isDirectory(id), false);
      index.close();
    });

    it('reads a moved-in tree by refreshing the directory it came to', async () => {
      freshRoot();
      const outside = `${fs.path}/outside${test}`;
      mkdirSync(`${outside}/in/in`, { recursive: true });
      writeFileSync(`${outside}/in/in/f`, '');
      const index = await indexOf(root);
      renameSync(outside, `${root}/tree`);
      assert.equal(index.refreshDirectory(index.handleOf(0)), true);
      assert.ok(liveTree(index).has('tree/in/in/f'));

      // Out, changed outside, and in again: what is below must be read again.
      const tree = index.handleOf(idOf(index, 'tree'));
      renameSync(`${root}/tree`, outside);
      index.refreshDirectory(index.handleOf(0));
      assert.deepEqual([...liveTree(index).keys()], ['']);
      writeFileSync(`${outside}/while-away`, '');
      renameSync(outside, `${root}/tree`);
      index.learn({ parent: index.handleOf(0), name: Buffer.from('tree'), object: tree });
      index.refreshDirectory(index.handleOf(0));
      assert.ok(liveTree(index).has('tree/while-away'));
      index.close();
    });

    it('finds a directory that moved unseen by listing above it', async () => {
      freshRoot();
      mkdirSync(`${root}/a/b/c`, { recursive: true });
      const index = await indexOf(root);
      const c = index.handleOf(idOf(index, 'a/b/c'));
      renameSync(`${root}/a/b`, `${root}/a/renamed`);
      writeFileSync(`${root}/a/renamed/c/f`, '');
      assert.equal(index.refreshDirectory(c), true);
      assert.ok(liveTree(index).has('a/renamed/c/f'));
      renameSync(`${root}/a/renamed/c`, `${fs.path}/away${test}`);
      assert.equal(index.refreshDirectory(c), false);
      assert.equal(index.isGone(index.idOfHandle(c)), true);
      index.close();
    });

    // tmpfs makes no such handles.
    if (kind !== 'tmpfs') {
      it('accepts handles that name the parent too', async () => {
        freshRoot();
        writeFileSync(`${root}/f`, '');
        const index = await indexOf(root);
        const { type, bytes } = index.handleOf(idOf(index, 'f'));
        const types: Record<number, number> = { 0x01: 0x02, 0x81: 0x82, 0x4d: 0x4e };
        const parent = index.handleOf(0).bytes.subarray(0, type === 0x4d ? 12 : undefined);
        const both = { type: types[type] ?? -1, bytes: Buffer.concat([bytes, parent]) };
        assert.equal(index.idOfHandle(both), idOf(index, 'f'));
        assert.equal(index.idOfHandle({ type: 0x77, bytes }), -1);
        assert.equal(index.idOfHandle({ type: 0x177, bytes: Buffer.alloc(300) }), -1);
        index.close();
      });
    }
  });
}

describe('opening a handle index', () => {
  const throwsCode = (root: string, code: string): void => {
    assert.throws(
      () => new Index({ root: Buffer.from(root) }).open(),
      (error: unknown) => error instanceof TraceError && error.code === code && error.hint !== '',
    );
  };
  it('says what is wrong with the root', () => {
    throwsCode('/no/such/root', 'root-not-found');
    throwsCode('/etc/passwd', 'root-not-a-directory');
    throwsCode('/etc\0', 'root-open-failed');
  });

  it('is needed before anything else, and close() ends it', async () => {
    const index: HandleIndex = new Index({ root: Buffer.from('/etc') });
    const closed = (error: unknown): boolean =>
      error instanceof TraceError && error.code === 'index-closed';
    assert.throws(() => index.objects, closed);
    index.open();
    const walking = index.walk();
    index.close();
    index.close();
    await assert.rejects(walking, closed);
    await assert.rejects(index.walk(), closed);
  });

  it('refuses an id that was never given', async () => {
    const index = await indexOf('/etc/default');
    for (const id of [-1, index.objects, 0.5, NaN]) {
      assert.throws(() => index.pathsOf(id), RangeError);
    }
    index.close();
  });
});
