/**
 * An attributor of NFS traces on a real index of a real root, and rows made up for it, so that hashes,
 * walks and names are true. No NFS server is needed.
 */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, mock } from 'node:test';
import { BootSessions } from '../../src/attribution/boot-sessions.ts';
import type { FileHandle, NfsMarker, NfsRow } from '../../src/common/batches.ts';
import { operationsOf } from '../../src/common/words.ts';
import { HandleIndex } from '../../src/fanotify-ts/handle-index.ts';
import { BatchBuilder } from '../../src/recording/batch-builder.ts';
import { ClientFilter } from '../../src/recording/client-filter.ts';
import { ExportTable } from '../../src/recording/export-table.ts';
import { NfsAttributor } from '../../src/recording/nfs-attributor.ts';
import { MountTable, readMountinfo } from '../../src/recording/mounts.ts';
import { RootRecording } from '../../src/recording/root-recording.ts';
import { WitnessBench } from '../../src/recording/witness-bench.ts';
import { idOf, indexOf, makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';

export const SECOND = 1_000_000;
export const T0 = 1000 * SECOND;
export const [CLIENT, OTHER] = ['10.0.0.7', '10.0.0.8'] as const;
const ROOT_ID = 7;
const KEY = { fsidType: 1, fsid: Buffer.from([0, 0, 0, 0]) };
const EXPORT = { ...KEY, domain: '*', path: Buffer.from('/the/export') };

/** One for the tests of a `describe`; each has a root of its own, with `init`, `one` and `two`. */
export function attributorRig(): AttributorRig {
  let disk: MountedFileSystem;
  let round = 0;
  const rig = new AttributorRig();
  before(() => {
    disk = makeFileSystem('ext4');
  });
  after(() => disk.remove());
  beforeEach(async () => {
    rig.path = `${disk.path}/root${round++}`;
    mkdirSync(rig.path);
    for (const name of ['init', 'one', 'two']) writeFileSync(`${rig.path}/${name}`, name);
    await rig.begin();
  });
  afterEach(() => {
    mock.restoreAll();
    rig.root.close();
  });
  return rig;
}

export class AttributorRig {
  path = '';
  root!: RootRecording;
  exports!: ExportTable;
  sessions!: BootSessions;
  attributor!: NfsAttributor;
  witnesses!: WitnessBench;
  refreshNames!: () => Promise<void>;
  /** Of the rows that came last. */
  builder!: BatchBuilder;
  /** File id → its first name. */
  #nameOf!: Map<number, string>;

  /** A recording of the root. */
  async begin(...clients: string[]): Promise<void> {
    this.#nameOf = new Map();
    this.root = new RootRecording({ path: Buffer.from(this.path) });
    this.root.open();
    await this.root.rewalk();
    const filter = new ClientFilter(clients);
    const identity = { rootId: ROOT_ID, recordingId: 70, clients: filter };
    this.root.begin({ ...identity, label: null, onLoss: 'warn', startedUs: 0 });
    const place = new MountTable(readMountinfo()).placeOf(this.root.path);
    assert.ok(place !== null);
    const rootHandle = { type: 1, bytes: Buffer.alloc(8) };
    this.root.useExports([{ key: EXPORT, place, rootHandle, subtreeCheck: false }]);
    const roots = new Map([[ROOT_ID, this.root]]);
    this.exports = new ExportTable({ roots });
    let file = 0;
    this.sessions = new BootSessions({ nextSessionId: 41 });
    this.witnesses = new WitnessBench();
    this.witnesses.next(0);
    this.refreshNames = () => Promise.resolve();
    this.attributor = new NfsAttributor({
      roots,
      exports: this.exports,
      sessions: this.sessions,
      witnesses: this.witnesses,
      nextFileId: () => (file += 1),
      refreshNames: () => this.refreshNames(),
    });
  }

  /** The handle of a name as it is now; null for the root itself, as the server has it. */
  async handleOf(name: string): Promise<FileHandle | null> {
    if (name === '') return null;
    const index = await indexOf(this.path);
    try {
      return index.handleOf(idOf(index, name));
    } finally {
      index.close();
    }
  }

  async hashOf(name: string): Promise<number> {
    return HandleIndex.hashOf(KEY, await this.handleOf(name));
  }

  async read(name: string, more: Partial<NfsRow> = {}): Promise<NfsRow> {
    return {
      epoch: 0,
      client: CLIENT,
      hash: await this.hashOf(name),
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

  unknown(more: Partial<NfsRow> = {}): Promise<NfsRow> {
    return this.read('one', { hash: 0xdeadbeef, ...more });
  }

  async mounted(epoch: number, atUs: number): Promise<NfsMarker> {
    return {
      epoch,
      kind: 'fsinfo',
      atUs,
      client: CLIENT,
      hash: await this.hashOf(''),
      clBoot: 0,
      clId: 0,
      verifier: '',
      oldVerifier: '',
      name: null,
    };
  }

  /** `session name operations` of each access, in the order of files. */
  async attribute(
    rows: readonly NfsRow[],
    options: { markers?: readonly NfsMarker[]; whole?: boolean } = {},
  ): Promise<string[]> {
    const { markers = [], whole = true } = options;
    const builder = new BatchBuilder();
    this.builder = builder;
    await this.attributor.attribute(
      { rows, markers, losses: [], untilUs: T0 },
      { builder, effects: [], toWall: (us) => us, whole },
    );
    for (const { id, names } of builder.files) this.#nameOf.set(id, names[0]?.toString() ?? '?');
    return builder
      .accesses()
      .map(
        ({ sessionId, fileId, operations }) =>
          `${sessionId} ${this.#nameOf.get(fileId) ?? '?'} ${operationsOf(operations).join('+')}`,
      );
  }
}
