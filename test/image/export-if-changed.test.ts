/** Leaving an image alone that is what an export would write, and writing it whenever it is not. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import type { ExportOptions, ExportResult } from '../../src/image/export.ts';
import { exportImage } from './export-image.ts';
import { exportIfChanged } from '../../src/image/export-if-changed.ts';
import { OuterParts } from '../../src/image/parts/outer-parts.ts';
import { cannotMake, makeFileSystem } from '../index/file-systems.ts';
import { isRoot, planAll, put, run, temporaryFolder } from './support.ts';
import { lacks } from '../capabilities.ts';

const ZSTD = { method: 'zstd', level: 1 } as const;
/** Beyond the clock's tick: files that tests have just made are then at rest. */
const REST_MS = 30;

type Choices = Partial<ExportOptions>;

interface Scene {
  readonly folder: string;
  readonly root: string;
  readonly output: string;
  readonly record: string;
  /** Exports, and makes sure that the image is what a new one would be. */
  readonly build: (choices?: Choices) => Promise<ExportResult>;
}

function scene(t: TestContext, root?: string): Scene {
  const folder = temporaryFolder(t);
  const from = root ?? join(folder, 'root');
  for (const name of ['a', 'b', 'd/c']) put(join(from, name), `content of ${name}`);
  const output = join(folder, 'image');
  return {
    folder,
    root: from,
    output,
    record: join(folder, '.image.nfsroot-trace'),
    async build(choices = {}) {
      await sleep(REST_MS);
      const tree = NativeTree.open(from);
      try {
        const plan = await planAll(from, tree);
        const options = { tree, plan, output, settledSeconds: 0, ...choices };
        const result = await exportIfChanged(options);
        const anew = join(folder, 'anew');
        const told = await exportImage({ ...options, output: anew });
        const { unchanged } = result;
        assert.deepEqual(result, { ...told, ...(unchanged && { unchanged }) });
        assert.ok(readFileSync(anew).equals(readFileSync(output)));
        return result;
      } finally {
        tree.close();
      }
    },
  };
}

/** Other bytes with the same modification time, to the nanosecond. */
function rewrite(path: string, content: string | Buffer): void {
  run('touch', ['-r', path, `${path}.time`]);
  writeFileSync(path, content);
  run('touch', ['-r', `${path}.time`, path]);
  rmSync(`${path}.time`);
}

const identity = (path: string): unknown[] => {
  const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  return [ino, size, mtimeNs, ctimeNs];
};

describe('an image that would be the same', { skip: lacks('mounts') }, () => {
  for (const [what, choices] of [
    ['plain', {}],
    ['with checksums', { format: 'newc-crc' }],
    ['compressed', { compress: ZSTD }],
  ] as const)
    it(`stays as it is: ${what}`, async (t) => {
      const { output, build } = scene(t);
      const first = await build(choices);
      assert.equal(first.unchanged, undefined);
      const before = identity(output);
      assert.deepEqual(await build(choices), { ...first, unchanged: true });
      assert.deepEqual(identity(output), before);
    });

  it('stays as it is with what is around it, by a link, and however often', async (t) => {
    const { folder, root, output, build } = scene(t);
    const part = join(folder, 'part');
    writeFileSync(part, run('cpio', ['-o', '-H', 'newc', '--quiet'], { cwd: root, input: 'a\n' }));
    const link = join(folder, 'link');
    run('ln', ['-s', 'image', link]);
    const outer = await OuterParts.open({ early: [part], append: [part], compression: undefined });
    t.after(() => outer.close());
    await build({ outer });
    for (const path of [output, link, link])
      assert.equal((await build({ outer, output: path })).unchanged, true);
  });
});

