/**
 * Handles that name a file's directory too, as exports with subtree_check give them out: one hash
 * for each directory that the file is or was in.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import type { FileHandle } from '../../src/common/batches.ts';
import { HandleIndex } from '../../src/fanotify-ts/handle-index.ts';
import { handleHash } from '../../src/attribution/handle.ts';
import { lacks } from '../capabilities.ts';
import { cannotMake, idOf, indexOf, makeFileSystem, type FileSystemKind } from './file-systems.ts';

const UUID = { fsidType: 6, fsid: Buffer.from('cf47aae3f0914fc1a1b2c3d4e5f60718', 'hex') };

/** The kernel's own answer, by AT_HANDLE_CONNECTABLE (Linux 6.13); null where there is none. */
const ASK = `
import ctypes, errno, sys
libc = ctypes.CDLL(None, use_errno=True)
room = (ctypes.c_uint8 * 136)()
size = ctypes.cast(room, ctypes.POINTER(ctypes.c_uint32))
size[0] = 128
mount = ctypes.c_int()
if libc.name_to_handle_at(-100, sys.argv[1].encode(), room, ctypes.byref(mount), 2) != 0:
    assert ctypes.get_errno() in (errno.EINVAL, errno.EOPNOTSUPP), ctypes.get_errno()
    print()
else:
    print(size[1] & 0xff, bytes(room[8:8 + size[0]]).hex())
`;

function kernelHandle(path: string): FileHandle | null {
  const [type, hex] = execFileSync('python3', ['-c', ASK, path], { encoding: 'utf8' }).split(/\s/);
  return hex === undefined || hex === ''
    ? null
    : { type: Number(type), bytes: Buffer.from(hex, 'hex') };
}

/** By the layouts in include/linux/exportfs.h and fs/btrfs/export.h. */
function withParent(own: FileHandle, parent: FileHandle): FileHandle {
  const tail =
    own.type === 0x4d
      ? Buffer.concat([parent.bytes.subarray(0, 8), parent.bytes.subarray(16, 20)])
      : parent.bytes;
  return { type: own.type + 1, bytes: Buffer.concat([own.bytes, tail]) };
}

for (const kind of ['ext4', 'xfs', 'btrfs'] as const)
  describe(`handles with parents on ${kind}`, { skip: cannotMake(kind) }, () => {
    let disk: ReturnType<typeof makeFileSystem>;
    let index: HandleIndex;
    before(async () => {
      disk = makeFileSystem(kind);
      for (const name of ['one', 'two', 'three']) mkdirSync(`${disk.path}/${name}`);
      writeFileSync(`${disk.path}/one/file`, 'x');
      linkSync(`${disk.path}/one/file`, `${disk.path}/two/link`);
      symlinkSync('file', `${disk.path}/one/symlink`);
      index = await indexOf(disk.path);
      index.addExportKey(UUID, { withParents: true });
    });
    after(() => {
      index.close();
      disk.remove();
    });

    const handleOf = (path: string): FileHandle => index.handleOf(idOf(index, path));
    const hash = (path: string, directory: string): number =>
      handleHash({ ...UUID, handle: withParent(handleOf(path), handleOf(directory)) });

    it('are those that the kernel makes', () => {
      const made = kernelHandle(`${disk.path}/two/link`);
      if (made !== null) assert.deepEqual(withParent(handleOf('two/link'), handleOf('two')), made);
    });

    it('lead to the file from each directory that it is in, and to nothing from others', () => {
      const file = [idOf(index, 'one/file')];
      assert.deepEqual(index.idsOfHash(hash('one/file', 'one')), file);
      assert.deepEqual(index.idsOfHash(hash('one/file', 'two')), file);
      assert.deepEqual(index.idsOfHash(hash('one/file', 'three')), []);
      assert.deepEqual(index.idsOfHash(hash('one/symlink', 'one')), [idOf(index, 'one/symlink')]);
      // A directory's handle has no parent in it (exportfs_encode_fh()).
      const two = handleHash({ ...UUID, handle: handleOf('two') });
      assert.deepEqual(index.idsOfHash(two), [idOf(index, 'two')]);
      assert.deepEqual(index.idsOfHash(hash('two', '')), []);
    });

    it('follow what is created and moved, and keep what was given out', () => {
      writeFileSync(`${disk.path}/one/later`, '');
      index.refreshDirectory(handleOf('one'));
      const later = [idOf(index, 'one/later')];
      const given = hash('one/later', 'one');
      assert.deepEqual(index.idsOfHash(given), later);
      renameSync(`${disk.path}/one/later`, `${disk.path}/three/moved`);
      for (const directory of ['one', 'three']) index.refreshDirectory(handleOf(directory));
      assert.deepEqual(index.idsOfHash(given), later);
      assert.deepEqual(index.idsOfHash(hash('three/moved', 'three')), later);
    });

    it('come to a key that had none', async () => {
      const other = await indexOf(disk.path);
      other.addExportKey(UUID);
      assert.deepEqual(other.idsOfHash(hash('one/file', 'two')), []);
      other.addExportKey(UUID, { withParents: true });
      assert.deepEqual(other.idsOfHash(hash('one/file', 'two')), [idOf(other, 'one/file')]);
      assert.deepEqual(other.idsOfHash(handleHash({ ...UUID, handle: null })), [0]);
      // What clients were given they go on using.
      other.addExportKey(UUID);
      assert.deepEqual(other.idsOfHash(hash('one/file', 'two')), [idOf(other, 'one/file')]);
      other.close();
    });
  });

