/** The archive against GNU cpio's, and what other programs make of it. */
import assert from 'node:assert/strict';
import { linkSync, lstatSync, mkdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';

import { compareBytes } from '../../src/common/bytes.ts';
import { paddingOf, writeHeader } from '../../src/image/cpio.ts';
import { recordsOf } from './records-of.ts';
import { exportImage } from './export-image.ts';
import type { ImagePlan } from '../../src/image/plan.ts';
import { lacks } from '../capabilities.ts';
import {
  allPaths,
  makeTree,
  openTree,
  planAll,
  run,
  setTimes,
  temporaryFolder,
} from './support.ts';

async function makeImage(
  t: TestContext,
  prepare: (root: string) => void = () => undefined,
): Promise<{ folder: string; root: string; plan: ImagePlan; image: string }> {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  makeTree(root);
  prepare(root);
  setTimes(root);
  const tree = openTree(t, root);
  const plan = await planAll(root, tree);
  const image = join(folder, 'image.cpio');
  await exportImage({ plan, tree, output: image });
  return { folder, root, plan, image };
}

/** GNU cpio's archive with the numbers that it takes from the file system put to ours. */
function normalise(theirs: Buffer, ours: Buffer): Buffer {
  const ourRecords = new Map(recordsOf(ours).map((one) => [one.name, one]));
  const result = Buffer.from(theirs);
  for (const record of recordsOf(theirs)) {
    const our = ourRecords.get(record.name);
    assert.ok(our, `${record.name} is in GNU cpio's archive alone`);
    writeHeader(result, record.offset, {
      ...record,
      name: Buffer.from(record.name, 'latin1'),
      inode: our.inode,
      // GNU cpio keeps a directory's count of subdirectories and the root's own time.
      nlink: (record.mode & 0o170000) === 0o040000 ? our.nlink : record.nlink,
      mtime: our.name === '.' ? our.mtime : record.mtime,
    });
  }
  return result;
}

describe('the archive', () => {
  it(
    'is GNU cpio -o -H newc byte for byte, but for inode numbers',
    { skip: lacks('cpio') },
    async (t) => {
      const { root, plan, image } = await makeImage(t);
      const list = Buffer.concat(
        plan.entries.flatMap(({ path }) => [
          path.length === 0 ? Buffer.from('.') : path,
          Buffer.alloc(1),
        ]),
      );
      const theirs = run('cpio', ['-o', '-H', 'newc', '-0', '--quiet', '--reproducible'], {
        cwd: root,
        input: list,
      });
      const ours = readFileSync(image);
      assert.equal(ours.length, plan.bytes);
      assert.ok(normalise(theirs, ours).equals(ours));
    },
  );

  it('has its records on multiples of 4 and zeros between', async (t) => {
    const { image } = await makeImage(t);
    const bytes = readFileSync(image);
    assert.equal(bytes.length % 512, 0);
    for (const record of recordsOf(bytes)) {
      assert.equal(record.dataOffset % 4, 0);
      const end = record.dataOffset + record.size;
      assert.ok(bytes.subarray(end, end + paddingOf(record.size)).every((byte) => byte === 0));
    }
  });
});

interface Seen {
  readonly what: readonly unknown[];
  readonly content: string | null;
}

/** Everything that an extraction must bring back. */
function look(root: string): Map<string, Seen> {
  const first = new Map<number, string>();
  const paths = allPaths(root).sort(compareBytes);
  return new Map(
    paths.map((path) => {
      const full = Buffer.concat([Buffer.from(`${root}/`), path]);
      const stat = lstatSync(full);
      const name = path.toString('latin1');
      if (!stat.isDirectory() && !first.has(stat.ino)) first.set(stat.ino, name);
      return [
        name,
        {
          what: [
            stat.mode.toString(8),
            stat.uid,
            stat.gid,
            stat.isDirectory() ? 0 : stat.rdev,
            stat.isDirectory() ? 0 : stat.nlink,
            stat.isDirectory() ? '' : first.get(stat.ino),
            stat.isSymbolicLink() || stat.isDirectory() ? 0 : stat.mtimeMs,
          ],
          content: stat.isFile()
            ? readFileSync(full, 'latin1')
            : stat.isSymbolicLink()
              ? readlinkSync(full, 'latin1')
              : null,
        },
      ] as const;
    }),
  );
}

describe('extraction brings the root back', { skip: lacks('root') }, () => {
  for (const [program, args] of [
    ['cpio', ['-i', '-d', '-m', '--quiet', '--no-absolute-filenames']],
    ['bsdcpio', ['-i', '-d', '-m', '--quiet']],
    ['busybox', ['cpio', '-i', '-d', '-m']],
  ] as const)
    it(`by ${program}`, { skip: lacks(program) }, async (t) => {
      const { folder, root, image } = await makeImage(t, (at) => {
        for (const name of ['a-first', 'etc/second', 'usr/lib/third', 'var/fourth'])
          linkSync(join(at, 'usr/bin/tool'), join(at, name));
      });
      const copy = join(folder, 'copy');
      mkdirSync(copy);
      run(program, args, { cwd: copy, input: readFileSync(image) });
      assert.deepEqual(look(copy), look(root));
    });
});
