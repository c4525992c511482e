/**
 * What a flush does with what it has drained when something goes wrong on the way: nothing may
 * vanish uncounted, and what the session machine has decided must reach the store.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import type { FileEvent, NfsBatch, NfsRow } from '../../src/common/batches.ts';
import { ClientFilter } from '../../src/recording/client-filter.ts';
import { nowUs } from '../../src/recording/clock.ts';
import type { ExportTable } from '../../src/recording/export-table.ts';
import { Pipe } from '../../src/recording/pipe.ts';
import type { RootRecording } from '../../src/recording/root-recording.ts';
import type { Sensors } from '../../src/recording/sensors.ts';
import type { NewFile } from '../../src/store/types.ts';
import { Store } from '../../src/store/store.ts';

const CLIENT = '10.0.0.7';
/** The hash of an object whose file cannot be looked at. */
const BROKEN = 3;

function row(hash: number): NfsRow {
  const at = nowUs();
  return {
    epoch: 0,
    client: CLIENT,
    hash,
    kind: 'verify',
    type: 0,
    access: 0,
    count: 2,
    bytes: 0,
    minOffset: 0,
    firstUs: at,
    lastUs: at,
    order: hash,
  };
}

describe('a flush that fails half-way', () => {
  let folder: string;
  let store: Store;
  let pipe: Pipe;
  let trace: readonly NfsRow[];
  let events: readonly FileEvent[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pipe-'));
    store = Store.open({ path: join(folder, 'trace.db') });
    const rootId = store.ensureRoot(Buffer.from('/root'));
    const recordingId = store.startRecording({
      rootId,
      label: null,
      clients: [],
      tier: 'exact',
      atUs: Date.now() * 1000,
    });
    [trace, events] = [[], []];
    const root = {
      options: { rootId, recordingId, clients: new ClientFilter([]) },
      objectsOfHash: (hash: number) => [hash],
      objectOfEvent: () => -1,
      isInit: () => false,
      isCreated: () => false,
      isDirectory: () => false,
      followNames: () => undefined,
      nameChanges: () => [],
      takeLeftOut: () => 0,
      newMounts: () => [],
      watchedSinceUs: () => 0,
      fileOf: (object: number, nextId: () => number, files: NewFile[]) => {
        if (object === BROKEN) throw new Error('it broke');
        const id = nextId();
        const handle = { type: 1, bytes: Buffer.from([object]) };
        const zeros = { dev: 0, mode: 0, uid: 0, gid: 0, size: 0, nlink: 1 };
        files.push({ id, rootId, handle, inode: 0n, mtimeNs: 0n, names: [], ...zeros });
        return id;
      },
    } as unknown as RootRecording;
    const batch = { losses: [], untilUs: 0 };
    const sensors = {
      tier: 'exact',
      traced: true,
      sync: () => Promise.resolve(),
      syncFiles: () => Promise.resolve(),
      drainTrace: (): NfsBatch => ({ ...batch, rows: trace, markers: [] }),
      drainFiles: () => ({ ...batch, events }),
    } as unknown as Sensors;
    const exports = {
      isOutside: () => false,
      refresh: () => Promise.resolve(false),
    } as unknown as ExportTable;
    pipe = new Pipe({
      store,
      sensors,
      roots: new Map([[rootId, root]]),
      exports,
      quietUs: 60_000_000,
      serverPorts: [],
      onNotice: () => undefined,
    });
  });
  afterEach(() => {
    store.close();
    rmSync(folder, { recursive: true });
  });

  test('what was not attributed is a loss; what was, and its session, is stored', async () => {
    trace = [row(1), row(BROKEN), row(4)];
    await assert.rejects(pipe.flush(false), /it broke/);
    const [session] = store.sessions();
    assert.deepEqual([session?.client, session?.files, session?.loss], [CLIENT, 1, 6]);
    const [loss] = store.losses();
    assert.equal(loss?.where, 'attribution');
    assert.match(loss.detail ?? '', /it broke/);

    trace = [row(1), row(4)];
    await pipe.flush(false);
    assert.deepEqual(
      store.sessions().map(({ files, loss: lost }) => [files, lost]),
      [[2, 6]],
      'the next flush is committed too',
    );
  });

  test('as many events as the table holds, in one flush', async () => {
    const event: FileEvent = {
      mask: 0,
      pidClass: 'other',
      fsid: Buffer.alloc(8),
      object: null,
      parent: null,
      name: null,
      count: 1,
    };
    events = new Array<FileEvent>(262_144).fill(event);
    await pipe.flush(false);
    assert.deepEqual(store.losses(), []);
  });
});
