/** Kept frames: what is unchanged is not compressed again, and nothing wrong gets into an image. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { TraceError } from '../../../src/common/errors.ts';
import { FrameCache, type Wanted } from '../../../src/image/compress/frame-cache.ts';
import type { FramesResult } from '../../../src/image/export.ts';
import { exportImage } from '../export-image.ts';
import { lacks } from '../../capabilities.ts';
import { openTree, planAll, put, run, temporaryFolder } from '../support.ts';

const ZSTD = { method: 'zstd', level: 1 } as const;

interface Place {
  readonly root: string;
  readonly cache: string;
  readonly build: (more?: {
    maxBytes?: number;
    cached?: boolean;
    settledSeconds?: number;
  }) => Promise<{
    readonly image: Buffer;
    readonly frames: FramesResult;
  }>;
}

/** 30 MB: several frames, and a file that is one by itself. */
function place(t: TestContext): Place {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  for (let i = 0; i < 400; i++)
    put(join(root, `d${i % 9}/f${i}`), Buffer.alloc(30_000 + i, `file ${i} `));
  put(join(root, 'large'), Buffer.alloc(17_000_000, 'large '));
  const tree = openTree(t, root);
  const cache = join(folder, 'cache');
  const output = join(folder, 'image');
  return {
    root,
    cache,
    async build({ maxBytes = 1 << 30, cached = true, settledSeconds } = {}) {
      const plan = await planAll(root, tree);
      const frameCache = cached ? { folder: cache, maxBytes } : undefined;
      const keeping = { frameCache, settledSeconds };
      const { frames } = await exportImage({ tree, plan, output, compress: ZSTD, ...keeping });
      assert.ok(frames !== undefined);
      return { image: readFileSync(output), frames };
    },
  };
}

const kept = (folder: string): string[] =>
  readdirSync(folder).filter((name) => !name.startsWith('.'));

