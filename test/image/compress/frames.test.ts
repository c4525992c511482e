/** Compressed archives: the same archive within, in frames that the kernel takes, always the same bytes. */
import assert from 'node:assert/strict';
import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';

import { TraceError } from '../../../src/common/errors.ts';
import type { NativeTree } from '../../../src/fanotify-ts/tree.ts';
import { archiveLength } from '../../../src/image/archive.ts';
import { COMPRESSION_METHODS, type CompressionMethod } from '../../../src/image/choices.ts';
import { openCompressor } from '../../../src/image/compress/compressor.ts';
import { cutFrames, FRAME_MOST } from '../../../src/image/compress/cut-frames.ts';
import { checkCompression, METHODS } from '../../../src/image/compress/methods.ts';
import { recordsOf } from '../records-of.ts';
import type { ExportOptions } from '../../../src/image/export.ts';
import { exportImage } from '../export-image.ts';
import { type ImagePlan, planImage } from '../../../src/image/plan.ts';
import { MemoryTree } from '../memory-tree.ts';
import { makeTree, openTree, planAll, put, run, setTimes, temporaryFolder } from '../support.ts';

/** Compresses fast, and differs from file to file. */
const content = (size: number, seed: number): Buffer => Buffer.alloc(size, `some content ${seed} `);

interface Scene {
  readonly root: string;
  readonly tree: NativeTree;
  readonly plan: ImagePlan;
  readonly folder: string;
}

/** 35 MB in many files, one of them larger than any frame, and everything odd. */
async function scene(t: TestContext): Promise<Scene> {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  makeTree(root);
  for (let i = 0; i < 300; i++)
    put(join(root, `usr/share/d${i % 7}/file-${i}`), content(20_000 + 400 * i, i));
  put(join(root, 'usr/lib/large'), content(17_000_001, 999));
  // One archive for all tests, which other programs need to read once.
  setTimes(root);
  const tree = openTree(t, root);
  return { folder, root, tree, plan: await planAll(root, tree) };
}

async function bytesOf(
  { tree, plan, folder }: Scene,
  more: Partial<ExportOptions> = {},
): Promise<Buffer> {
  const output = join(folder, 'image');
  const { bytes } = await exportImage({ tree, plan, output, ...more });
  const written = readFileSync(output);
  assert.equal(written.length, bytes);
  return written;
}

const PROGRAMS: Readonly<Record<CompressionMethod, readonly string[]>> = {
  gzip: ['gzip', '-dc'],
  zstd: ['zstd', '-dc'],
  xz: ['xz', '-dc'],
  lz4: ['lz4', '-dc'],
};

function decompressed(method: CompressionMethod, image: Buffer): Buffer {
  const [program = '', ...args] = PROGRAMS[method];
  return run(program, args, { input: image });
}

/** Where each compressed frame starts, by looking at the file alone. */
const MAGIC: Readonly<Record<CompressionMethod, string>> = {
  gzip: '1f8b080000000000',
  zstd: '28b52ffd',
  xz: 'fd377a585a000001',
  lz4: '02214c18',
};

