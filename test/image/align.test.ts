/** Archives whose large files begin at blocks: what reads them, and what shares them. */
import assert from 'node:assert/strict';
import { closeSync, openSync, readdirSync, readFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';

import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { ALIGNED_LEAST } from '../../src/image/align.ts';
import { headerLength, MAX_NAME_BYTES } from '../../src/image/cpio.ts';
import type { ImageRecord } from '../../src/image/tools/record.ts';
import { recordsOf } from './records-of.ts';
import { exportImage } from './export-image.ts';
import type { ImagePlan, PlanOptions } from '../../src/image/plan.ts';
import { lacks } from '../capabilities.ts';
import { cannotMake, makeFileSystem } from '../index/file-systems.ts';
import { makeTree, planAll, put, run, temporaryFolder } from './support.ts';

const BLOCK = 4096;
/** Of large files: no block more, one byte more, all but one, several buffers of the writer. */
const SIZES = [ALIGNED_LEAST, ALIGNED_LEAST + 1, ALIGNED_LEAST + BLOCK - 1, 1_000_003];
const LARGE_BYTES = SIZES.reduce((sum, size) => sum + size - (size % BLOCK), 0);

/** Every byte is its own: a block in the wrong place is another content. */
function content(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at + 4 <= size; at += 4) bytes.writeUInt32LE(at ^ size, at);
  return bytes;
}

function makeLarge(root: string): void {
  for (const size of SIZES) put(join(root, `f${size}`), content(size));
  put(join(root, 'small'), content(ALIGNED_LEAST - 1));
}

async function image({
  root,
  output,
  align = true,
  earlyMicrocode = false,
}: {
  readonly root: string;
  readonly output: string | number;
  readonly align?: boolean;
  readonly earlyMicrocode?: boolean;
}): Promise<void> {
  await withPlan(root, { align, earlyMicrocode }, async ({ tree, plan }) => {
    const { bytes } = await exportImage({ plan, tree, output });
    assert.equal(bytes, plan.bytes + (plan.microcode?.length ?? 0));
  });
}

/** Closed before the root is unmounted. */
async function withPlan(
  root: string,
  choices: Pick<PlanOptions, 'align' | 'earlyMicrocode'>,
  use: (made: { readonly tree: NativeTree; readonly plan: ImagePlan }) => Promise<void>,
): Promise<void> {
  const tree = NativeTree.open(root);
  try {
    await use({ tree, plan: await planAll(root, tree, choices) });
  } finally {
    tree.close();
  }
}

const records = (path: string) => recordsOf(readFileSync(path));

/** Bytes of extents that the file shares with another, as e2fsprogs shows them. */
function sharedBytes(path: string): number {
  const shown = run('filefrag', ['-v', '-b1', path]).toString();
  return [...shown.matchAll(/^ *\d+: +\d+\.\. *\d+: +\d+\.\. *\d+: +(\d+):.*\bshared\b/gm)].reduce(
    (sum, [, length]) => sum + Number(length),
    0,
  );
}

describe('--align', () => {
  it('begins large files at blocks, all else as without', async (t) => {
    const folder = temporaryFolder(t);
    const root = join(folder, 'root');
    makeTree(root);
    makeLarge(root);
    const long = join('d'.repeat(200), 'e'.repeat(200), 'f'.repeat(200));
    put(join(root, long), content(100_000));
    const [plain, aligned] = [join(folder, 'plain'), join(folder, 'aligned')];
    await image({ root, output: plain, align: false });
    await image({ root, output: aligned });
    const [before, after] = [records(plain), records(aligned)];
    const known = (record: ImageRecord) => ({ ...record, offset: 0, dataOffset: 0 });
    assert.deepEqual(after.map(known), before.map(known));
    const large = after.filter(({ size }) => size >= ALIGNED_LEAST);
    assert.equal(large.length, SIZES.length + 2);
    const misplaced = large.filter(({ dataOffset }) => dataOffset % BLOCK !== 0);
    // Where the padding would make the name longer than the kernel takes it.
    for (const { offset, name } of misplaced) {
      const padding = -(offset + headerLength(name.length)) & (BLOCK - 1);
      assert.ok(name.length + padding >= MAX_NAME_BYTES);
    }
    assert.ok(misplaced.length <= 1);
    assert.ok(large.some(({ offset, dataOffset }) => dataOffset - offset > 2000));
  });

  it('counts what stands in front: microcode', async (t) => {
    const folder = temporaryFolder(t);
    const [root, output] = [join(folder, 'root'), join(folder, 'image')];
    makeLarge(root);
    put(join(root, 'lib/firmware/amd-ucode/a.bin'), Buffer.from('DMA\0'.padEnd(1000)));
    await image({ root, output, align: true, earlyMicrocode: true });
    const large = records(output).filter(({ size }) => size >= ALIGNED_LEAST);
    assert.deepEqual(
      large.map(({ dataOffset }) => dataOffset % BLOCK),
      SIZES.map(() => 0),
    );
  });

  for (const [program, ...extract] of [
    ['cpio', '-idmu', '--quiet', '-F'],
    ['bsdcpio', '-idmu', '--quiet', '-F'],
    ['busybox', 'cpio', '-idmu', '-F'],
  ] as const)
    it(`makes what ${program} extracts`, { skip: lacks(program) }, async (t) => {
      const folder = temporaryFolder(t);
      const root = join(folder, 'root');
      makeLarge(root);
      const output = join(folder, 'image');
      await image({ root, output });
      const cwd = join(folder, 'out');
      run('mkdir', [cwd]);
      run(program, [...extract, output], { cwd });
      assert.deepEqual(readdirSync(cwd).sort(), readdirSync(root).sort());
      for (const name of readdirSync(root))
        assert.ok(readFileSync(join(cwd, name)).equals(readFileSync(join(root, name))), name);
    });
});

