/** A further snapshot of the same sessions: it may add to the first one, and takes nothing from it. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { operationBit } from '../../src/common/words.ts';
import { put, run, temporaryFolder } from '../image/support.ts';
import { lacks } from '../capabilities.ts';
import { EXPRESSION, filesOf, imageOf, keep, type Keeping } from './support.ts';

/** A root that a session used but for `var`, which is kept. */
function kept(t: TestContext) {
  const root = join(temporaryFolder(t), 'root');
  const folder = join(temporaryFolder(t), 'content');
  put(join(root, 'init'), 'exec x\n');
  put(join(root, 'etc/conf'), 'old');
  put(join(root, 'usr/lib/one.so'), 'library');
  mkdirSync(join(root, 'empty'));
  symlinkSync('one.so', join(root, 'usr/lib/so'));
  symlinkSync('usr/lib', join(root, 'lib'));
  symlinkSync('nowhere', join(root, 'etc/dangling'));
  const files = filesOf(root);
  put(join(root, 'var/log/messages'), 'line\n');
  put(join(root, 'var/extra'), 'extra');
  symlinkSync('host:1', join(root, 'var/lock'));
  const made = { path: Buffer.from('var/run'), operations: operationBit('read'), created: true };
  mkdirSync(join(root, 'var/run'));
  const again = (more: Partial<Keeping> = {}) =>
    keep({ root, folder, files: [...files, made], ...more });
  const image = () => imageOf(t, files, { folder });
  return { root, folder, files, again, image };
}

const contentOf = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, name)).isFile())
    .sort();

describe('a further snapshot', () => {
  const losses: Readonly<Record<string, readonly [string, (root: string) => void]>> = {
    'another content': [
      '1 names would change and 0 would go, the first is /etc/conf',
      (root) => {
        const { mtime } = statSync(join(root, 'etc/conf'));
        writeFileSync(join(root, 'etc/conf'), 'new');
        utimesSync(join(root, 'etc/conf'), mtime, mtime);
      },
    ],
    'another time': [
      '1 names would change and 0 would go, the first is /etc/conf',
      (root) => {
        utimesSync(join(root, 'etc/conf'), 5, 5);
      },
    ],
    'another mode': [
      '1 names would change and 0 would go, the first is /etc/conf',
      (root) => {
        chmodSync(join(root, 'etc/conf'), 0o600);
      },
    ],
    'a directory of another mode': [
      '1 names would change and 0 would go, the first is /etc',
      (root) => {
        chmodSync(join(root, 'etc'), 0o700);
      },
    ],
    'a file that is gone': [
      '0 names would change and 1 would go, the first is /etc/conf',
      (root) => {
        unlinkSync(join(root, 'etc/conf'));
      },
    ],
    'a used directory that is gone': [
      '0 names would change and 1 would go, the first is /empty',
      (root) => {
        rmdirSync(join(root, 'empty'));
      },
    ],
    'a link to a kept file that leads elsewhere': [
      '1 names would change and 0 would go, the first is /usr/lib/so',
      (root) => {
        unlinkSync(join(root, 'usr/lib/so'));
        symlinkSync('two.so', join(root, 'usr/lib/so'));
      },
    ],
    'a used link that is gone': [
      '0 names would change and 1 would go, the first is /etc/dangling',
      (root) => {
        unlinkSync(join(root, 'etc/dangling'));
      },
    ],
    'a directory in place of a file': [
      '1 names would change and 0 would go, the first is /etc/conf',
      (root) => {
        unlinkSync(join(root, 'etc/conf'));
        mkdirSync(join(root, 'etc/conf'));
      },
    ],
  };
  for (const [what, [words, change]] of Object.entries(losses))
    it(`is refused for ${what}, and the first stays; it takes its place if that is asked for`, async (t) => {
      const { root, folder, files, again, image } = kept(t);
      await again();
      const [old, before] = [await image(), contentOf(folder)];
      change(root);
      put(join(root, 'usr/lib/one.so.new'), 'also new');
      await assert.rejects(again(), {
        code: 'already-kept',
        exit: 'cannotCreate',
        message: `what is kept for ${EXPRESSION} is not what the root has now: ${words}`,
      });
      assert.deepEqual(contentOf(folder), before);
      assert.ok((await image()).equals(old));
      await again({ replace: true });
      assert.ok((await image()).equals(await imageOf(t, files, { root })));
    });

  it('is refused for other attributes', { skip: lacks('root') }, async (t) => {
    const { root, again } = kept(t);
    await again();
    run('setcap', ['cap_net_raw+ep', join(root, 'usr/lib/one.so')]);
    await assert.rejects(again(), {
      code: 'already-kept',
      message: /first is \/usr\/lib\/one\.so$/,
    });
  });

  it('of the same root, of one with more, or changed where no image looks, is no loss', async (t) => {
    const { root, folder, again, image } = kept(t);
    await again();
    const [old, before] = [await image(), contentOf(folder)];
    assert.equal((await again()).added.blobs, 0);
    assert.deepEqual(contentOf(folder), before);
    assert.ok((await image()).equals(old));
    // The same file by another object.
    const { mtime } = statSync(join(root, 'etc/conf'));
    put(join(root, 'etc/conf.new'), 'old');
    utimesSync(join(root, 'etc/conf.new'), mtime, mtime);
    renameSync(join(root, 'etc/conf.new'), join(root, 'etc/conf'));
    rmSync(join(root, 'var'), { recursive: true });
    put(join(root, 'etc/another'), 'another');
    const { head, added } = await again({ files: filesOf(root) });
    assert.deepEqual([head.files, added.blobs], [4, 1]);
  });

  it('keeps on what a rule had it keep', async (t) => {
    const { root, folder, files, again } = kept(t);
    const rules = [{ include: true, glob: '/var/extra' }];
    const { head } = await again({ rules });
    assert.equal((await again()).head.files, head.files);
    assert.ok((await imageOf(t, files, { folder }, { rules })).includes('extra'));
    unlinkSync(join(root, 'var/extra'));
    await assert.rejects(again(), {
      message: /0 names would change and 1 would go, .* \/var\/extra$/,
    });
    assert.equal((await again({ replace: true })).head.files, head.files - 1);
  });

  it('mends a damaged one', async (t) => {
    const { root, folder, files, again, image } = kept(t);
    await again();
    const path = join(folder, 'snapshots', EXPRESSION);
    chmodSync(path, 0o600);
    truncateSync(path, readFileSync(path).length - 1);
    writeFileSync(join(root, 'etc/conf'), 'new');
    await again();
    assert.ok((await image()).equals(await imageOf(t, files, { root })));
  });
});
