/** What one kind of choice does to what another one adds: inits, attributes, skeletons, formats. */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { it, type TestContext } from 'node:test';
import { exportImage } from './export-image.ts';
import type { ImageFormat } from '../../src/image/choices.ts';
import { type ImagePlan, planImage } from '../../src/image/plan.ts';
import { openTree, put, run, sha256, temporaryFolder } from './support.ts';

/** A root with a shell, and a directory that nothing uses, with an attribute. */
async function scene(t: TestContext, more: { readonly skeleton?: boolean } = {}) {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  for (const name of ['bin', 'sbin', 'srv/unused'])
    mkdirSync(join(root, name), { recursive: true });
  for (const name of ['bin/sh', 'bin/mount', 'bin/mkdir', 'sbin/init', 'bin/setfattr'])
    put(join(root, name), `${name}\n`);
  run('chmod', ['-R', '755', root]);
  run('setfattr', ['-n', 'user.kept', '-v', 'yes', join(root, 'srv/unused')]);
  const tree = openTree(t, root);
  const plan = await planImage({ files: [], tree, init: 'exec', ...more });
  const write = async (format: ImageFormat): Promise<Buffer> => {
    const output = join(folder, 'out');
    await exportImage({ tree, plan, output, format });
    return readFileSync(output);
  };
  return { plan, write };
}

const contentOf = (plan: ImagePlan, path: string): string | undefined =>
  plan.entries.find((entry) => entry.path.toString() === path)?.content?.toString('latin1');

it('attributes of what only a whole skeleton adds are in the side file, and set at boot', async (t) => {
  const { plan } = await scene(t, { skeleton: true });
  assert.match(contentOf(plan, '.nfsroot-trace/attributes') ?? '', /srv\/unused\nuser\.kept=0x/);
  assert.deepEqual([plan.attributes?.entries, plan.attributes?.restored], [1, true]);
  assert.ok(plan.entries.some(({ path }) => path.toString() === 'bin/setfattr'));
  assert.equal((await scene(t)).plan.attributes, null);
});

it('the sum and the hash of a generated init are right', async (t) => {
  const { plan, write } = await scene(t);
  const image = await write('newc-crc');
  assert.equal(
    run('sh', ['-c', 'cpio -i --only-verify-crc --quiet 2>&1'], { input: image }).toString(),
    '',
  );
  const wrong = Buffer.from(image);
  wrong.write('#?', wrong.indexOf('#!/bin/sh'), 'latin1');
  assert.match(
    run('sh', ['-c', 'cpio -i --only-verify-crc --quiet 2>&1'], { input: wrong }).toString(),
    /init: checksum error/,
  );
  const { entries } = JSON.parse((await write('manifest')).toString()) as {
    entries: { path: string; sha256: string | null }[];
  };
  const init = contentOf(plan, 'init');
  assert.ok(init !== undefined);
  assert.equal(entries.find(({ path }) => path === 'init')?.sha256, sha256(Buffer.from(init)));
});