describe('an image is written anew', { skip: lacks('mounts') }, () => {
  const changes: readonly (readonly [string, (made: Scene) => void])[] = [
    ['it is gone', ({ output }) => rmSync(output)],
    ['it is shorter', ({ output }) => truncateSync(output, 100)],
    [
      'it was written to, with its old times',
      ({ output }) => rewrite(output, Buffer.alloc(statSync(output).size, 'x')),
    ],
    [
      'it is a copy',
      ({ output }) => {
        copyFileSync(output, `${output}2`);
        renameSync(`${output}2`, output);
      },
    ],
    ['the record is gone', ({ record }) => rmSync(record)],
    ['the record is damaged', ({ record }) => appendFileSync(record, ' ')],
    [
      'the record was given another result',
      ({ record }) =>
        writeFileSync(record, readFileSync(record, 'latin1').replace('"bytes":', '"bytes":1')),
    ],
    ['the record may be written by others', ({ record }) => chmodSync(record, 0o666)],
    [
      'the record is a link',
      ({ record }) => {
        renameSync(record, `${record}2`);
        run('ln', ['-s', `${record}2`, record]);
      },
    ],
    ['a file has more', ({ root }) => appendFileSync(join(root, 'a'), 'more')],
    [
      'a file has other bytes and its old times',
      ({ root }) => rewrite(join(root, 'a'), 'CONTENT OF a'),
    ],
    ['a file has another mode', ({ root }) => chmodSync(join(root, 'd/c'), 0o600)],
    ['a file came', ({ root }) => put(join(root, 'd/new'), 'new')],
    ['a file went', ({ root }) => rmSync(join(root, 'b'))],
  ];
  for (const [when, change] of changes)
    it(`when ${when}`, async (t) => {
      const made = scene(t);
      await made.build();
      change(made);
      assert.equal((await made.build()).unchanged, undefined);
      assert.equal((await made.build()).unchanged, true);
    });

  it('when other bytes are asked for', async (t) => {
    const { folder, root, build } = scene(t);
    const around = async (name: string) => {
      const part = join(folder, `part-${name}`);
      const input = `${name}\n`;
      writeFileSync(part, run('cpio', ['-o', '-H', 'newc', '--quiet'], { cwd: root, input }));
      const outer = await OuterParts.open({ early: [], append: [part], compression: undefined });
      t.after(() => outer.close());
      return outer;
    };
    const ways: readonly Choices[] = [
      {},
      { format: 'newc-crc' },
      { compress: ZSTD },
      { compress: { ...ZSTD, level: 2 } },
      { compress: { method: 'gzip', level: 2 } },
      { outer: await around('a') },
      { outer: await around('b') },
    ];
    for (const way of ways) assert.equal((await build(way)).unchanged, undefined);
  });

  it('when the record is another’s', { skip: lacks('root') }, async (t) => {
    const { record, build } = scene(t);
    await build();
    chownSync(record, 65534, 65534);
    assert.equal((await build()).unchanged, undefined);
  });

  it(
    'when the root was mounted again, whatever is mounted now',
    { skip: cannotMake('ext4') },
    async (t) => {
      const made = makeFileSystem('ext4');
      t.after(() => made.remove());
      const { build } = scene(t, join(made.path, 'root'));
      await build();
      assert.equal((await build()).unchanged, true);
      const image = join(made.path, '../image');
      run('umount', [made.path]);
      run('mount', ['-o', 'loop', image, made.path]);
      assert.equal((await build()).unchanged, undefined);
    },
  );

  it('when a file changed shortly before the last one was made', async (t) => {
    const { record, build } = scene(t);
    await build({ settledSeconds: undefined });
    assert.equal((await build({ settledSeconds: undefined })).unchanged, undefined);
    assert.ok(!existsSync(record));
  });
});

describe('the record of an image', { skip: lacks('mounts') }, () => {
  it('is its maker’s alone, and no reason to fail', async (t) => {
    const { record, output, build } = scene(t);
    await build();
    assert.equal(statSync(record).mode & 0o777, 0o600);
    rmSync(record);
    run('mkdir', [record]);
    await build();
    assert.equal((await build()).unchanged, undefined);
    assert.ok(existsSync(output));
    if (isRoot) assert.ok(statSync(record).isDirectory());
  });
});