describe('a cache of frames', () => {
  it('gives the same bytes, and compresses what changed alone', async (t) => {
    const { root, cache, build } = place(t);
    const { image: plain } = await build({ cached: false });
    const first = await build();
    const frames = first.frames.count - 1; // the end record is not worth it
    assert.deepEqual(first.frames.cache, { hits: 0, misses: frames, damaged: 0, failed: 0 });
    assert.ok(frames >= 3);
    const again = await build();
    assert.deepEqual(again.frames.cache, { hits: frames, misses: 0, damaged: 0, failed: 0 });
    assert.ok(first.image.equals(plain) && again.image.equals(plain));
    assert.equal(statSync(cache).mode & 0o777, 0o700);
    for (const name of readdirSync(cache))
      assert.equal(statSync(join(cache, name)).mode & 0o777, 0o600);

    for (const [path, size] of [
      ['d3/f12', 31_000],
      ['d8/f8', 5],
      ['large', 17_000_001],
    ] as const) {
      writeFileSync(join(root, path), Buffer.alloc(size, 'changed'));
      const changed = await build();
      const { hits = 0, misses = 0 } = changed.frames.cache ?? {};
      assert.ok(misses >= 1 && misses <= 2 && hits + misses === changed.frames.count - 1, path);
      assert.ok(changed.image.equals((await build({ cached: false })).image), path);
    }
  });

  it('finds damage, and makes the frame again', async (t) => {
    const { cache, build } = place(t);
    const { image } = await build();
    const names = kept(cache).sort();
    const [flipped = '', cut = '', other = ''] = names;
    const bytes = readFileSync(join(cache, flipped));
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    writeFileSync(join(cache, flipped), bytes);
    truncateSync(join(cache, cut), 10);
    const damaged = await build();
    assert.ok(damaged.image.equals(image));
    assert.equal(damaged.frames.cache?.damaged, 2);
    assert.equal((await build()).frames.cache?.damaged, 0);
    // A whole frame, under the name of another.
    renameSync(join(cache, other), join(cache, flipped));
    const misplaced = await build();
    assert.ok(misplaced.image.equals(image));
    assert.deepEqual([misplaced.frames.cache?.damaged, misplaced.frames.cache?.misses], [1, 2]);
  });

  it('is not the same for another level', async (t) => {
    const { cache, build } = place(t);
    await build();
    const before = kept(cache).length;
    const opened = await FrameCache.open({ folder: cache, maxBytes: 1 << 30 });
    const keys = [opened.key(Buffer.alloc(32), 'zstd -1'), opened.key(Buffer.alloc(32), 'zstd -2')];
    assert.notEqual(keys[0], keys[1]);
    await opened.close();
    assert.equal(kept(cache).length, before);
  });

  it('keeps to its bound: what was not used for longest goes', async (t) => {
    const folder = join(temporaryFolder(t), 'cache');
    const fill = async (name: string, at: number) => {
      const cache = await FrameCache.open({ folder, maxBytes: 3 * 1008 });
      const key = cache.key(Buffer.alloc(32, name), 'x');
      const keeper = await cache.keep(key);
      await keeper.write(Buffer.alloc(1000, name));
      await keeper.commit();
      utimesSync(join(folder, key), at, at);
      await cache.close();
      return key;
    };
    const [a, b, c] = [await fill('a', 1), await fill('b', 2), await fill('c', 3)];
    const cache = await FrameCache.open({ folder, maxBytes: 3 * 1008 });
    const found = await cache.find(a);
    assert.ok(found !== null);
    const bytes = Buffer.alloc(1000);
    await found.file.read(bytes, 0, found.length, 0);
    await found.file.close();
    assert.deepEqual(bytes, Buffer.alloc(1000, 'a'));
    await cache.close();
    const d = await fill('d', 4);
    assert.deepEqual(kept(folder).sort(), [a, c, d].sort());
    assert.equal(b.length, 64);
  });

  it('forgets what a killed run has left, and is whole after it', async (t) => {
    const { root, cache, build } = place(t);
    const base = join(import.meta.dirname, '../../..');
    const script = `
      const { NativeTree } = await import('${base}/src/fanotify-ts/tree.ts');
      const { planAll } = await import('${base}/test/image/support.ts');
      const { exportImage } = await import('${base}/src/image/export.ts');
      const tree = NativeTree.open(${JSON.stringify(root)});
      const plan = await planAll(${JSON.stringify(root)}, tree);
      await exportImage({ plan, tree, output: '/dev/null', compress: { method: 'zstd', level: 1 },
        frameCache: { folder: ${JSON.stringify(cache)}, maxBytes: 1e9 },
        onProgress: () => process.kill(process.pid, 'SIGKILL') });`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script]);
    const [, signal] = await new Promise<[unknown, string | null]>((resolve) =>
      child.on('close', (code, how) => resolve([code, how])),
    );
    assert.equal(signal, 'SIGKILL');
    const old = join(cache, `.${'0'.repeat(32)}.partial`);
    writeFileSync(old, 'half a frame');
    utimesSync(old, 1, 1);
    const { image } = await build();
    assert.ok(image.equals((await build({ cached: false })).image));
    assert.equal(readdirSync(cache).includes(`.${'0'.repeat(32)}.partial`), false);
  });

  it('of others is refused before anything is made', { skip: lacks('root') }, async (t) => {
    const { root, cache, build } = place(t);
    const refused = (code: string) =>
      assert.rejects(build(), (error) => error instanceof TraceError && error.code === code);
    mkdirSync(cache);
    for (const mode of [0o770, 0o707, 0o1777]) {
      chmodSync(cache, mode);
      await refused('frame-cache-unsafe');
    }
    chmodSync(cache, 0o755);
    chownSync(cache, 65_534, 65_534);
    await refused('frame-cache-unsafe');
    chownSync(cache, 0, 0);
    await build();
    renameSync(cache, `${cache}-was`);
    put(cache, 'a file');
    await refused('frame-cache-failed');
    assert.ok(root);
  });

  it('that cannot take a frame does not fail the image', { skip: lacks('root') }, async (t) => {
    const { cache, build } = place(t);
    mkdirSync(cache, { mode: 0o700 });
    const opened = await FrameCache.open({ folder: cache, maxBytes: 1 });
    const key = opened.key(Buffer.alloc(32), 'x');
    mkdirSync(join(cache, key));
    const keeper = await opened.keep(key);
    await keeper.write(Buffer.from('data'));
    await keeper.commit();
    assert.equal(opened.counts.failed, 1);
    assert.equal(await opened.find(key), null);
    await opened.close();
    assert.deepEqual(readdirSync(cache), [key]);
    await build({ maxBytes: 0 });
    assert.deepEqual(readdirSync(cache), [key]);
  });

  it('asks for the content of a frame once, as long as it is made from the same files', async (t) => {
    const folder = join(temporaryFolder(t), 'cache');
    const [content, other] = ['0', '1'].map((digit) => digit.repeat(64)) as [string, string];
    const wanted = {
      identity: 'a'.repeat(64),
      compressor: 'x',
      hash: () => Promise.resolve(content),
    };
    const never = { ...wanted, hash: () => Promise.reject(new Error('asked again')) };
    const lookUp = async (frame: Wanted) => {
      const cache = await FrameCache.open({ folder, maxBytes: 1 << 20 });
      try {
        return (await cache.lookUp(frame)).key;
      } finally {
        await cache.close();
      }
    };
    const key = await lookUp(wanted);
    assert.equal(await lookUp(never), key);
    assert.notEqual(await lookUp({ ...never, compressor: 'y' }), key);
    const changed = { ...wanted, identity: 'b'.repeat(64), hash: () => Promise.resolve(other) };
    assert.notEqual(await lookUp(changed), key);
    await assert.rejects(lookUp({ ...never, identity: null }), /asked again/);
    const index = join(folder, '.index');
    assert.equal(statSync(index).mode & 0o777, 0o600);
    const good = readFileSync(index, 'latin1');
    for (const damaged of [
      good.replace(content, other),
      good.slice(0, -2),
      good.slice(1),
      good.replace('frames 1', 'frames 2'),
      '',
      '\n',
      '\xff'.repeat(1 << 20),
    ]) {
      writeFileSync(index, damaged, 'latin1');
      await assert.rejects(lookUp(never), /asked again/);
    }
    await lookUp(wanted);
    assert.equal(await lookUp(never), key);
    rmSync(index);
    mkdirSync(index);
    await lookUp(wanted);
    await assert.rejects(lookUp(never), /asked again/);
    assert.deepEqual(readdirSync(folder), ['.index']);
  });

  it('forgets contents that were not asked for longest', async (t) => {
    const folder = join(temporaryFolder(t), 'cache');
    const number = (value: number) => value.toString(16).padStart(64, '0');
    let asked = 0;
    const cache = await FrameCache.open({ folder, maxBytes: 1 << 20 });
    for (let i = 0; i < 5000; i++) {
      const hash = () => Promise.resolve(number(i));
      await cache.lookUp({ identity: number(i), compressor: 'x', hash });
    }
    await cache.close();
    const again = await FrameCache.open({ folder, maxBytes: 1 << 20 });
    for (const i of [0, 903, 904, 4999]) {
      const hash = () => Promise.resolve(number((asked++, i)));
      await again.lookUp({ identity: number(i), compressor: 'x', hash });
    }
    await again.close();
    assert.equal(asked, 2);
  });

  it('reads nothing of files that are as they were', { skip: lacks('mounts') }, async (t) => {
    const { root, build } = place(t);
    await sleep(30);
    const { image } = await build({ settledSeconds: 0 });
    const again = await build({ settledSeconds: 0 });
    assert.ok(again.image.equals(image));
    assert.equal(again.frames.cache?.misses, 0);
    // Same size, same times: a change that only the time of the change shows.
    const path = join(root, 'd1/f1');
    run('touch', ['-r', path, join(root, '../time')]);
    writeFileSync(path, Buffer.alloc(30_001, 'FILE 1 '));
    run('touch', ['-r', join(root, '../time'), path]);
    await sleep(30);
    const changed = await build({ settledSeconds: 0 });
    assert.equal(changed.frames.cache?.misses, 1);
    assert.ok(!changed.image.equals(image));
    assert.ok(changed.image.equals((await build({ cached: false })).image));
    // Another time of the change alone: what is compressed meanwhile is of no use.
    chmodSync(path, statSync(path).mode);
    await sleep(30);
    const touched = await build({ settledSeconds: 0 });
    assert.equal(touched.frames.cache?.misses, 0);
    assert.ok(touched.image.equals(changed.image));
  });
});