describe('files that are moved for ever', { skip: lacks('handles') }, () => {
  it('do not make the index grow: directories that they have left are forgotten', () => {
    const folder = mkdtempSync(join(tmpdir(), 'parents-'));
    const index = new HandleIndex({ root: Buffer.from(folder) });
    index.open();
    index.addExportKey(UUID, { withParents: true });
    const made = (tag: number, number: number): FileHandle => {
      const bytes = Buffer.alloc(8);
      bytes.writeUInt32LE(number, 0);
      bytes.writeUInt32LE(tag, 4);
      return { type: 1, bytes };
    };
    const [directories, files] = [300, 300];
    for (let d = 0; d < directories; d++)
      index.learn({
        parent: index.handleOf(0),
        name: Buffer.from(`d${d}`),
        object: made(1, d),
        directory: true,
      });
    const hash = (file: number, directory: number): number =>
      handleHash({ ...UUID, handle: withParent(made(2, file), made(1, directory)) });
    for (let d = 0; d < directories; d++)
      for (let f = 0; f < files; f++) {
        const name = Buffer.from(`f${f}`);
        index.learn({ parent: made(1, d), name, object: made(2, f), directory: false });
        if (d > 0) index.forget({ parent: made(1, d - 1), name });
      }
    for (let f = 0; f < files; f++) {
      const found = [index.idOfHandle(made(2, f))];
      assert.deepEqual(index.idsOfHash(hash(f, directories - 1)), found);
      assert.deepEqual(index.idsOfHash(hash(f, directories - 2)), found, 'left lately');
      assert.deepEqual(index.idsOfHash(hash(f, 0)), [], 'left long ago');
    }
    index.close();
    rmSync(folder, { recursive: true });
  });
});

describe('handles with parents on tmpfs', { skip: cannotMake('tmpfs') }, () => {
  it('do not exist: they are the usual ones', async () => {
    const disk = makeFileSystem('tmpfs' satisfies FileSystemKind);
    writeFileSync(`${disk.path}/file`, '');
    const index = await indexOf(disk.path);
    index.addExportKey(UUID, { withParents: true });
    const made = kernelHandle(`${disk.path}/file`);
    const own = index.handleOf(idOf(index, 'file'));
    if (made !== null) assert.deepEqual(own, made);
    assert.deepEqual(index.idsOfHash(handleHash({ ...UUID, handle: own })), [idOf(index, 'file')]);
    index.close();
    disk.remove();
  });
});