for (const kind of ['xfs', 'btrfs'] as const)
  describe(`blocks that are shared on ${kind}`, { skip: cannotMake(kind) }, () => {
    const place = (t: TestContext) => {
      const made = makeFileSystem(kind);
      const elsewhere = temporaryFolder(t);
      t.after(() => made.remove());
      const root = join(made.path, 'root');
      makeLarge(root);
      run('sync', ['-f', made.path]);
      return { disk: made.path, root, output: join(made.path, 'image'), elsewhere };
    };

    it('make the same bytes, and are shared', async (t) => {
      const { root, output, elsewhere } = place(t);
      const copied = join(elsewhere, 'image');
      await image({ root, output });
      await image({ root, output: copied });
      assert.ok(readFileSync(output).equals(readFileSync(copied)));
      assert.equal(sharedBytes(output), LARGE_BYTES);
      assert.ok(run('cmp', [output, copied]).equals(Buffer.alloc(0)));
      await image({ root, output, align: false });
      assert.equal(sharedBytes(output), 0);
    });

    it('are copied into what is appended to, or begins between blocks', async (t) => {
      const { disk, root, output } = place(t);
      await image({ root, output });
      const whole = readFileSync(output);
      for (const [flags, before] of [
        ['a', 'x'.repeat(BLOCK)],
        ['w', 'x'.repeat(BLOCK + 1)],
      ] as const) {
        const path = join(disk, `to-${flags}`);
        const fd = openSync(path, flags);
        writeSync(fd, before);
        await image({ root, output: fd });
        closeSync(fd);
        const found = readFileSync(path);
        assert.equal(found.toString('latin1', 0, before.length), before);
        assert.ok(found.subarray(before.length).equals(whole), flags);
        assert.equal(sharedBytes(path), 0);
      }
    });

    it('go on behind what is written already', async (t) => {
      const { disk, root, output } = place(t);
      await image({ root, output });
      const path = join(disk, 'behind');
      const fd = openSync(path, 'w');
      writeSync(fd, Buffer.alloc(BLOCK, 'x'));
      await image({ root, output: fd });
      writeSync(fd, 'end');
      closeSync(fd);
      const expected = [Buffer.alloc(BLOCK, 'x'), readFileSync(output), Buffer.from('end')];
      assert.ok(readFileSync(path).equals(Buffer.concat(expected)));
      assert.equal(sharedBytes(path), LARGE_BYTES);
    });

    it('are no reason not to see that a file changed', async (t) => {
      const { root, output } = place(t);
      await withPlan(root, { align: true }, async (made) => {
        put(join(root, `f${ALIGNED_LEAST}`), content(ALIGNED_LEAST));
        await assert.rejects(exportImage({ ...made, output }), { code: 'drift' });
      });
      assert.deepEqual(readdirSync(join(output, '..')).sort(), ['root']);
    });

    it('do not hide that the disk is full', async (t) => {
      const { disk, root, output } = place(t);
      for (const size of ['500M', '200M', '100M', '50M', '20M', '10M', '1M', '100K', '4K'])
        for (let made = 0; made < 9; made++)
          try {
            run('fallocate', ['-l', size, join(disk, `full-${size}-${made}`)]);
          } catch {
            break;
          }
      await assert.rejects(image({ root, output }), { code: 'output-full' });
    });
  });

describe('blocks that cannot be shared', { skip: cannotMake('btrfs') }, () => {
  it('of a file without copy-on-write, or of another file system, are copied', async (t) => {
    const made = makeFileSystem('btrfs');
    t.after(() => made.remove());
    const root = join(made.path, 'root');
    run('mkdir', [root]);
    run('chattr', ['+C', root]);
    makeLarge(root);
    run('sync', ['-f', made.path]);
    const [here, elsewhere] = [join(made.path, 'image'), join(temporaryFolder(t), 'image')];
    await image({ root, output: here });
    await image({ root, output: elsewhere });
    assert.equal(sharedBytes(here), 0);
    assert.ok(readFileSync(here).equals(readFileSync(elsewhere)));
  });
});
