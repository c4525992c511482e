/**
 * How recordings begin, go on and are listed: real trees and mounts, an index whose walk can be held
 * up or refused, and sensors that see nothing.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, mock, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ReplaySensors } from '../../src/capture/replay-source.ts';
import { TraceError } from '../../src/common/errors.ts';
import { HandleIndex, type IndexSummary } from '../../src/fanotify-ts/handle-index.ts';
import { nowUs, useClock } from '../../src/recording/clock.ts';
import { Recorder } from '../../src/recording/recorder.ts';
import { Store } from '../../src/store/store.ts';
import { cannotMake, makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { mountAgain } from './mount-again.ts';

const NONE = Buffer.alloc(0);
const GONE = new TraceError({ code: 'walk-failed', message: 'cannot list it', exit: 'io' });

describe('recordings that begin and go on', { skip: cannotMake('tmpfs') }, () => {
  let disk: MountedFileSystem;
  let folder: string;
  let store: Store;
  let notices: string[];
  let tables: () => { handles: Buffer; options: Buffer; etab: Buffer };
  let recorder: Recorder;
  let place: string;
  let release = (): void => undefined;

  beforeEach(() => {
    disk = makeFileSystem('tmpfs');
    for (const name of ['root', 'elsewhere', 'place']) mkdirSync(`${disk.path}/${name}`);
    writeFileSync(`${disk.path}/root/file`, '');
    place = `${disk.path}/place`;
    folder = mkdtempSync(join(tmpdir(), 'resuming-'));
    store = Store.open({ path: join(folder, 'trace.db') });
    notices = [];
    tables = () => ({ handles: NONE, options: NONE, etab: NONE });
    recorder = newRecorder();
  });
  afterEach(async () => {
    release();
    mock.restoreAll();
    useClock(null);
    await recorder.stop();
    store.close();
    execFileSync('sh', ['-c', 'umount "$0" 2>/dev/null; true', place]);
    disk.remove();
    rmSync(folder, { recursive: true });
  });

  function newRecorder(): Recorder {
    return new Recorder({
      store,
      quietUs: 900_000_000,
      serverNames: [],
      serverPorts: [],
      onNotice: ({ text }) => notices.push(text),
      replay: {
        sensors: new ReplaySensors({ trace: [], files: [], tier: 'exact' }),
        root: () => undefined,
        exports: {
          tables: () => tables(),
          domains: () => new Map(),
          rootHandle: () => null,
          openIndex: () => null,
        },
      },
    });
  }
  const mount = (from = 'root'): unknown =>
    execFileSync('mount', ['--bind', `${disk.path}/${from}`, place], { stdio: 'pipe' });
  const unmount = (): unknown => execFileSync('umount', [place], { stdio: 'pipe' });
  const start = (path = place): ReturnType<Recorder['startRoot']> =>
    recorder.startRoot({ path: Buffer.from(path), label: null, clients: [] });
  const losses = (): string[] => store.losses().map(({ where }) => where);
  const status = () => recorder.status().recordings[0] ?? assert.fail('nothing is recorded');
  /** Walks wait until they may go on. */
  const holdWalks = (): { readonly calls: () => number } => {
    const released = new Promise<void>((resolve) => (release = resolve));
    const walk = Object.getOwnPropertyDescriptor(HandleIndex.prototype, 'walk')
      ?.value as () => Promise<IndexSummary>;
    const held = mock.method(HandleIndex.prototype, 'walk', async function (this: HandleIndex) {
      await released;
      return walk.call(this);
    });
    return { calls: () => held.mock.callCount() };
  };

  test('it has started when its roots are taken: listed once, after that; the gap is one commit', async () => {
    mount();
    await recorder.start();
    await start();
    await start(`${disk.path}/elsewhere`);
    await recorder.flush();
    const lastUs = store.lastIngestUs();
    await recorder.stop();
    const { calls } = holdWalks();
    recorder = newRecorder();
    await recorder.start();
    assert.deepEqual(
      recorder.status().recordings.map(({ walking, waiting }) => [walking, waiting]),
      [
        [true, null],
        [true, null],
      ],
    );
    assert.equal(recorder.busyMs, 0, 'a walk is no standstill');
    assert.deepEqual(losses(), []);
    assert.equal(store.lastIngestUs(), lastUs, 'who is killed now has lost nothing of the gap');
    const takenUs = Date.now() * 1000;
    await delay(20);
    release();
    await recorder.flush();
    // What came while they were listed waits in the sensors; these never give anything.
    assert.ok((store.lastIngestUs() ?? 0) <= takenUs, 'nor of what came while they were listed');
    assert.equal(calls(), 2);
    assert.deepEqual(losses(), ['daemon-restart', 'daemon-restart']);
    assert.equal(status().walking, false);
    assert.equal(status().objects, 2);
  });

  test('whoever stops it while its roots are listed waits for no listing, and the gap stays', async () => {
    mount();
    await recorder.start();
    await start();
    await recorder.stop();
    store.ingest({ atUs: Date.now() * 1000 });
    const lastUs = store.lastIngestUs();
    mock.method(HandleIndex.prototype, 'walk', async function (this: HandleIndex) {
      // Until it is closed.
      while (this.objects >= 0) await delay(1);
    });
    recorder = newRecorder();
    await recorder.start();
    await delay(20);
    assert.equal(status().walking, true);
    const flush = recorder.flush();
    const mark = assert.rejects(recorder.mark('now'), { code: 'ending' });
    recorder.endListing();
    await Promise.all([flush, mark]);
    await recorder.stop();
    mock.restoreAll();
    assert.deepEqual([store.lastIngestUs(), losses()], [lastUs, []]);
    recorder = newRecorder();
    await recorder.start();
    await recorder.flush();
    const [gap] = store.losses();
    assert.equal(gap?.where, 'daemon-restart');
    assert.ok(gap.fromUs <= (lastUs ?? 0));
  });

  test('a root that is absent at the start holds nothing up, and goes on when it comes', async () => {
    mount();
    await recorder.start();
    await start();
    await recorder.stop();
    unmount();
    rmSync(place, { recursive: true });
    recorder = newRecorder();
    await recorder.start();
    assert.match(status().waiting ?? '', /No such file/);
    mkdirSync(place);
    mount();
    useClock({
      monotonicUs: () => Number(process.hrtime.bigint() / 1000n) + 3e6,
      wallMs: Date.now,
    });
    await recorder.flush();
    assert.deepEqual([status().waiting, status().objects], [null, 2]);
    assert.deepEqual(
      store.losses().map(({ where, count }) => `${where} ${count}`),
      ['daemon-restart 1', 'root-absent 1', 'root-absent 0'],
    );
  });

  test('whoever notices that the root was mounted again, the loss is written, with its time', async () => {
    mount();
    await recorder.start();
    await start();
    await recorder.flush();
    const fromUs = Date.now() * 1000;
    mountAgain(`${disk.path}/root`, place, `${disk.path}/elsewhere`);
    await recorder.mark('now');
    const [loss, ...more] = store.losses();
    assert.deepEqual([loss?.where, more], ['root-absent', []]);
    assert.ok(loss !== undefined && loss.fromUs <= fromUs + 1000 && loss.toUs >= fromUs);
    assert.match(loss.detail ?? '', /mounted on the root/);
    await recorder.flush();
    assert.deepEqual(losses(), ['root-absent']);
  });

  test('a listing that is refused: the answer says so, and it is tried again', async () => {
    mount();
    await recorder.start();
    const walk = mock.method(HandleIndex.prototype, 'walk', () => Promise.reject(GONE));
    const answer = await start();
    assert.deepEqual([answer.walking, answer.unlisted], [false, 'cannot list it']);
    await recorder.flush();
    assert.equal(walk.mock.callCount(), 1, 'not at once');
    walk.mock.restore();
    const later = nowUs() + 6e6;
    useClock({ monotonicUs: () => later, wallMs: Date.now });
    await recorder.flush();
    assert.deepEqual([status().unlisted, status().objects], [null, 2]);
    assert.equal(notices.filter((text) => text.includes('cannot list it')).length, 1);
  });

  test('a start that fails on the way leaves nothing half begun', async () => {
    mount();
    await recorder.start();
    tables = () => assert.fail('no tables');
    await assert.rejects(start(), /no tables/);
    assert.deepEqual(recorder.status().recordings, []);
    assert.deepEqual(store.activeRecordings(), []);
    tables = () => ({ handles: NONE, options: NONE, etab: NONE });
    await start();
    await recorder.flush();
    assert.equal(status().objects, 2);
  });

  test('a recording that goes on although its listing failed is listed later', async () => {
    mount();
    await recorder.start();
    await start();
    await recorder.flush();
    await recorder.stop();
    tables = () => assert.fail('no tables');
    recorder = newRecorder();
    await recorder.start();
    await assert.rejects(recorder.flush(), /no tables/);
    assert.deepEqual(losses(), ['daemon-restart']);
    assert.match(notices.join('\n'), /could not be listed, and will be tried again: no tables/);
    tables = () => ({ handles: NONE, options: NONE, etab: NONE });
    await recorder.flush();
    assert.deepEqual([status().walking, status().objects], [false, 2]);
    assert.deepEqual(losses(), ['daemon-restart']);
  });
});
