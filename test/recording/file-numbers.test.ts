/** Files keep their numbers in the store, and their names there are true, whatever comes and goes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { ClientFilter } from '../../src/recording/client-filter.ts';
import { nowUs } from '../../src/recording/clock.ts';
import { knownFilesOf } from '../../src/recording/file-numbers.ts';
import { MountTable, readMountinfo } from '../../src/recording/mounts.ts';
import { RootRecording } from '../../src/recording/root-recording.ts';
import { Store } from '../../src/store/store.ts';
import type { NewFile } from '../../src/store/types.ts';
import { cannotMake, makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { mountAgain } from './mount-again.ts';

describe('numbers of files', { skip: cannotMake('tmpfs') }, () => {
  let disk: MountedFileSystem;
  let other: MountedFileSystem;
  let folder: string;
  let store: Store;
  let rootId: number;
  let root: RootRecording;
  let next: number;

  beforeEach(async () => {
    disk = makeFileSystem('tmpfs');
    other = makeFileSystem('tmpfs');
    for (const name of ['root/m', 'n']) mkdirSync(`${disk.path}/${name}`, { recursive: true });
    symlinkSync('to/nothing', `${disk.path}/root/link`);
    for (const file of [`${disk.path}/root/own`, `${other.path}/file`, `${other.path}/gone`])
      writeFileSync(file, '');
    folder = mkdtempSync(join(tmpdir(), 'numbers-'));
    store = Store.open({ path: join(folder, 'trace.db') });
    rootId = store.ensureRoot(Buffer.from('/root'));
    next = 1;
    await begin();
  });
  afterEach(() => {
    root.close();
    store.close();
    execFileSync('sh', ['-c', 'umount "$0"/root/m 2>/dev/null; true', disk.path]);
    disk.remove();
    other.remove();
    rmSync(folder, { recursive: true });
  });

  async function begin(): Promise<void> {
    root = new RootRecording({ path: Buffer.from(`${disk.path}/root`) });
    root.open();
    const clients = new ClientFilter([]);
    root.begin(
      { rootId, recordingId: 1, clients, label: null, onLoss: 'warn', startedUs: 0 },
      knownFilesOf(store, rootId),
    );
    await look();
  }
  async function look(): Promise<void> {
    const mounts = new MountTable(readMountinfo());
    const refused = (_: unknown, error: Error): never => assert.fail(error);
    root.followMounts(mounts, { wanted: () => true, refused, knownUs: nowUs() });
    await root.walkNew(refused);
  }
  const mount = (): unknown =>
    execFileSync('mount', ['--bind', other.path, `${disk.path}/root/m`], { stdio: 'pipe' });
  const unmount = (): unknown => execFileSync('umount', [`${disk.path}/root/m`], { stdio: 'pipe' });
  /** As a flush that saw these used: their numbers. */
  const use = (...paths: string[]): number[] => {
    const files: NewFile[] = [];
    const numbers = paths.map((path) => root.fileOf(objectOf(path), () => next++, files));
    store.ingest({ atUs: 1, files, names: root.nameChanges() });
    root.letGo();
    return numbers;
  };
  /** By what the store was told at first. */
  const objectOf = (path: string): number => {
    for (let object = 0; object < 8 * 2 ** 31; object += 2 ** 31)
      for (let id = 0; id < 16; id += 1)
        try {
          if (
            String(root.pathOf(object + id)) === path &&
            root.find(root.whereIs(object + id)) >= 0
          )
            return root.find(root.whereIs(object + id));
        } catch {
          break;
        }
    return assert.fail(path);
  };
  const stored = (): [number, string[]][] =>
    [...store.knownFiles(rootId)].map(({ id, names }) => [id, names.map(String)]);

  test('what a file is at its first sight: its times, and where a link leads', () => {
    const files: NewFile[] = [];
    for (const path of ['own', 'link']) root.fileOf(objectOf(path), () => next++, files);
    const real = lstatSync(`${disk.path}/root/link`, { bigint: true });
    assert.deepEqual(
      files.map(({ target, ctimeNs }) => [target?.toString(), typeof ctimeNs]),
      [
        [undefined, 'bigint'],
        ['to/nothing', 'bigint'],
      ],
    );
    assert.equal(files[1]?.ctimeNs, real.ctimeNs);
  });

  test('what a file is now is news if the store does not have it so; a look holds some seconds', async () => {
    const files: NewFile[] = [];
    const object = objectOf('own');
    const id = root.fileOf(object, () => next++, files);
    assert.equal(root.newsOf(object), undefined);
    appendFileSync(`${disk.path}/root/own`, 'more');
    assert.equal(root.newsOf(object), undefined, 'somebody has just looked');
    const real = lstatSync(`${disk.path}/root/own`, { bigint: true });
    const news = [root.newsOf(object, { now: true }), root.newsOf(object)];
    for (const state of news) assert.deepEqual([state?.size, state?.ctimeNs], [4, real.ctimeNs]);
    store.ingest({ atUs: 1, files, names: root.nameChanges() });

    appendFileSync(`${disk.path}/root/own`, 'and more');
    assert.equal(root.newsOf(object)?.size, 4);
    await delay(5_100);
    assert.equal(root.newsOf(object)?.size, 12);

    // As the store has it, after a start too.
    root.close();
    await begin();
    assert.equal(root.newsOf(objectOf('own'))?.size, 12);
    assert.equal(root.newsOf(objectOf('link'))?.mode, 0o120777, 'the store has never seen it');
    chmodSync(`${disk.path}/root/own`, 0o600);
    const state = root.newsOf(objectOf('own'), { now: true });
    const access = { operations: 1, count: 1, bytes: 0, firstUs: 1, lastUs: 1, order: 1 };
    const recordingId = store.startRecording({
      ...{ rootId, label: null, clients: [], tier: 'exact', atUs: 1 },
    });
    store.ingest({
      atUs: 1,
      opened: [
        {
          ...{ id: 1, client: '10.0.0.1', rootId, recordingId, partial: false },
          ...{ evidence: { kind: 'manual' }, openedUs: 1, lastUs: 1 },
        },
      ],
      accesses: [{ ...access, sessionId: 1, fileId: id, evidence: 'nfsd', state }],
    });
    assert.equal(store.files(1)[0]?.mode, 0o100600);
    root.close();
    await begin();
    assert.equal(root.newsOf(objectOf('own')), undefined);
    rmSync(`${disk.path}/root/own`);
    assert.equal(root.newsOf(objectOf('own'), { now: true }), undefined, 'it has gone');
  });

  test('a file system that is unmounted and comes back', async () => {
    mount();
    await look();
    assert.deepEqual(use('own', 'm/file', 'm/gone'), [1, 2, 3]);
    unmount();
    await look();
    for (let flush = 0; flush < 3; flush += 1) use();
    assert.deepEqual(stored(), [
      [1, ['own']],
      [2, []],
      [3, []],
    ]);
    rmSync(`${other.path}/gone`);
    renameSync(`${other.path}/file`, `${other.path}/other`);
    mount();
    await look();
    use();
    assert.deepEqual(use('own', 'm/other'), [1, 2]);
    assert.deepEqual(stored(), [
      [1, ['own']],
      [2, ['m/other']],
      [3, []],
    ]);
    assert.equal(next, 4, 'no other number was given');
  });

  test('one that is mounted again between two looks', async () => {
    mount();
    await look();
    assert.deepEqual(use('own', 'm/file', 'm/gone'), [1, 2, 3]);
    rmSync(`${other.path}/gone`);
    mountAgain(other.path, `${disk.path}/root/m`, `${disk.path}/n`);
    await look();
    assert.deepEqual(use('m/file'), [2]);
    for (let flush = 0; flush < 3; flush += 1) use();
    assert.deepEqual(use('own', 'm/file'), [1, 2]);
    assert.deepEqual(stored(), [
      [1, ['own']],
      [2, ['m/file']],
      [3, []],
    ]);
  });

  test('a file that was out of the root when the recording was resumed, and came back', async () => {
    assert.deepEqual(use('own'), [1]);
    root.close();
    renameSync(`${disk.path}/root/own`, `${disk.path}/own`);
    await begin();
    use();
    assert.deepEqual(stored(), [[1, []]]);
    renameSync(`${disk.path}/own`, `${disk.path}/root/back`);
    writeFileSync(`${disk.path}/root/new`, '');
    await root.rewalk();
    assert.deepEqual(use('back', 'new'), [1, 2]);
    assert.deepEqual(stored(), [
      [1, ['back']],
      [2, ['new']],
    ]);
  });
});
