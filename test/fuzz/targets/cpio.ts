/**
 * Fuzzers of what reads images. Owns what must be so for every image: where the walk, verification and
 * extraction agree, that nothing outside of a folder changes, that GNU cpio lists the same names.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  closeSync,
  constants,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { diffTrees } from '../../../src/image/tools/diff-trees.ts';
import { Extraction } from '../../../src/image/tools/extraction.ts';
import { withImageTree } from '../../../src/image/tools/image-tree.ts';
import { Input } from '../../../src/image/tools/input.ts';
import type { KernelTree, TreeNode } from '../../../src/image/tools/kernel-tree.ts';
import { KernelUnpacker } from '../../../src/image/tools/kernel-unpacker.ts';
import { lintImage } from '../../../src/image/tools/lint/lint.ts';
import { estimateMemory } from '../../../src/image/tools/memory.ts';
import { partsOf } from '../../../src/image/tools/parts-of.ts';
import { DIRECTORY, FILE, LINK } from '../../../src/image/tools/record.ts';
import { stopWords } from '../../../src/image/tools/stop-words.ts';
import { verifyImage } from '../../../src/image/tools/verify-image.ts';
import { walkImage } from '../../../src/image/tools/walk-image.ts';
import { FrameIndex } from '../../../src/image/compress/frame-index.ts';
import { OuterParts } from '../../../src/image/parts/outer-parts.ts';
import { TraceError } from '../../../src/common/errors.ts';
import { archive, directory, file } from '../../image/tools/craft.ts';
import type { Target } from '../target.ts';
import { fixture } from '../fixtures.ts';
import { mutate } from '../mutate.ts';
import { anyArchive, anyImage, anyPacked } from './images.ts';

async function withInput<T>(
  image: Buffer,
  use: (input: Input) => Promise<T>,
  name = 'image',
): Promise<T> {
  writeFileSync(name, image);
  const input = Input.open(name);
  try {
    return await use(input);
  } finally {
    input.close();
  }
}

const PIPE = 'pipe';
/** What a pipe holds before somebody reads it (pipe(7)). */
const PIPE_BYTES = 65_536;

/** The same bytes as they come through a pipe, where nothing can be passed over. */
async function withPiped<T>(image: Buffer, use: (input: Input) => Promise<T>): Promise<T> {
  if (!existsSync(PIPE)) spawnSync('mkfifo', [PIPE]);
  const fd = openSync(PIPE, constants.O_RDONLY | constants.O_NONBLOCK);
  const filling = openSync(PIPE, 'w');
  writeSync(filling, image);
  closeSync(filling);
  try {
    return await use(Input.ofDescriptor(fd, PIPE));
  } finally {
    closeSync(fd);
  }
}

async function namesIn(input: Input) {
  const names: string[] = [];
  // How far it was read is a matter of how it came.
  const { bytes, ...walked } = await walkImage(input, {
    record: (record) => {
      names.push(record.name);
      return null;
    },
  });
  return { bytes, said: { names, ...walked } };
}

/** What differs one way round differs the other way round. */
function differ(first: KernelTree, second: KernelTree): void {
  const turned = { added: 'removed', removed: 'added', changed: 'changed' } as const;
  const [there, back] = [diffTrees(first, second, { times: true }), diffTrees(second, first, { times: true })]; // prettier-ignore
  assert.deepEqual(
    [...there],
    [...back].map((one) => ({ ...one, what: turned[one.what] })),
  );
}

