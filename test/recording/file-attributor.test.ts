/** File events about objects that the index of the root has not heard of. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { BootSessions } from '../../src/attribution/boot-sessions.ts';
import type { FileEvent, FileHandle } from '../../src/common/batches.ts';
import { FAN_ACCESS } from '../../src/fanotify-ts/masks.ts';
import { BatchBuilder } from '../../src/recording/batch-builder.ts';
import { ClientFilter } from '../../src/recording/client-filter.ts';
import { FileAttributor } from '../../src/recording/file-attributor.ts';
import { RootRecording } from '../../src/recording/root-recording.ts';
import { WitnessBench } from '../../src/recording/witness-bench.ts';
import {
  cannotMake,
  idOf,
  indexOf,
  makeFileSystem,
  type MountedFileSystem,
} from '../index/file-systems.ts';

describe('events of unknown objects', { skip: cannotMake('tmpfs') }, () => {
  let disk: MountedFileSystem;
  let root: RootRecording;
  let late: FileEvent;
  before(async () => {
    disk = makeFileSystem('tmpfs');
    root = new RootRecording({ path: Buffer.from(disk.path) });
    root.open();
    await root.rewalk();
    const clients = new ClientFilter([]);
    const ids = { rootId: 1, recordingId: 1 };
    root.begin({ ...ids, clients, label: null, onLoss: 'warn', startedUs: 0 });
    writeFileSync(`${disk.path}/late`, 'x');
    const index = await indexOf(disk.path);
    late = event(index.handleOf(idOf(index, 'late')), index.handleOf(idOf(index, '')));
    index.close();
  });
  after(() => {
    root.close();
    disk.remove();
  });

  const event = (object: FileHandle, parent: FileHandle): FileEvent => ({
    mask: FAN_ACCESS,
    pidClass: 'server',
    fsid: Buffer.alloc(8),
    object,
    parent,
    name: Buffer.from('late'),
    count: 3,
  });

  const attribute = (seen: FileEvent | FileEvent[], of: RootRecording): BatchBuilder => {
    const builder = new BatchBuilder();
    new FileAttributor({
      roots: new Map([[1, of]]),
      sessions: new BootSessions({ nextSessionId: 1, quietUs: 1, identities: [], open: [] }),
      witnesses: new WitnessBench(),
      nextFileId: () => 1,
      serverPorts: () => [],
    }).attribute(
      { events: [seen].flat(), losses: [], untilUs: 0 },
      { traced: false, builder, effects: [], toWall: (us) => us },
    );
    return builder;
  };

  test('one that is elsewhere is nobody’s, one that has gone is no loss', () => {
    const elsewhere = { type: 1, bytes: Buffer.alloc(12, 7) };
    for (const [object, parent] of [
      [elsewhere, elsewhere],
      [elsewhere, late.parent ?? elsewhere],
    ] as const) {
      const { files, losses } = attribute(event(object, parent), root);
      assert.deepEqual([files, losses], [[], []]);
    }
  });

  test('one that is there is found', () => {
    const { files } = attribute(late, root);
    assert.deepEqual(
      files.map(({ names }) => names.map(String)),
      [['late']],
    );
  });

  test('one in a directory that cannot be listed now is a loss', () => {
    const blind = {
      options: root.options,
      objectOfEvent: () => -1,
      seek: () => null,
    } as unknown as RootRecording;
    const { losses } = attribute(late, blind);
    assert.deepEqual(
      losses.map(({ where, count, recordingId }) => [where, count, recordingId]),
      [['unresolved-handle', 3, 1]],
    );
    const many = Array.from({ length: 1000 }, (_, index) => ({
      ...late,
      name: Buffer.from(`late ${index}`),
    }));
    assert.deepEqual(
      attribute(many, blind).losses.map(({ count, detail }) => [count, detail]),
      [
        [
          3000,
          'file late 0, late 1, late 2, late 3, late 4 and others in a directory that cannot be listed',
        ],
      ],
      'one, however many there are',
    );
  });
});
