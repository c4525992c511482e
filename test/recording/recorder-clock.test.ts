/** The clock is set while a root is recorded, and while it is not there. */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { monotonicUs } from '../../src/fanotify-ts/system.ts';
import { useClock } from '../../src/recording/clock.ts';
import { Recorder } from '../../src/recording/recorder.ts';
import { Store } from '../../src/store/store.ts';
import { lacks } from '../capabilities.ts';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';

const SECOND = 1_000_000;
const HOUR = 3600 * SECOND;

describe('a recording, and its root away', { skip: lacks('mount', 'fanotify') }, () => {
  let disk: MountedFileSystem;
  let folder: string;
  let store: Store;
  let stepUs: number;
  let laterUs: number;
  beforeEach(() => {
    disk = makeFileSystem('tmpfs');
    mkdirSync(`${disk.path}/root`);
    folder = mkdtempSync(join(tmpdir(), 'recorder-'));
    store = Store.open({ path: join(folder, 'trace.db') });
    [stepUs, laterUs] = [0, 0];
    useClock({
      monotonicUs: () => monotonicUs() + laterUs,
      wallMs: () => Date.now() + (laterUs + stepUs) / 1000,
    });
  });
  afterEach(() => {
    store.close();
    disk.remove();
    rmSync(folder, { recursive: true });
    useClock(null);
  });
  const wallUs = (): number => Date.now() * 1000 + laterUs + stepUs;
  const recorder = (): Recorder =>
    new Recorder({
      store,
      bestTier: 'sole-client',
      quietUs: HOUR,
      serverNames: [],
      serverPorts: [],
      onNotice: () => undefined,
    });
  /** Starts of the recording: as the recorder shows it, and as the store has it. */
  const starts = (of: Recorder): (number | undefined)[] => [
    of.status().recordings[0]?.startedUs,
    store.activeRecordings()[0]?.startedUs,
  ];

  for (const [what, step] of [
    ['back', -HOUR],
    ['on', HOUR],
  ] as const)
    test(`set ${what}: its start, and the time without its root, are of the clock that is`, async () => {
      const path = Buffer.from(`${disk.path}/root`);
      let running = recorder();
      const check = (): void => {
        const [shown, stored] = starts(running);
        assert.equal(shown, stored);
        assert.ok(Math.abs((shown ?? 0) - wallUs()) < 60 * SECOND, `${(shown ?? 0) - wallUs()}`);
      };
      try {
        await running.start();
        await running.startRoot({ path, label: null, clients: [] });
        stepUs += step;
        await running.flush();
        check();

        renameSync(path, `${disk.path}/elsewhere`);
        await running.flush();
        assert.notEqual(running.status().recordings[0]?.waiting, null);
        stepUs += step;
        await running.flush();
        check();
        renameSync(`${disk.path}/elsewhere`, path);
        laterUs += 3 * SECOND;
        await running.flush();
        assert.equal(running.status().recordings[0]?.waiting, null);
        check();
        for (const { fromUs, toUs } of store.losses()) {
          assert.ok(toUs >= fromUs && toUs - fromUs < 10 * SECOND, `${(toUs - fromUs) / SECOND} s`);
          assert.ok(Math.abs(fromUs - wallUs()) < 30 * SECOND);
        }

        await running.stop();
        stepUs += step;
        running = recorder();
        await running.start();
        check();
        const gap = store.losses().find(({ where }) => where === 'daemon-restart');
        assert.ok(
          gap !== undefined && gap.toUs >= gap.fromUs && gap.toUs - gap.fromUs < 30 * SECOND,
        );
      } finally {
        await running.stop();
      }
    });
});
