/** The hash of an NFS handle, and what the index finds by it. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { crc32 } from 'node:zlib';
import { TraceError } from '../../src/common/errors.ts';
import { HandleIndex } from '../../src/fanotify-ts/handle-index.ts';
import { idOf, indexOf } from './file-systems.ts';

const FSID_0 = { fsidType: 1, fsid: Buffer.alloc(4) };
const UUID = { fsidType: 6, fsid: Buffer.from('cf47aae3f0914fc1a1b2c3d4e5f60718', 'hex') };

describe('hash of an NFS handle', () => {
  it('is what nfsd printed for an export root with fsid=0', () => {
    assert.equal(HandleIndex.hashOf(FSID_0, null), 0x62d40c52);
  });

  it('is what nfsd printed for a file on ext4', () => {
    const handle = { type: 1, bytes: Buffer.from('120000008f9c225a', 'hex') };
    assert.equal(HandleIndex.hashOf(FSID_0, handle), 0x51ebcd52);
  });

  it('refuses an fsid type that no kernel has', () => {
    assert.throws(
      () => HandleIndex.hashOf({ fsidType: 256, fsid: Buffer.alloc(4) }, null),
      (error: unknown) => error instanceof TraceError && error.code === 'bad-export-key',
    );
  });
});

describe('export keys', () => {
  const folder = mkdtempSync(join(tmpdir(), 'hashes-'));
  mkdirSync(join(folder, 'root/sub'), { recursive: true });
  writeFileSync(join(folder, 'root/sub/file'), '');
  after(() => rmSync(folder, { recursive: true }));

  const nfsHash = (key: typeof UUID, type: number, bytes: Buffer): number =>
    crc32(Buffer.concat([Buffer.from([1, 0, key.fsidType, type]), key.fsid, bytes]));

  it('hash every object, the root without its file part, and objects found later', async () => {
    const index = new HandleIndex({ root: Buffer.from(join(folder, 'root')) });
    index.open();
    index.addExportKey(FSID_0);
    await index.walk();
    index.addExportKey(UUID);
    for (const key of [FSID_0, UUID]) {
      assert.deepEqual(index.idsOfHash(nfsHash(key, 0, Buffer.alloc(0))), [0]);
      for (let id = 1; id < index.objects; id++) {
        const { type, bytes } = index.handleOf(id);
        assert.deepEqual(index.idsOfHash(nfsHash(key, type, bytes)), [id]);
        assert.deepEqual(index.idsOfHash(HandleIndex.hashOf(key, { type, bytes })), [id]);
      }
    }
    const { type, bytes } = index.handleOf(0);
    assert.deepEqual(index.idsOfHash(nfsHash(UUID, type, bytes)), []);
    writeFileSync(join(folder, 'root/later'), '');
    index.refreshDirectory(index.handleOf(0));
    const later = index.handleOf(idOf(index, 'later'));
    assert.deepEqual(index.idsOfHash(nfsHash(FSID_0, later.type, later.bytes)), [
      idOf(index, 'later'),
    ]);
    index.close();
  });

  it('are added once, and again only with another root', async () => {
    const index = await indexOf(join(folder, 'root'));
    index.addExportKey(UUID);
    index.addExportKey(UUID);
    assert.deepEqual(index.exportKeys(), [UUID]);
    const root = index.handleOf(0);
    const rootHash = nfsHash(UUID, 0, Buffer.alloc(0));
    assert.deepEqual(index.idsOfHash(rootHash), [0]);

    // The export begins above this root: its own root is none of ours, ours is a plain directory.
    index.addExportKey(UUID, {
      root: { type: root.type, bytes: Buffer.alloc(root.bytes.length, 9) },
    });
    assert.deepEqual(index.exportKeys(), [UUID]);
    assert.deepEqual(index.idsOfHash(rootHash), []);
    assert.deepEqual(index.idsOfHash(nfsHash(UUID, root.type, root.bytes)), [0]);

    // A nested export: its root is a directory below this root.
    const nested = { fsidType: 7, fsid: Buffer.alloc(24, 3) };
    const sub = idOf(index, 'sub');
    index.addExportKey(nested, { root: index.handleOf(sub) });
    assert.deepEqual(index.idsOfHash(nfsHash(nested, 0, Buffer.alloc(0))), [sub]);
    index.close();
  });

  it('keep both objects of a collision and count it', async () => {
    const index = await indexOf(join(folder, 'root'));
    index.addExportKey(FSID_0);
    const parent = index.handleOf(0);
    // CRC-32 is linear: a second handle with the hash of the first, by a search over the last word.
    const target = HandleIndex.hashOf(FSID_0, { type: 1, bytes: Buffer.alloc(8) });
    const bytes = collide(Buffer.from([1, 0, 1, 1, 0, 0, 0, 0, 0x55, 0x66, 0x77, 0x88]), target);
    const first = { type: 1, bytes: Buffer.alloc(8) };
    const second = { type: 1, bytes: bytes.subarray(8) };
    assert.ok(index.learn({ parent, name: Buffer.from('one'), object: first }));
    assert.ok(index.learn({ parent, name: Buffer.from('two'), object: second }));
    const ids = index.idsOfHash(target);
    assert.deepEqual(ids, [index.idOfHandle(first), index.idOfHandle(second)]);
    assert.equal(ids.length, 2);
    assert.equal((await index.walk()).collisions, 1);
    assert.deepEqual(index.idsOfHash(target), ids);
    index.close();
  });
});

/** `head` with four bytes behind it that give the whole the wanted CRC-32. */
function collide(head: Buffer, wanted: number): Buffer {
  const table = Array.from({ length: 256 }, (_, i) => {
    let value = i;
    for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
    return value >>> 0;
  });
  // Backwards from the wanted state to the four table entries, then forwards to the bytes.
  let state = ~wanted >>> 0;
  const entries: number[] = [];
  for (let i = 0; i < 4; i++) {
    const entry = table.findIndex((value) => value >>> 24 === state >>> 24);
    entries.unshift(entry);
    state = ((state ^ (table[entry] ?? 0)) << 8) >>> 0;
  }
  let forward = ~crc32(head) >>> 0;
  const tail = Buffer.alloc(4);
  entries.forEach((entry, i) => {
    tail[i] = (forward ^ entry) & 0xff;
    forward = ((forward >>> 8) ^ (table[entry] ?? 0)) >>> 0;
  });
  return Buffer.concat([head, tail]);
}
