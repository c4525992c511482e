/** A root goes and comes, and the clock is set meanwhile: what the store has of that time. */
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
        await running.flush();
        const gap = store.losses().find(({ where }) => where === 'daemon-restart');
        assert.ok(
          gap !== undefined && gap.toUs >= gap.fromUs && gap.toUs - gap.fromUs < 30 * SECOND,
        );
      } finally {
        await running.stop();
      }
    });

  test('the time without it grows in the store, over the end of a daemon too', async () => {
    const path = Buffer.from(`${disk.path}/root`);
    const away = `${disk.path}/elsewhere`;
    const first = recorder();
    await first.start();
    await first.startRoot({ path, label: null, clients: [] });
    await first.flush();
    const goneUs = wallUs();
    renameSync(path, away);
    await first.flush();
    const absences = () => store.losses().filter(({ where }) => where === 'root-absent');
    assert.equal(absences().length, 1);
    for (let flush = 0; flush < 3; flush += 1) {
      laterUs += 600 * SECOND;
      stepUs -= HOUR;
      await first.flush();
    }
    const [grown] = absences();
    assert.ok(grown !== undefined && absences().length === 1);
    assert.ok(Math.abs(grown.toUs - grown.fromUs - 1800 * SECOND) < 30 * SECOND);
    assert.ok(Math.abs(grown.fromUs - (goneUs - 3 * HOUR)) < 30 * SECOND);

    // As if it had been killed: the root still is away when the next one starts.
    await first.stop();
    laterUs += 60 * SECOND;
    const second = recorder();
    try {
      await second.start();
      laterUs += 600 * SECOND;
      await second.flush();
      renameSync(away, path);
      laterUs += 3 * SECOND;
      await second.flush();
      assert.equal(second.status().recordings[0]?.waiting, null);
      const all = store.losses();
      assert.deepEqual(
        all.map(({ where, count }) => `${where} ${count}`),
        ['root-absent 1', 'daemon-restart 1', 'root-absent 1', 'root-absent 0'],
      );
      for (const [index, { fromUs }] of all.entries())
        if (index === 1 || index === 2)
          // Earlier is no hole: the sensors' own clock goes on as ever, so they are far behind here.
          assert.ok(fromUs - (all[index - 1]?.toUs ?? 0) < 6 * SECOND, 'without a hole');
      const [, gap, again, whole] = all;
      assert.ok((again?.toUs ?? 0) - (again?.fromUs ?? 0) >= 600 * SECOND);
      assert.equal(whole?.fromUs, gap?.fromUs);
      assert.ok(Math.abs((whole?.toUs ?? 0) - (again?.toUs ?? 0)) < SECOND);
    } finally {
      await second.stop();
    }
  });
});