describe('a compressed image', () => {
  for (const method of COMPRESSION_METHODS)
    it(`by ${method} holds the archive, has the same bytes with any number of threads`, async (t) => {
      const made = await scene(t);
      const plain = await bytesOf(made);
      const level = METHODS[method].levels[0];
      const compress = { method, level };
      const once = await bytesOf(made, { compress, threads: 1 });
      for (const threads of [2, 3, 4])
        assert.ok((await bytesOf(made, { compress, threads })).equals(once), String(threads));
      assert.ok(once.length < plain.length);
      assert.ok(decompressed(method, once).equals(plain));
      assert.ok(once.toString('hex').startsWith(MAGIC[method]));
      const names = run('cpio', ['-t', '--quiet'], { input: decompressed(method, once) });
      assert.equal(names.toString('latin1').split('\n').filter(Boolean).length > 300, true);
      // Each frame by itself is whole records: what the kernel wants of a member.
      const starts = recordsOf(plain).map(({ offset }) => offset);
      for (const { start } of cutFrames(made.plan.entries).slice(0, -1))
        assert.ok(starts.includes(start), String(start));
    });

  it('says what it is made of', async (t) => {
    const { tree, plan, folder } = await scene(t);
    const output = join(folder, 'image');
    const compress = { method: 'zstd', level: 1 } as const;
    const told: number[] = [];
    const onProgress = (bytes: number) => told.push(bytes);
    const { frames } = await exportImage({ tree, plan, output, compress, onProgress });
    assert.deepEqual(frames, {
      archiveBytes: plan.bytes,
      count: cutFrames(plan.entries).length,
      cache: null,
      problems: [],
    });
    assert.deepEqual(
      told,
      cutFrames(plan.entries).map(({ end }) => end),
    );
  });

  it('has members that zstd itself calls plain, with small windows and checks', async (t) => {
    const made = await scene(t);
    const image = await bytesOf(made, { compress: { method: 'zstd', level: 19 } });
    const file = join(made.folder, 'listed.zst');
    writeFileSync(file, image);
    const listed = run('zstd', ['-l', '-v', file]).toString();
    assert.match(
      listed,
      new RegExp(`# Zstandard Frames: ${cutFrames(made.plan.entries).length}\n`),
    );
    assert.doesNotMatch(listed, /Skippable Frames: [1-9]/);
    const [, window = 'none'] = /Window Size: .*\((\d+) B\)/.exec(listed) ?? [];
    assert.ok(Number(window) <= 8 << 20, listed);
  });

  it('has members of xz with CRC32, of lz4 with the legacy magic, of gzip without name and time', async (t) => {
    const made = await scene(t);
    const file = join(made.folder, 'listed.xz');
    writeFileSync(file, await bytesOf(made, { compress: { method: 'xz', level: 0 } }));
    const listed = run('xz', ['--robot', '--list', file]).toString();
    const count = cutFrames(made.plan.entries).length;
    assert.match(listed, new RegExp(`^file\t${count}\t\\d+\t\\d+\t\\d+\t[\\d.]+\tCRC32\t0$`, 'm'));
    const gzip = await bytesOf(made, { compress: { method: 'gzip', level: 1 } });
    // Flags and time of RFC 1952: none.
    assert.deepEqual(gzip.subarray(0, 8), Buffer.from('1f8b080000000000', 'hex'));
    const lz4 = await bytesOf(made, { compress: { method: 'lz4', level: 1 } });
    assert.equal(lz4.readUInt32LE(0), 0x184c2102);
  });

  it('does not follow settings in the environment', async (t) => {
    const made = await scene(t);
    const images = async () => [
      await bytesOf(made, { compress: { method: 'xz', level: 1 } }),
      await bytesOf(made, { compress: { method: 'lz4', level: 1 } }),
    ];
    const before = await images();
    const saved = { ...process.env };
    t.after(() => (process.env = saved));
    const settings = { XZ_OPT: '--check=crc64', XZ_DEFAULTS: '-9', LZ4_CLEVEL: '9' };
    process.env = { ...saved, ...settings };
    assert.deepEqual(await images(), before);
  });

  it('is streamed to a descriptor as it is to a file', async (t) => {
    const made = await scene(t);
    const compress = { method: 'zstd', level: 1 } as const;
    const script = `
      const { NativeTree } = await import('${import.meta.dirname}/../../../src/fanotify-ts/tree.ts');
      const { planAll } = await import('${import.meta.dirname}/../support.ts');
      const { exportImage } = await import('${import.meta.dirname}/../../../src/image/export.ts');
      const tree = NativeTree.open(${JSON.stringify(made.root)});
      const plan = await planAll(${JSON.stringify(made.root)}, tree);
      await exportImage({ plan, tree, output: 1, compress: { method: 'zstd', level: 1 } });`;
    const streamed = run(process.execPath, ['--input-type=module', '-e', script]);
    assert.ok(streamed.equals(await bytesOf(made, { compress })));
  });
});

it('with another library a program is another one', async (t) => {
  const path = process.env['PATH'];
  t.after(() => (process.env['PATH'] = path));
  const keyWith = async (version: string): Promise<string> => {
    const folder = temporaryFolder(t);
    const program = `#!/bin/sh\necho 'xz (XZ Utils) 5.4.1'; echo 'liblzma ${version}'\n`;
    writeFileSync(join(folder, 'xz'), program, { mode: 0o755 });
    process.env['PATH'] = folder;
    return (await openCompressor({ method: 'xz', level: 1 })).key;
  };
  assert.equal(await keyWith('5.4.1'), await keyWith('5.4.1'));
  assert.notEqual(await keyWith('5.4.1'), await keyWith('5.4.2'));
});

