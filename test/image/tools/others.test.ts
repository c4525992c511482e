/**
 * Other programs and ours read each other's archives. That every image that any test makes is read by
 * them, test/support/other-readers.ts sees to.
 */
import assert from 'node:assert/strict';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../../capabilities.ts';
import { assertReadAlike, type Tree, treeOf } from '../../support/other-readers.ts';
import { TraceSandbox } from '../../support/trace-sandbox.ts';
import { allPaths, makeTree, run, setTimes } from '../support.ts';
import { compressed, METHODS } from './compressed.ts';
import * as craft from './craft.ts';
import { CRAFTED } from './crafted-images.ts';

const WRITERS = {
  'GNU cpio, newc': ['cpio', '-o', '-0', '--quiet', '-H', 'newc'],
  'GNU cpio, crc': ['cpio', '-o', '-0', '--quiet', '-H', 'crc'],
  'GNU cpio, in large blocks': ['cpio', '-o', '-0', '--quiet', '-H', 'newc', '-C', '65536'],
  bsdcpio: ['bsdcpio', '-o', '-0', '--quiet', '--format', 'newc'],
  busybox: ['busybox', 'cpio', '-o', '-0', '-H', 'newc'],
} as const;

/** Crafted images that the kernel takes whole, and not every other program. */
const KERNEL_ONLY: ReadonlySet<string> = new Set([
  // They follow /x out of the folder; GNU cpio takes the parts before .. away.
  'through links, absolute and relative, and ..',
  // To GNU cpio all records of an archive are of one kind.
  'a checksum that is right',
  // Each program ends its groups with its input.
  'hard links over two compressed members',
]);

describe('archives of others', { skip: lacks('root', 'cpio', 'bsdcpio', 'busybox') }, () => {
  let sandbox: TraceSandbox;
  let root: string;
  before(() => {
    sandbox = new TraceSandbox();
    root = sandbox.at('root');
    makeTree(root);
    for (const name of ['a-first', 'etc/second', 'usr/lib/third'])
      linkSync(join(root, 'usr/bin/tool'), join(root, name));
    setTimes(root);
  });
  after(() => sandbox.remove());

  function put(name: string, ...parts: readonly Buffer[]): string {
    writeFileSync(sandbox.at(name), Buffer.concat(parts));
    return sandbox.at(name);
  }

  /** A directory before what is in it. */
  const paths = () => [Buffer.from('.'), ...allPaths(root).sort((a, b) => a.compare(b))];

  const written = ([program, ...args]: (typeof WRITERS)[keyof typeof WRITERS]): Buffer =>
    run(program, args, {
      cwd: root,
      input: Buffer.concat(paths().flatMap((path) => [path, Buffer.alloc(1)])),
    });

  /** What `trace image extract` makes of it. */
  async function extracted(image: string): Promise<Tree> {
    const folder = sandbox.at('tree');
    rmSync(folder, { recursive: true, force: true });
    const all = ['--owners', '--devices', '--set-id'];
    await sandbox.ok(['image', 'extract', image, '-C', folder, ...all]);
    return treeOf(folder);
  }

  async function listed(image: string): Promise<string[]> {
    const { stdout } = await sandbox.ok(['image', 'list', '-0', image]);
    return stdout.toString('latin1').split('\0').slice(0, -1);
  }

  for (const [name, writer] of Object.entries(WRITERS))
    test(name, async () => {
      const image = put('theirs', written(writer));
      await assertReadAlike(image);
      const names = paths().map((path) => path.toString('latin1'));
      assert.deepEqual((await listed(image)).toSorted(), names.toSorted());
      assert.deepEqual(await extracted(image), treeOf(root));
    });

  test('compressed, and behind each other with zeros between', async () => {
    const archives = [written(WRITERS['GNU cpio, newc']), written(WRITERS.bsdcpio)] as const;
    for (const method of METHODS) {
      const image = put('theirs', compressed(method, archives[0]));
      await assertReadAlike(image);
      assert.deepEqual(await extracted(image), treeOf(root), method);
    }
    const image = put(
      'theirs',
      archives[0],
      Buffer.alloc(1024),
      craft.padded(compressed('zstd', archives[1])),
      craft.archive(craft.directory('late'), craft.file('late/file')),
    );
    await assertReadAlike(image);
    const names = await listed(image);
    assert.equal(names.length, 2 * paths().length + 2);
  });

  test('with something else behind: theirs is what is in front', async () => {
    const image = put('junk', written(WRITERS.busybox), Buffer.from('something else'));
    const { code, json } = await sandbox.run(['image', 'list', image, '--json']);
    const { entries, stop } = json as { entries: unknown[]; stop: { code: string } };
    assert.deepEqual([code, stop.code], [65, 'unknown-magic']);
    const theirs = run('cpio', ['-it', '--quiet'], { input: readFileSync(image) });
    assert.equal(
      theirs.filter((byte) => byte === 10).length,
      entries.length + 1,
      'one name has a line end',
    );
  });

  for (const { what, bytes, found = [], stop } of CRAFTED)
    if (found.length === 0 && stop === undefined && !KERNEL_ONLY.has(what))
      test(`crafted: ${what}`, async () => {
        await assertReadAlike(put('crafted', bytes));
      });
});
