/** Handles in an NFS server's trace that the index of the root does not know. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { describe, mock, test } from 'node:test';
import type { NfsRow } from '../../src/common/batches.ts';
import { TraceError } from '../../src/common/errors.ts';
import { FAN_CREATE } from '../../src/fanotify-ts/masks.ts';
import { BatchBuilder } from '../../src/recording/batch-builder.ts';
import { lacks } from '../capabilities.ts';
import { indexOf } from '../index/file-systems.ts';
import { attributorRig, CLIENT, OTHER, SECOND, T0 } from './attributor-rig.ts';

describe('handles that are not known', { skip: lacks('root', 'loop', 'handles') }, () => {
  const rig = attributorRig();

  test('an unknown handle: the root is walked again, and the name is found', async () => {
    writeFileSync(`${rig.path}/new`, 'new');
    assert.deepEqual(await rig.attribute([await rig.read('new')]), ['41 new read']);
    assert.equal(rig.attributor.unresolved, 0);
  });

  test('another export that cannot be walked does not keep the root from it', async () => {
    const walk = mock.method(rig.exports, 'walkOutside', () => {
      throw new TraceError({ code: 'walk-failed', message: 'it went away', exit: 'io' });
    });
    writeFileSync(`${rig.path}/new`, 'new');
    assert.deepEqual(await rig.attribute([await rig.unknown(), await rig.read('new')]), [
      '41 new read',
    ]);
    assert.equal(walk.mock.callCount(), 1);
    assert.equal(rig.attributor.unresolved, 1);
  });

  test('an unknown handle that a file event explains: no walk', async () => {
    writeFileSync(`${rig.path}/new`, 'new');
    const row = await rig.read('new');
    const [parent, object] = [rig.root, await rig.handleOf('new')];
    const index = await indexOf(rig.path);
    const event = {
      mask: FAN_CREATE,
      pidClass: 'nfsd' as const,
      fsid: Buffer.alloc(8),
      object,
      parent: index.handleOf(0),
      name: Buffer.from('new'),
      count: 1,
    };
    index.close();
    rig.refreshNames = () => {
      parent.followNames([event]);
      return Promise.resolve();
    };
    const walk = mock.method(rig.root, 'rewalk');
    assert.deepEqual(await rig.attribute([row]), ['41 new read']);
    assert.equal(walk.mock.callCount(), 0);
    assert.equal(rig.builder.accesses()[0]?.created, true, 'a client made it');
  });

  test('walks are far apart: rows wait for the next one, and nothing is lost', async () => {
    const walk = mock.method(rig.root, 'rewalk');
    const early = await rig.unknown();
    await rig.attribute([await rig.read('one'), early], { whole: false });
    assert.equal(walk.mock.callCount(), 1);
    writeFileSync(`${rig.path}/new`, 'new');
    const row = await rig.read('new', { order: 2 });
    assert.deepEqual(await rig.attribute([row, await rig.read('two')], { whole: false }), [
      '41 two read',
    ]);
    assert.equal(walk.mock.callCount(), 1);
    assert.deepEqual(await rig.attribute([], { whole: true }), ['41 new read']);
    assert.equal(walk.mock.callCount(), 2);
  });

  test('a boot in between does not put waiting rows into the wrong session', async () => {
    await rig.attribute([await rig.unknown()], { whole: false });
    writeFileSync(`${rig.path}/new`, 'new');
    const waiting = await rig.read('new', { order: 2 });
    assert.deepEqual(await rig.attribute([waiting], { whole: false }), []);
    const later = T0 + 30 * SECOND;
    assert.deepEqual(
      await rig.attribute([await rig.read('one', { epoch: 1, firstUs: later, lastUs: later })], {
        markers: [await rig.mounted(1, later)],
        whole: false,
      }),
      ['41 new read', '42 one read'],
    );
  });

  for (const position of ['before', 'after'] as const)
    test(`a handle that nothing explains is its client's loss, ${position} its others`, async () => {
      const order = position === 'before' ? 1 : 9;
      const rows = [
        await rig.unknown({ order, count: 5 }),
        await rig.read('one', { order: 2 }),
        await rig.read('one', { client: OTHER, order: 3 }),
      ];
      await rig.attribute(rows);
      assert.deepEqual(
        rig.builder.losses.map(({ where, sessionId, count, detail }) => [
          where,
          sessionId,
          count,
          detail,
        ]),
        [['unresolved-handle', 41, 5, 'NFS file handle with hash 0xdeadbeef']],
      );
      assert.equal(rig.attributor.unresolved, 5);
      const walk = mock.method(rig.root, 'rewalk');
      await rig.attribute(rows);
      assert.equal(walk.mock.callCount(), 0, 'it is not looked for again');
    });

  test('a root that cannot be walked any more: a loss, and the other rows count', async () => {
    const gone = new TraceError({ code: 'walk-failed', message: 'gone', exit: 'io' });
    mock.method(rig.root, 'rewalk', () => Promise.reject(gone));
    assert.deepEqual(
      await rig.attribute([await rig.read('one'), await rig.unknown({ order: 2 })]),
      ['41 one read'],
    );
    assert.equal(rig.builder.losses[0]?.where, 'unresolved-handle');
  });

  test('a signed handle is that of its part before the signature; so are reads of later batches', async () => {
    const [signed, folder] = [0x51617ed, 0x51617ee];
    const attributed = async (
      rows: NfsRow[],
      unsigned: ReadonlyMap<number, number>,
    ): Promise<BatchBuilder> => {
      const into = new BatchBuilder();
      const lookups = [
        {
          ...{ epoch: 0, client: CLIENT, directory: folder, name: Buffer.from('nope') },
          ...{ count: 1, firstUs: T0, lastUs: T0, order: 3 },
        },
      ];
      const batch = { rows, markers: [], losses: [], lookups, unsigned, untilUs: T0 };
      const options = { effects: [], toWall: (us: number) => us, whole: true };
      await rig.attributor.attribute(batch, { builder: into, ...options });
      return into;
    };
    const known = new Map([
      [signed, await rig.hashOf('one')],
      [folder, await rig.hashOf('')],
      [0x77, 0x78],
    ]);
    const first = await attributed([await rig.read('one', { hash: signed })], known);
    assert.equal(first.files[0]?.names[0]?.toString(), 'one');
    assert.deepEqual(
      first.missing.map(({ name }) => name.toString()),
      ['nope'],
    );
    const second = await attributed([await rig.read('one', { hash: signed })], new Map());
    assert.equal(second.accesses()[0]?.fileId, first.files[0].id);
    assert.deepEqual([...first.losses, ...second.losses], []);
    const third = await attributed([await rig.read('one', { hash: 0x77 })], new Map());
    assert.deepEqual(
      third.losses.map(({ where }) => where),
      ['unresolved-handle'],
    );
  });
});
