/** The same bytes: twice, by another user, in another locale and time zone, on a copy. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';

import { exportImage } from './export-image.ts';
import { planImage } from '../../src/image/plan.ts';
import { DEVICE_NODES, MOUNT_POINTS } from '../../src/image/tables.ts';
import {
  allPaths,
  makeTree,
  openTree,
  planAll,
  put,
  run,
  sha256,
  temporaryFolder,
} from './support.ts';
import { lacks } from '../capabilities.ts';

const tables = { mountPoints: MOUNT_POINTS, devices: DEVICE_NODES };
const support = join(import.meta.dirname, 'support.ts');
const source = join(import.meta.dirname, '../../src/image');

async function image(t: TestContext, root: string): Promise<string> {
  const tree = openTree(t, root);
  const output = join(temporaryFolder(t), 'image.cpio');
  await exportImage({ plan: await planAll(root, tree, tables), tree, output });
  return sha256(readFileSync(output));
}

/** The image as a process of its own makes it, from stdout. */
function elsewhere(root: string, environment: NodeJS.ProcessEnv, asNobody: boolean): string {
  const script = `
    const { planAll } = await import(${JSON.stringify(support)});
    const { exportImage } = await import(${JSON.stringify(join(source, 'export.ts'))});
    const { DEVICE_NODES, MOUNT_POINTS } = await import(${JSON.stringify(join(source, 'tables.ts'))});
    const { NativeTree } = await import(${JSON.stringify(join(source, '../fanotify-ts/tree.ts'))});
    if (${asNobody}) { process.setgroups([]); process.setgid(65534); process.setuid(65534); }
    process.umask(0o077);
    const tree = NativeTree.open(${JSON.stringify(root)});
    const plan = await planAll(${JSON.stringify(root)}, tree,
      { mountPoints: MOUNT_POINTS, devices: DEVICE_NODES });
    await exportImage({ plan, tree, output: 1 });`;
  const env = { PATH: process.env['PATH'], ...environment };
  return sha256(run(process.execPath, ['--input-type=module', '-e', script], { env, cwd: '/' }));
}

describe('the same bytes', () => {
  it('come out twice', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    assert.equal(await image(t, root), await image(t, root));
  });

  it('come out after everything was read and something was put beside the directories', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    const before = await image(t, root);
    run('sh', ['-c', 'find . -type f -exec cat {} + >/dev/null; touch probe; rm probe'], {
      cwd: root,
    });
    assert.equal(await image(t, root), before);
  });

  it('come out in another locale and time zone', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    const here = await image(t, root);
    for (const environment of [
      { LC_ALL: 'C', TZ: 'UTC' },
      { LC_ALL: 'tr_TR.UTF-8', LANG: 'tr_TR.UTF-8', TZ: 'Pacific/Kiritimati' },
    ])
      assert.equal(elsewhere(root, environment, false), here);
  });

  it('come out for another user', { skip: lacks('root') }, async (t) => {
    const folder = temporaryFolder(t);
    const root = join(folder, 'root');
    makeTree(root);
    // Readable for all, as an exported root that others may build from has to be.
    run('sh', ['-c', 'chmod 755 "$0" "$1" && chmod -R a+rX "$1"', folder, root]);
    assert.equal(elsewhere(root, { LC_ALL: 'C' }, true), await image(t, root));
  });

  it('come out on a copy of the tree elsewhere', { skip: lacks('root') }, async (t) => {
    const folder = temporaryFolder(t);
    const root = join(folder, 'root');
    makeTree(root);
    put(join(folder, 'copies/filler'), 'so that inode numbers and directory order differ');
    run('cp', ['-a', root, join(folder, 'copies/again')]);
    assert.equal(await image(t, join(folder, 'copies/again')), await image(t, root));
  });

  it('do not depend on the order of the rows', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    const tree = openTree(t, root);
    const files = allPaths(root).map((path) => ({ path, operations: 16 }));
    const one = await planImage({ tree, files });
    const two = await planImage({ tree, files: [...files].reverse() });
    assert.deepEqual(two, one);
  });
});