/** Each tool reads an image from the front, for itself. */
const walk: Target = {
  name: 'cpio-walk',
  reads: 'images, as list, parts, verify, ram, lint and diff do',
  make: anyImage,
  run: (image) =>
    withInput(image, async (input) => {
      const { bytes: read, said } = await namesIn(input.again());
      assert.ok(read <= image.length);
      if (said.stop !== null) stopWords(said.stop, said.why);
      const { bytes, ...divided } = await partsOf(input.again());
      assert.ok(divided.rest >= 0 && bytes <= image.length);
      for (const part of divided.parts) assert.ok(part.bytes >= 0 && part.padding >= 0);
      if (image.length <= PIPE_BYTES) {
        assert.deepEqual((await withPiped(image, namesIn)).said, said);
        assert.deepEqual(await withPiped(image, partsOf), { bytes, ...divided });
      }
      const verified = await verifyImage(input.again());
      assert.deepEqual([...diffTrees(verified.tree, verified.tree, { times: true })], []);
      const half = await withInput(image.subarray(0, image.length >> 1), verifyImage, 'half');
      differ(half.tree, verified.tree);
      // Checksums are looked at only where data is wanted, so the walk may come further.
      if (said.stop === null && verified.stop === null)
        assert.equal(verified.records, said.names.length);
      estimateMemory(verified.tree, { imageBytes: image.length, groups: 1 });
      await withImageTree(input.again(), (opened) => lintImage(opened));
    }),
};

/** Where a member ends is found by our own code, and its bytes by the programs. */
const packed: Target = {
  name: 'cpio-packed',
  reads: 'images packed by xz, lz4 and zstd',
  make: anyPacked,
  run: (image) =>
    withInput(image, async (input) => {
      const { bytes } = await walkImage(input.again(), { record: () => null });
      assert.ok(bytes <= image.length);
      const { rest } = await partsOf(input.again());
      assert.ok(rest >= 0 && rest <= image.length);
    }),
};

const PLACE = { box: 'box', folder: 'box/made', outside: 'box/outside' } as const;

/** The folder that is filled is box/made; names lead to box/outside, too. */
const extract: Target = {
  name: 'cpio-extract',
  reads: 'images that are extracted, compared with what was foretold',
  make: anyImage,
  run: (image) =>
    withInput(image, async (input) => {
      const verified = await verifyImage(input.again());
      mkdirSync(PLACE.outside, { recursive: true });
      writeFileSync(join(PLACE.outside, 'kept'), 'kept');
      const before = everything('.');
      const here = process.cwd();
      const extraction = new Extraction({
        folder: join(here, PLACE.folder),
        owners: process.geteuid?.() === 0,
        devices: false,
        setId: true,
      });
      const unpacker = new KernelUnpacker({ disk: extraction });
      try {
        extraction.start();
        await walkImage(input.again(), unpacker);
        unpacker.finish();
        extraction.finish(unpacker.tree);
        compare(verified.tree.entries(), verified.stop === null);
      } finally {
        process.chdir(here);
        const after = everything('.');
        rmSync(PLACE.box, { recursive: true });
        assert.deepEqual(after, before, 'something outside of the folder changed');
      }
    }),
};

/** All but what is in box/made, with what would change if it were touched. */
function everything(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true, encoding: 'buffer' }).flatMap((entry) => {
    const path = join(folder, entry.name.toString('latin1'));
    const { mode, uid, nlink, size, ino } = lstatSync(path);
    if (path === PLACE.folder) return [];
    // A folder's own number of links is that of the folders in it.
    const facts = entry.isDirectory() ? [mode, uid, ino] : [mode, uid, ino, nlink, size];
    const content = entry.isFile()
      ? createHash('sha256').update(readFileSync(path)).digest('hex')
      : '';
    const inside = entry.isDirectory() ? everything(path) : [];
    return [`${path} ${facts.join()} ${content}`, ...inside];
  });
}

const PLAIN: readonly number[] = [DIRECTORY, FILE, LINK];

