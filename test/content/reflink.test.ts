/** Kept content shares its blocks with the root where the file system can, and is a copy elsewhere. */
import assert from 'node:assert/strict';
import {
  closeSync,
  constants,
  fstatSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { copyFile } from '../../src/fanotify-ts/copy-file.ts';
import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { put, run, temporaryFolder } from '../image/support.ts';
import { cannotMake, makeFileSystem } from '../index/file-systems.ts';
import { filesOf, imageOf, keep } from './support.ts';

const BIG = 40 << 20;

for (const [kind, shares] of [
  ['xfs', true],
  ['btrfs', true],
  ['ext4', false],
] as const)
  describe(kind, { skip: cannotMake(kind) }, () => {
    it(`${shares ? 'shares' : 'copies'} what is kept, and an image has what was there`, async (t) => {
      const disk = makeFileSystem(kind);
      t.after(() => disk.remove());
      const root = join(disk.path, 'root');
      put(join(root, 'init'), 'exec x\n');
      put(join(root, 'big'), Buffer.alloc(BIG, 'big'));
      run('sync', ['-f', disk.path]);
      const used = () => {
        run('sync', ['-f', disk.path]);
        const { blocks, bfree, bsize } = statfsSync(disk.path);
        return (blocks - bfree) * bsize;
      };
      const before = used();
      const files = filesOf(root);
      const image = await imageOf(t, files, { root });
      const folder = join(disk.path, 'content');
      const { added } = await keep({ root, folder });
      assert.deepEqual([added.blobs, added.shared], [2, shares ? 2 : 0]);
      const grown = used() - before;
      if (shares) assert.ok(grown < BIG / 4, `${grown} bytes`);
      else assert.ok(grown >= BIG, `${grown} bytes`);
      writeFileSync(join(root, 'big'), Buffer.alloc(BIG, 'new'));
      assert.ok((await imageOf(t, files, { folder })).equals(image));
      // On another file system nothing can be shared.
      const elsewhere = await keep({ root, folder: join(temporaryFolder(t), 'content') });
      assert.equal(elsewhere.added.shared, 0);
    });
  });

describe('a copy', () => {
  it('is none of a file that is not the one that was looked at', async (t) => {
    const root = temporaryFolder(t);
    put(join(root, 'file'), 'content');
    const tree = NativeTree.open(root);
    const { O_CREAT, O_RDWR } = constants;
    const fd = openSync(join(temporaryFolder(t), 'copy'), O_CREAT | O_RDWR);
    t.after(() => {
      closeSync(fd);
      tree.close();
    });
    const path = Buffer.from('file');
    const stat = tree.lstat(path);
    assert.ok(stat !== null);
    const copy = (more: object) =>
      copyFile({ tree, path, stat: { ...stat, ...more }, fd, leave: 0 });
    for (const more of [{ size: 6 }, { ino: 1n }, { ctimeNsec: 1 }, { mtime: 5 }])
      await assert.rejects(copy(more), { code: 'drift' }, Object.keys(more).join());
    await copy({});
    await assert.rejects(copyFile({ tree, path: Buffer.from('none'), stat, fd, leave: 0 }), {
      code: 'drift',
    });
    await assert.rejects(copyFile({ tree, path: Buffer.from('../x'), stat, fd, leave: 0 }), {
      code: 'root-unreadable',
    });
  });

  it('writes nothing if too little would be left', { skip: cannotMake('tmpfs') }, async (t) => {
    const place = mkdtempSync(join(tmpdir(), 'small-'));
    run('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'none', place]);
    const root = temporaryFolder(t);
    put(join(root, 'big'), Buffer.alloc(6 << 20, 'big'));
    const tree = NativeTree.open(root);
    const fd = openSync(join(place, 'copy'), constants.O_CREAT | constants.O_RDWR);
    t.after(() => {
      tree.close();
      closeSync(fd);
      run('umount', [place]);
      rmSync(place, { recursive: true });
    });
    const path = Buffer.from('big');
    const stat = tree.lstat(path);
    assert.ok(stat !== null);
    const copy = (leave: number) => copyFile({ tree, path, stat, fd, leave });
    await assert.rejects(copy((2 << 20) + 1), { code: 'output-full' });
    assert.equal(fstatSync(fd).size, 0);
    assert.equal(await copy(2 << 20), false);
    assert.equal(fstatSync(fd).size, 6 << 20);
  });

  it('says that no space is left', { skip: cannotMake('tmpfs') }, async (t) => {
    const place = mkdtempSync(join(tmpdir(), 'small-'));
    run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'none', place]);
    t.after(() => {
      run('umount', [place]);
      rmSync(place, { recursive: true });
    });
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'big'), Buffer.alloc(2 << 20, 'big'));
    await assert.rejects(keep({ root, folder: join(place, 'content') }), {
      code: 'content-no-space',
      exit: 'io',
    });
    put(join(root, 'big'), Buffer.alloc(1000 << 10, 'big'));
    // It would fit, and nothing else would any more.
    await assert.rejects(keep({ root, folder: join(place, 'content') }), {
      code: 'content-no-space',
    });
  });
});
