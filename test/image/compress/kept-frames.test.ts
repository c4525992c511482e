/** Kept frames on their way into an image: in order among others, and let go of whatever happens. */
import assert from 'node:assert/strict';
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { constants as os } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { constants, zstdCompressSync } from 'node:zlib';

import { TraceError } from '../../../src/common/errors.ts';
import { sumFile } from '../../../src/fanotify-ts/sum-file.ts';
import { openCompressor } from '../../../src/image/compress/compressor.ts';
import { FrameCache } from '../../../src/image/compress/frame-cache.ts';
import { type FramesOptions, writeFrames } from '../../../src/image/compress/write-frames.ts';
import { openTree, temporaryFolder } from '../support.ts';

const { errno } = os;
/** As little as is kept. */
const LENGTH = 64 << 10;
/** More than are open at once. */
const COUNT = 150;

interface Place {
  readonly folder: string;
  readonly content: Buffer;
  /** Writes all frames, each of its own content; gives the cache's counts. */
  readonly write: (more?: Partial<FramesOptions>) => Promise<FrameCache['counts']>;
  readonly written: () => Buffer;
}

function place(t: TestContext): Place {
  const root = temporaryFolder(t);
  const [folder, output] = [join(root, 'cache'), join(root, 'out')];
  const content = Buffer.alloc(COUNT * LENGTH);
  for (let at = 0; at < content.length; at += 8) content.writeDoubleLE(Math.sqrt(at), at);
  const tree = openTree(t, root);
  return {
    folder,
    content,
    async write(more = {}) {
      const fd = openSync(output, 'w');
      const cache = await FrameCache.open({ folder, maxBytes: 1 << 30 });
      try {
        await writeFrames({
          source: {
            read: (from, length) =>
              Promise.resolve(Buffer.from(content.subarray(from, from + length))),
          },
          frames: Array.from({ length: COUNT }, (_, index) => ({
            start: index * LENGTH,
            end: (index + 1) * LENGTH,
          })),
          compressor: await openCompressor({ method: 'zstd', level: 1 }),
          cache,
          threads: 2,
          put: (part) => {
            writeFileSync(fd, part);
            return Promise.resolve();
          },
          copy: async (frame) => {
            await frame.writeTo({ tree, fd });
          },
          ...more,
        });
        return cache.counts;
      } finally {
        await cache.close();
        closeSync(fd);
      }
    },
    written: () => readFileSync(output),
  };
}

const openFiles = (): number => readdirSync('/proc/self/fd').length;

function keptIn(folder: string): string[] {
  return readdirSync(folder)
    .filter((name) => !name.startsWith('.'))
    .sort()
    .map((name) => join(folder, name));
}

describe('kept frames', () => {
  it('come in their turn, between those that are made anew', async (t) => {
    const { folder, write, written } = place(t);
    assert.deepEqual(await write(), { hits: 0, misses: COUNT, damaged: 0, failed: 0 });
    const whole = written();
    const before = openFiles();
    for (const every of [2, 7, 1, 100]) {
      const gone = keptIn(folder).filter((_, index) => index % every === 0);
      for (const path of gone) rmSync(path);
      const counts = await write();
      assert.deepEqual([counts.hits, counts.misses], [COUNT - gone.length, gone.length]);
      assert.ok(written().equals(whole));
    }
    assert.equal(openFiles(), before);
  });

  it('are compressed before they are found only if others of the image are known', async (t) => {
    const { write, written } = place(t);
    const zstd = await openCompressor({ method: 'zstd', level: 1 });
    let begun = 0;
    const compressor = {
      ...zstd,
      whole(bytes: Buffer) {
        begun++;
        return zstd.whole(bytes);
      },
    };
    const counted = async (identities: (string | null)[], isQuick = true) => {
      begun = 0;
      const { hits } = await write({ compressor: { ...compressor, isQuick }, identities });
      return { begun, hits };
    };
    const identities = (of: number): (string | null)[] =>
      Array.from({ length: COUNT }, (_, index) => `${of * COUNT + index}`.padStart(64, '0'));
    assert.deepEqual(await counted(identities(1)), { begun: COUNT, hits: 0 });
    const whole = written();
    // The same content by other files, as after a boot: to hash it is all that is needed.
    assert.deepEqual(await counted(identities(2)), { begun: 0, hits: COUNT });
    const two = identities(2)
      .with(5, 'f'.repeat(64))
      .with(COUNT - 1, null);
    assert.deepEqual(await counted(two), { begun: 2, hits: COUNT });
    assert.deepEqual(await counted(identities(2).with(7, null), false), { begun: 0, hits: COUNT });
    assert.ok(written().equals(whole));
  });

  it('are let go of when the output fails, or whoever asked has gone', async (t) => {
    const { write } = place(t);
    await write();
    const before = openFiles();
    const full = new Error('no space left');
    let copied = 0;
    const copy = () => (++copied === 20 ? Promise.reject(full) : Promise.resolve());
    await assert.rejects(write({ copy }), full);
    const stop = new AbortController();
    const onProgress = () => stop.abort(full);
    await assert.rejects(write({ signal: stop.signal, onProgress }), full);
    assert.equal(openFiles(), before);
  });

  it('fail an image whose rest has gone after it was looked at', async (t) => {
    const { folder, write } = place(t);
    await write();
    let copied = 0;
    const tree = openTree(t, folder);
    const copy: FramesOptions['copy'] = async (frame) => {
      if (++copied === 1) for (const path of keptIn(folder)) truncateSync(path, 5);
      await frame.writeTo({ tree, fd: nowhere });
    };
    const nowhere = openSync('/dev/null', 'w');
    t.after(() => closeSync(nowhere));
    await assert.rejects(
      write({ copy }),
      (error) => error instanceof TraceError && error.code === 'frame-cache-failed',
    );
  });
});

describe('the sum of a file', () => {
  const path = (t: TestContext) => join(temporaryFolder(t), 'file');

  it('is the one that zstd has of its content, whatever the length', async (t) => {
    const file = path(t);
    const content = Buffer.alloc(700_000);
    for (let at = 0; at < content.length; at++) content[at] = (at * at) >>> 7;
    const params = { [constants.ZSTD_c_checksumFlag]: 1 };
    for (const length of [...Array(100).keys(), 262_143, 262_144, 262_145, 700_000]) {
      const part = content.subarray(0, length);
      writeFileSync(file, part);
      const fd = openSync(file, 'r');
      // The frame ends with the lower half of it (RFC 8878, 3.1.1).
      const expected = zstdCompressSync(part, { params }).subarray(-4).readUInt32LE();
      const cut = Math.min(length, length % 37);
      try {
        const sum = await sumFile(fd, length, Buffer.alloc(0));
        assert.equal(Number(sum & 0xffffffffn), expected, `${length} bytes`);
        writeFileSync(file, part.subarray(cut));
        assert.equal(await sumFile(fd, length - cut, part.subarray(0, cut)), sum);
      } finally {
        closeSync(fd);
      }
    }
  });

  it('is none of a file that is shorter', async (t) => {
    const file = path(t);
    writeFileSync(file, 'short');
    const fd = openSync(file, 'r');
    t.after(() => closeSync(fd));
    await assert.rejects(sumFile(fd, 6, Buffer.alloc(0)), { errno: errno.ENODATA });
  });
});
