/**
 * Rows of an NFS server's trace become accesses: made-up rows on a real index of a real root, so
 * that hashes, walks and names are true. No NFS server is needed.
 */
import assert from 'node:assert/strict';
import { mkdirSync, unlinkSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, describe, mock, test } from 'node:test';
import { BootSessions } from '../../src/attribution/boot-sessions.ts';
import { NFSD_MAY } from '../../src/attribution/operations.ts';
import type { FileHandle, NfsLookup, NfsMarker, NfsRow } from '../../src/common/batches.ts';
import { TraceError } from '../../src/common/errors.ts';
import { operationsOf } from '../../src/common/words.ts';
import { HandleIndex } from '../../src/fanotify-ts/handle-index.ts';
import { FAN_CREATE } from '../../src/fanotify-ts/masks.ts';
import { BatchBuilder } from '../../src/recording/batch-builder.ts';
import { ClientFilter } from '../../src/recording/client-filter.ts';
import { ExportTable } from '../../src/recording/export-table.ts';
import { NfsAttributor } from '../../src/recording/nfs-attributor.ts';
import { MountTable, readMountinfo } from '../../src/recording/mounts.ts';
import { RootRecording } from '../../src/recording/root-recording.ts';
import { WitnessBench } from '../../src/recording/witness-bench.ts';
import { lacks } from '../capabilities.ts';
import { idOf, indexOf, makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';

const SECOND = 1_000_000;
const T0 = 1000 * SECOND;
const ROOT_ID = 7;
const KEY = { fsidType: 1, fsid: Buffer.from([0, 0, 0, 0]) };
const EXPORT = { ...KEY, domain: '*', path: Buffer.from('/the/export') };
const [CLIENT, OTHER] = ['10.0.0.7', '10.0.0.8'];

describe('NfsAttributor', { skip: lacks('root', 'loop', 'handles') }, () => {
  let disk: MountedFileSystem;
  let path: string;
  let round = 0;
  let root: RootRecording;
  let exports: ExportTable;
  let sessions: BootSessions;
  let attributor: NfsAttributor;
  let witnesses: WitnessBench;
  let refreshNames: () => Promise<void>;
  let builder: BatchBuilder;
  /** File id → its first name. */
  let nameOf: Map<number, string>;
  before(() => {
    disk = makeFileSystem('ext4');
  });
  after(() => disk.remove());
  beforeEach(async () => {
    path = `${disk.path}/root${round++}`;
    nameOf = new Map();
    mkdirSync(path);
    for (const name of ['init', 'one', 'two']) writeFileSync(`${path}/${name}`, name);
    await begin();
  });
  afterEach(() => {
    mock.restoreAll();
    root.close();
  });

  async function begin(...clients: string[]): Promise<void> {
    root = new RootRecording({ path: Buffer.from(path) });
    root.open();
    await root.rewalk();
    const filter = new ClientFilter(clients);
    const identity = { rootId: ROOT_ID, recordingId: 70, clients: filter };
    root.begin({ ...identity, label: null, onLoss: 'warn', startedUs: 0 });
    const place = new MountTable(readMountinfo()).placeOf(root.path);
    assert.ok(place !== null);
    const rootHandle = { type: 1, bytes: Buffer.alloc(8) };
    root.useExports([{ key: EXPORT, place, rootHandle, subtreeCheck: false }]);
    const roots = new Map([[ROOT_ID, root]]);
    exports = new ExportTable({ roots });
    let file = 0;
    sessions = new BootSessions({ nextSessionId: 41 });
    witnesses = new WitnessBench();
    witnesses.next(0);
    refreshNames = () => Promise.resolve();
    attributor = new NfsAttributor({
      roots,
      exports,
      sessions,
      witnesses,
      nextFileId: () => (file += 1),
      refreshNames: () => refreshNames(),
    });
  }

  /** The handle of a name as it is now; null for the root itself, as the server has it. */
  async function handleOf(name: string): Promise<FileHandle | null> {
    if (name === '') return null;
    const index = await indexOf(path);
    try {
      return index.handleOf(idOf(index, name));
    } finally {
      index.close();
    }
  }
  const hashOf = async (name: string): Promise<number> =>
    HandleIndex.hashOf(KEY, await handleOf(name));

  async function read(name: string, more: Partial<NfsRow> = {}): Promise<NfsRow> {
    return {
      epoch: 0,
      client: CLIENT,
      hash: await hashOf(name),
      kind: 'read',
      type: 0,
      access: 0,
      count: 1,
      bytes: 100,
      minOffset: 0,
      firstUs: T0,
      lastUs: T0,
      order: 1,
      ...more,
    };
  }
  const unknown = async (more: Partial<NfsRow> = {}): Promise<NfsRow> =>
    read('one', { hash: 0xdeadbeef, ...more });
  const mounted = async (epoch: number, atUs: number): Promise<NfsMarker> => ({
    epoch,
    kind: 'fsinfo',
    atUs,
    client: CLIENT,
    hash: await hashOf(''),
    clBoot: 0,
    clId: 0,
    verifier: '',
    oldVerifier: '',
    name: null,
  });

  /** `session name operations` of each access, in the order of files. */
  async function attribute(
    rows: readonly NfsRow[],
    options: { markers?: readonly NfsMarker[]; whole?: boolean } = {},
  ): Promise<string[]> {
    const { markers = [], whole = true } = options;
    builder = new BatchBuilder();
    await attributor.attribute(
      { rows, markers, losses: [], untilUs: T0 },
      { builder, effects: [], toWall: (us) => us, whole },
    );
    for (const { id, names } of builder.files) nameOf.set(id, names[0]?.toString() ?? '?');
    return builder
      .accesses()
      .map(
        ({ sessionId, fileId, operations }) =>
          `${sessionId} ${nameOf.get(fileId) ?? '?'} ${operationsOf(operations).join('+')}`,
      );
  }
  test('by client: two clients, two sessions, one file row', async () => {
    const verify = { kind: 'verify' as const, type: 0o040000, access: NFSD_MAY.READ, bytes: 0 };
    assert.deepEqual(
      await attribute([
        await read('one'),
        await read('one', { order: 2, count: 3 }),
        await read('one', { client: OTHER, order: 3 }),
        await read('', { ...verify, order: 4 }),
      ]),
      ['41 one read', '42 one read', '41  readdir'],
    );
    assert.equal(builder.files.length, 2);
    assert.equal(builder.accesses()[0]?.count, 4);
    assert.equal(builder.accesses()[0]?.bytes, 200);
    assert.deepEqual(builder.losses, []);
  });

  test('a READ of an empty file needs no file event, and answers for one', async () => {
    const [object = -1] = root.objectsOfHash(await hashOf('one'));
    await attribute([await read('one', { bytes: 0 }), await read('two', { order: 2 })]);
    witnesses.file(root, object);
    witnesses.next(1);
    assert.deepEqual(
      witnesses.judge((us) => us).map(({ where, detail }) => [where, detail]),
      [['witness-fanotify', 'two']],
    );
  });

  test('a refused call, and one without a client, used nothing', async () => {
    const rows = [await read('one', { kind: 'verify-error' }), await read('one', { client: '' })];
    assert.deepEqual(await attribute(rows), []);
    assert.deepEqual(sessions.open, []);
  });

  test('epochs: what came before a mount is in the session before', async () => {
    const marker = await mounted(1, T0 + 30 * SECOND);
    const rows = [
      await read('two', {
        epoch: 1,
        order: 9,
        firstUs: T0 + 31 * SECOND,
        lastUs: T0 + 31 * SECOND,
      }),
      await read('one', {
        epoch: 1,
        order: 8,
        firstUs: T0 + 31 * SECOND,
        lastUs: T0 + 31 * SECOND,
      }),
      await read('one', { epoch: 0, order: 3 }),
    ];
    assert.deepEqual(await attribute(rows, { markers: [marker] }), [
      '41 one read',
      '42 one read',
      '42 two read',
    ]);
    assert.deepEqual(
      sessions.open.map(({ id, evidence }) => [id, evidence.kind]),
      [[42, 'nfs3-mount']],
    );
  });

  test('an unknown handle: the root is walked again, and the name is found', async () => {
    writeFileSync(`${path}/new`, 'new');
    assert.deepEqual(await attribute([await read('new')]), ['41 new read']);
    assert.equal(attributor.unresolved, 0);
  });

  test('another export that cannot be walked does not keep the root from it', async () => {
    const walk = mock.method(exports, 'walkOutside', () => {
      throw new TraceError({ code: 'walk-failed', message: 'it went away', exit: 'io' });
    });
    writeFileSync(`${path}/new`, 'new');
    assert.deepEqual(await attribute([await unknown(), await read('new')]), ['41 new read']);
    assert.equal(walk.mock.callCount(), 1);
    assert.equal(attributor.unresolved, 1);
  });

  test('an unknown handle that a file event explains: no walk', async () => {
    writeFileSync(`${path}/new`, 'new');
    const row = await read('new');
    const [parent, object] = [root, await handleOf('new')];
    const index = await indexOf(path);
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
    refreshNames = () => {
      parent.followNames([event]);
      return Promise.resolve();
    };
    const walk = mock.method(root, 'rewalk');
    assert.deepEqual(await attribute([row]), ['41 new read']);
    assert.equal(walk.mock.callCount(), 0);
    assert.equal(builder.accesses()[0]?.created, true, 'a client made it');
  });

  test('walks are far apart: rows wait for the next one, and nothing is lost', async () => {
    const walk = mock.method(root, 'rewalk');
    const early = await unknown();
    await attribute([await read('one'), early], { whole: false });
    assert.equal(walk.mock.callCount(), 1);
    writeFileSync(`${path}/new`, 'new');
    const row = await read('new', { order: 2 });
    assert.deepEqual(await attribute([row, await read('two')], { whole: false }), ['41 two read']);
    assert.equal(walk.mock.callCount(), 1);
    assert.deepEqual(await attribute([], { whole: true }), ['41 new read']);
    assert.equal(walk.mock.callCount(), 2);
  });

  test('a boot in between does not put waiting rows into the wrong session', async () => {
    await attribute([await unknown()], { whole: false });
    writeFileSync(`${path}/new`, 'new');
    const waiting = await read('new', { order: 2 });
    assert.deepEqual(await attribute([waiting], { whole: false }), []);
    const later = T0 + 30 * SECOND;
    assert.deepEqual(
      await attribute([await read('one', { epoch: 1, firstUs: later, lastUs: later })], {
        markers: [await mounted(1, later)],
        whole: false,
      }),
      ['41 new read', '42 one read'],
    );
  });

  for (const position of ['before', 'after'] as const)
    test(`a handle that nothing explains is its client's loss, ${position} its others`, async () => {
      const order = position === 'before' ? 1 : 9;
      const rows = [
        await unknown({ order, count: 5 }),
        await read('one', { order: 2 }),
        await read('one', { client: OTHER, order: 3 }),
      ];
      await attribute(rows);
      assert.deepEqual(
        builder.losses.map(({ where, sessionId, count, detail }) => [
          where,
          sessionId,
          count,
          detail,
        ]),
        [['unresolved-handle', 41, 5, 'NFS file handle with hash 0xdeadbeef']],
      );
      assert.equal(attributor.unresolved, 5);
      const walk = mock.method(root, 'rewalk');
      await attribute(rows);
      assert.equal(walk.mock.callCount(), 0, 'it is not looked for again');
    });

  test('a root that cannot be walked any more: a loss, and the other rows count', async () => {
    const gone = new TraceError({ code: 'walk-failed', message: 'gone', exit: 'io' });
    mock.method(root, 'rewalk', () => Promise.reject(gone));
    assert.deepEqual(await attribute([await read('one'), await unknown({ order: 2 })]), [
      '41 one read',
    ]);
    assert.equal(builder.losses[0]?.where, 'unresolved-handle');
  });

  test('other clients than those wanted: no session, but the witness hears of them', async () => {
    root.close();
    await begin('10.0.0.0/29');
    const heard = mock.method(witnesses, 'trace');
    assert.deepEqual(
      await attribute([
        await read('one', { client: OTHER }),
        await read('two', { client: CLIENT, order: 2 }),
      ]),
      ['41 two read'],
    );
    assert.equal(heard.mock.callCount(), 2);
  });

  test('a file that has gone keeps its last name', async () => {
    const row = await read('one');
    unlinkSync(`${path}/one`);
    assert.deepEqual(await attribute([row]), ['41 one read']);
  });

  test('the first program read from its start tells a boot', async () => {
    await attribute([await read('init'), await read('one', { order: 2 })]);
    assert.deepEqual(
      sessions.open.map(({ evidence, partial }) => [evidence.kind, partial]),
      [['init-read', false]],
    );
    const tail = await read('init', { client: OTHER, minOffset: 4096 });
    await attribute([tail]);
    assert.deepEqual(sessions.open.find(({ client }) => client === OTHER)?.partial, true);
  });

  test('a name that is not there is kept for its session; one that is, is no news', async () => {
    const lookup = async (name: string, more: Partial<NfsLookup> = {}): Promise<NfsLookup> => ({
      epoch: 0,
      client: CLIENT,
      directory: await hashOf(''),
      name: Buffer.from(name),
      count: 1,
      firstUs: T0,
      lastUs: T0,
      order: 2,
      ...more,
    });
    const marker = await mounted(1, T0 + 30 * SECOND);
    const later = { epoch: 1, order: 9, firstUs: T0 + 31 * SECOND, lastUs: T0 + 31 * SECOND };
    builder = new BatchBuilder();
    const batch = {
      rows: [await read('one')],
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
    await attributor.attribute(batch, { builder, effects: [], toWall: (us) => us, whole: true });
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
    await attributor.attribute(
      { rows: [], markers: [], losses: [], lookups: [await lookup('late', later)], untilUs: T0 },
      { builder: alone, effects: [], toWall: (us) => us, whole: true },
    );
    assert.deepEqual(
      alone.missing.map(({ name }) => name.toString()),
      ['late'],
    );
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
      await attributor.attribute(batch, { builder: into, ...options });
      return into;
    };
    const known = new Map([
      [signed, await hashOf('one')],
      [folder, await hashOf('')],
      [0x77, 0x78],
    ]);
    const first = await attributed([await read('one', { hash: signed })], known);
    assert.equal(first.files[0]?.names[0]?.toString(), 'one');
    assert.deepEqual(
      first.missing.map(({ name }) => name.toString()),
      ['nope'],
    );
    const second = await attributed([await read('one', { hash: signed })], new Map());
    assert.equal(second.accesses()[0]?.fileId, first.files[0].id);
    assert.deepEqual([...first.losses, ...second.losses], []);
    const third = await attributed([await read('one', { hash: 0x77 })], new Map());
    assert.deepEqual(
      third.losses.map(({ where }) => where),
      ['unresolved-handle'],
    );
  });
});