describe('what cannot be compressed', () => {
  it('leaves the old image: a file that changed, small or large', async (t) => {
    const made = await scene(t);
    for (const path of ['usr/share/d3/file-3', 'usr/lib/large'])
      for (const method of ['zstd', 'xz'] as const) {
        const plan = await planAll(made.root, made.tree);
        const output = join(made.folder, 'out', 'image');
        put(output, 'old');
        appendFileSync(join(made.root, path), 'more');
        await assert.rejects(
          exportImage({ tree: made.tree, plan, output, compress: { method, level: 1 } }),
          (error) => error instanceof TraceError && error.code === 'drift',
        );
        assert.equal(readFileSync(output, 'latin1'), 'old');
        assert.deepEqual(readdirSync(join(made.folder, 'out')), ['image']);
      }
  });

  it('says which program is missing, and which failed', async (t) => {
    const made = await scene(t);
    const path = process.env['PATH'];
    t.after(() => (process.env['PATH'] = path));
    process.env['PATH'] = made.folder;
    const compress = { method: 'lz4', level: 1 } as const;
    const fails = (code: string, message: RegExp) =>
      assert.rejects(
        bytesOf(made, { compress }),
        (error) =>
          error instanceof TraceError && error.code === code && message.test(error.message),
      );
    await fails('program-missing', /there is no lz4 here/);
    const program = '#!/bin/sh\n[ "$1" = --version ] && exit 0\necho broken >&2; exit 3\n';
    writeFileSync(join(made.folder, 'lz4'), program, { mode: 0o755 });
    await fails('program-failed', /^lz4 ended with status 3: broken$/);
  });

  it('stops on a signal', async (t) => {
    const made = await scene(t);
    const stop = new AbortController();
    await assert.rejects(
      bytesOf(made, {
        compress: { method: 'zstd', level: 1 },
        signal: stop.signal,
        onProgress: () => stop.abort(new Error('enough')),
      }),
      /enough/,
    );
  });

  it('and levels that there are not', () => {
    for (const [method, level] of [
      ['gzip', 0],
      ['zstd', 20],
      ['xz', 10],
      ['lz4', 13],
      ['zstd', 1.5],
    ] as const)
      assert.throws(() => checkCompression({ method, level }), { code: 'bad-level' });
  });
});

describe('frames', () => {
  const entriesOf = async (files: Readonly<Record<string, number>>) => {
    const nodes = Object.entries(files).map(([path, size]) => [path, { size }] as const);
    const tree = new MemoryTree(Object.fromEntries(nodes));
    const rows = Object.keys(files).map((path) => ({ path: Buffer.from(path), operations: 16 }));
    return (await planImage({ tree, files: rows, mountPoints: [], devices: [] })).entries;
  };

  it('have their bounds, and only a large file breaks them, alone', async () => {
    const files: Record<string, number> = { large: 20 << 20, z: 1 };
    for (let i = 0; i < 3000; i++) files[`d${i % 40}/f${i}`] = (i * 7919) % 60_000;
    const entries = await entriesOf(files);
    const frames = cutFrames(entries);
    assert.equal(frames[0]?.start, 0);
    assert.equal(frames.at(-1)?.end, archiveLength(entries));
    for (const [index, { start, end }] of frames.entries()) {
      assert.equal(start, frames[index - 1]?.end ?? 0);
      assert.ok(end - start <= FRAME_MOST || end - start < (20 << 20) + 200);
    }
    assert.ok(frames.length > 8 && frames.length < 45, String(frames.length));
  });

  it('elsewhere stay when a file grows, one goes and one comes', async () => {
    const files: Record<string, number> = {};
    for (let i = 0; i < 6000; i++) files[`d${i % 40}/f${i}`] = (i * 7919) % 60_000;
    const lengths = async (changed: Readonly<Record<string, number>>) =>
      cutFrames(await entriesOf({ ...files, ...changed })).map(({ start, end }) => end - start);
    const before = await lengths({});
    assert.ok(before.length > 15);
    for (const change of [{ 'd7/f7': 100_000 }, { 'd21/new': 50_000 }, { 'a-first': 9 }]) {
      const after = await lengths(change);
      const kept = after.filter((length) => before.includes(length)).length;
      assert.ok(kept >= before.length - 4, `${kept} of ${before.length}`);
    }
  });
});