/** What is in this folder is what verification has foretold. */
function compare(entries: Iterable<readonly [string, TreeNode]>, whole: boolean): void {
  for (const [path, node] of entries) {
    if (path === '' || node.builtIn || !PLAIN.includes(node.type)) continue;
    // symlink(2) has none without a target.
    if (node.type === LINK && node.target === '') continue;
    const name = Buffer.from(path, 'latin1');
    const stat = lstatSync(name);
    assert.equal(stat.mode & 0o170000, node.type, path);
    if (node.type === LINK)
      assert.equal(readlinkSync(name, 'buffer').toString('latin1'), node.target, path);
    else assert.equal(stat.mode & 0o7777, node.mode, path);
    if (node.type !== FILE || !whole) continue;
    const hash = createHash('sha256').update(readFileSync(name)).digest('hex');
    assert.equal(hash, node.content?.sha256 ?? createHash('sha256').digest('hex'), path);
  }
}

/** An archive that GNU cpio takes without a word has the same names for us. */
const others: Target = {
  name: 'cpio-others',
  reads: 'plain archives that GNU cpio lists, too',
  make: anyArchive,
  run: async (image) => {
    const { names, whole } = await withInput(image, async (input) => {
      const listed: string[] = [];
      // GNU cpio reads no further than the first end.
      let [ended, behind] = [false, false];
      const { stop, members } = await walkImage(input, {
        record: ({ name }) => {
          listed.push(name);
          behind ||= ended;
          return null;
        },
        trailer: () => void (ended = true),
      });
      return { names: listed, whole: stop === null && members === 1 && ended && !behind };
    });
    // GNU cpio changes names with a slash first or with dots, and prints a newline as it is.
    const odd = names.some(
      (name) => !/^[a-z.][\x20-\x7e]*$/.test(name) || /(^|\/)\.\.?(\/|$)|\/\//.test(name),
    );
    if (!whole || odd) return;
    const gnu = spawnSync('cpio', ['-t', '--quiet', '-F', 'image'], { encoding: 'latin1' });
    if (gnu.error !== undefined) throw gnu.error;
    if (gnu.status !== 0 || gnu.stderr !== '') return;
    assert.deepEqual(gnu.stdout.split('\n').slice(0, -1), names);
  },
};

/** What a person puts before or behind an image comes through as it is, or is refused. */
const parts: Target = {
  name: 'cpio-parts',
  reads: 'files given to --early and --append',
  make: (random) => random.pick([anyArchive, anyImage, anyPacked])(random),
  run: async (image) => {
    writeFileSync('part', image);
    for (const early of [true, false]) {
      const files = early ? { early: ['part'], append: [] } : { early: [], append: ['part'] };
      try {
        const outer = await OuterParts.open({ ...files, compression: undefined });
        const pieces: Buffer[] = [];
        try {
          for await (const piece of outer.around(one())) pieces.push(piece);
        } finally {
          await outer.close();
        }
        const whole = Buffer.concat(pieces);
        assert.ok(whole.includes(image));
        // What was taken, the kernel takes.
        const { stop } = await withInput(whole, (input) =>
          walkImage(input, { record: () => CHECKED }),
        );
        assert.equal(stop, null);
      } catch (error) {
        if (!(error instanceof TraceError)) throw error;
      }
    }
  },
};

const CHECKED = { data: () => undefined };

/** What stands between them. */
const IMAGE = archive(directory('d'), file('f', 'content'));

async function* one(): AsyncGenerator<Buffer> {
  yield await Promise.resolve(IMAGE);
}

const INDEX = fixture('cpio/frame-index');
const frameIndex: Target = {
  name: 'cpio-frame-index',
  reads: 'the index of kept frames',
  make: (random) => mutate(random, INDEX, ['\n', '0'.repeat(64), ' ', 'nfsroot-trace frames 1\n']),
  run: async (bytes) => {
    writeFileSync('.index', bytes);
    const index = await FrameIndex.load('.');
    // Damage shows by the hash at its end: all or nothing.
    const row = INDEX.toString().split('\n')[1] ?? '';
    const [identity = '', content = ''] = row.split(' ');
    const known = index.contentOf(identity);
    assert.ok(known === content || (known === null && !bytes.equals(INDEX)), String(known));
  },
};

export const CPIO: readonly Target[] = [walk, packed, extract, others, parts, frameIndex];
