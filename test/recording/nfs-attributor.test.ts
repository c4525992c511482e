/** Rows of an NFS server's trace become accesses of sessions. */
import assert from 'node:assert/strict';
import { unlinkSync } from 'node:fs';
import { describe, mock, test } from 'node:test';
import { NFSD_MAY } from '../../src/attribution/operations.ts';
import type { NfsLookup } from '../../src/common/batches.ts';
import { BatchBuilder } from '../../src/recording/batch-builder.ts';
import { lacks } from '../capabilities.ts';
import { attributorRig, CLIENT, OTHER, SECOND, T0 } from './attributor-rig.ts';

describe('NfsAttributor', { skip: lacks('root', 'loop', 'handles') }, () => {
  const rig = attributorRig();

  test('by client: two clients, two rig.sessions, one file row', async () => {
    const verify = { kind: 'verify' as const, type: 0o040000, access: NFSD_MAY.READ, bytes: 0 };
    assert.deepEqual(
      await rig.attribute([
        await rig.read('one'),
        await rig.read('one', { order: 2, count: 3 }),
        await rig.read('one', { client: OTHER, order: 3 }),
        await rig.read('', { ...verify, order: 4 }),
      ]),
      ['41 one read', '42 one read', '41  readdir'],
    );
    assert.equal(rig.builder.files.length, 2);
    assert.equal(rig.builder.accesses()[0]?.count, 4);
    assert.equal(rig.builder.accesses()[0]?.bytes, 200);
    assert.deepEqual(rig.builder.losses, []);
  });

  test('a READ of an empty file needs no file event, and answers for one', async () => {
    const [object = -1] = rig.root.objectsOfHash(await rig.hashOf('one'));
    await rig.attribute([await rig.read('one', { bytes: 0 }), await rig.read('two', { order: 2 })]);
    rig.witnesses.file(rig.root, object);
    rig.witnesses.next(1);
    assert.deepEqual(
      rig.witnesses.judge((us) => us).map(({ where, detail }) => [where, detail]),
      [['witness-fanotify', 'two']],
    );
  });

  test('a refused call, and one without a client, used nothing', async () => {
    const rows = [
      await rig.read('one', { kind: 'verify-error' }),
      await rig.read('one', { client: '' }),
    ];
    assert.deepEqual(await rig.attribute(rows), []);
    assert.deepEqual(rig.sessions.open, []);
  });

  test('epochs: what came before a mount is in the session before', async () => {
    const marker = await rig.mounted(1, T0 + 30 * SECOND);
    const rows = [
      await rig.read('two', {
        epoch: 1,
        order: 9,
        firstUs: T0 + 31 * SECOND,
        lastUs: T0 + 31 * SECOND,
      }),
      await rig.read('one', {
        epoch: 1,
        order: 8,
        firstUs: T0 + 31 * SECOND,
        lastUs: T0 + 31 * SECOND,
      }),
      await rig.read('one', { epoch: 0, order: 3 }),
    ];
    assert.deepEqual(await rig.attribute(rows, { markers: [marker] }), [
      '41 one read',
      '42 one read',
      '42 two read',
    ]);
    assert.deepEqual(
      rig.sessions.open.map(({ id, evidence }) => [id, evidence.kind]),
      [[42, 'nfs3-mount']],
    );
  });

  test('other clients than those wanted: no session, but the witness hears of them', async () => {
    rig.root.close();
    await rig.begin('10.0.0.0/29');
    const heard = mock.method(rig.witnesses, 'trace');
    assert.deepEqual(
      await rig.attribute([
        await rig.read('one', { client: OTHER }),
        await rig.read('two', { client: CLIENT, order: 2 }),
      ]),
      ['41 two read'],
    );
    assert.equal(heard.mock.callCount(), 2);
  });

  test('a file that has gone keeps its last name', async () => {
    const row = await rig.read('one');
    unlinkSync(`${rig.path}/one`);
    assert.deepEqual(await rig.attribute([row]), ['41 one read']);
  });

  test('the first program read from its start tells a boot', async () => {
    await rig.attribute([await rig.read('init'), await rig.read('one', { order: 2 })]);
    assert.deepEqual(
      rig.sessions.open.map(({ evidence, partial }) => [evidence.kind, partial]),
      [['init-read', false]],
    );
    const tail = await rig.read('init', { client: OTHER, minOffset: 4096 });
    await rig.attribute([tail]);
    assert.deepEqual(rig.sessions.open.find(({ client }) => client === OTHER)?.partial, true);
  });

  test('a name that is not there is kept for its session; one that is, is no news', async () => {
    const lookup = async (name: string, more: Partial<NfsLookup> = {}): Promise<NfsLookup> => ({
      epoch: 0,
      client: CLIENT,
      directory: await rig.hashOf(''),
      name: Buffer.from(name),
      count: 1,
      firstUs: T0,
      lastUs: T0,
      order: 2,
      ...more,
    });
    const marker = await rig.mounted(1, T0 + 30 * SECOND);
    const later = { epoch: 1, order: 9, firstUs: T0 + 31 * SECOND, lastUs: T0 + 31 * SECOND };
    const builder = new BatchBuilder();
    const batch = {
      rows: [await rig.read('one')],
      markers: [marker],
      lookups: [
        await lookup('one'),
        await lookup('nope', { count: 3 }),
        await lookup('none', later),
        await lookup('theirs', { client: OTHER }),
        await lookup('nobodys', { client: '' }),
        await lookup('nowhere', { directory: 0xdeadbeef }),
      ],
      lookupsDropped: [{ client: OTHER, count: 5 }],
      losses: [],
      untilUs: T0,
    };
    await rig.attributor.attribute(batch, {
      builder,
      effects: [],
      toWall: (us) => us,
      whole: true,
    });
    const root0 = builder.files.find(({ names }) => names[0]?.length === 0)?.id;
    assert.deepEqual(
      builder.missing.map(({ sessionId, name, count, directoryId }) => [
        sessionId,
        name.toString(),
        count,
        directoryId === root0,
      ]),
      [
        [41, 'nope', 3, true],
        [42, 'theirs', 1, true],
        [43, 'none', 1, true],
      ],
    );
    assert.deepEqual(builder.missingDropped, [
      { sessionId: 41, count: 1 },
      { sessionId: 42, count: 5 },
    ]);
    // The check of its directory may have come with the drain before.
    const alone = new BatchBuilder();
    await rig.attributor.attribute(
      { rows: [], markers: [], losses: [], lookups: [await lookup('late', later)], untilUs: T0 },
      { builder: alone, effects: [], toWall: (us) => us, whole: true },
    );
    assert.deepEqual(
      alone.missing.map(({ name }) => name.toString()),
      ['late'],
    );
  });
});
