/** Owners that a person chooses, and kernels that cannot unpack what a person chooses. */
import assert from 'node:assert/strict';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import type { ImageChoices } from '../../src/image/choices.ts';
import { unpackerProblems } from '../../src/image/kernel-config.ts';
import { planImage } from '../../src/image/plan.ts';
import { MemoryTree } from './memory-tree.ts';
import { openTree, put, temporaryFolder } from './support.ts';

describe('owners', () => {
  const tree = new MemoryTree({
    init: { mode: 0o755, size: 1 },
    'home/a': { uid: 1000, gid: 1000 },
    'home/b': { uid: 0, gid: 1000 },
    'home/c': { uid: 7, gid: 8 },
    'home/setuid': { uid: 7, gid: 8, mode: 0o4755 },
    'home/mandatory-lock': { uid: 7, gid: 8, mode: 0o2644 },
    'home/shared': { type: 'directory', uid: 7, gid: 8, mode: 0o2775 },
  });
  async function planned(choices: ImageChoices) {
    const paths = ['a', 'b', 'c', 'setuid', 'mandatory-lock', 'shared'];
    const files = paths.map((path) => ({ path: Buffer.from(`home/${path}`), operations: 16 }));
    const { entries, problems } = await planImage({ tree, files, ...choices });
    const owners = Object.fromEntries(
      entries.map(({ path, uid, gid }) => [path.toString(), `${uid}:${gid}`]),
    );
    return { owners, codes: problems.map(({ code }) => code) };
  }

  it('are the root’s own', async () => {
    const { owners, codes } = await planned({});
    assert.equal(owners['home/c'], '7:8');
    assert.deepEqual(codes, []);
  });

  it('change as asked, each once', async () => {
    const { owners } = await planned({
      owners: [
        { from: 1000, to: 0 },
        { from: 0, to: 1000 },
      ],
      groups: [{ from: 1000, to: 5 }],
    });
    assert.deepEqual(
      [owners['home/a'], owners['home/b'], owners['home/c'], owners['init']],
      ['0:5', '1000:5', '7:8', '1000:0'],
    );
  });

  it('are told if a change finds nobody', async () => {
    const { codes } = await planned({
      owners: [
        { from: 77, to: 0 },
        { from: 7, to: 77 },
      ],
      groups: [{ from: 1001, to: 0 }],
    });
    assert.deepEqual(codes, ['owner-without-effect', 'owner-without-effect', 'set-id-owner']);
  });

  it('are all root, and set-id programs are told of', async () => {
    const { owners, codes } = await planned({ allRoot: true });
    assert.deepEqual([...new Set(Object.values(owners))], ['0:0']);
    assert.deepEqual(codes, ['set-id-owner']);
  });
});

describe('kernels in /boot', () => {
  it('that cannot unpack the image are told of', (t) => {
    const root = temporaryFolder(t);
    const tree = openTree(t, root);
    const messages = () => unpackerProblems(tree, 'zstd').map(({ message }) => message);
    assert.deepEqual(messages(), []);
    put(join(root, 'boot/config-6.1'), '# CONFIG_RD_ZSTD is not set\nCONFIG_RD_GZIP=y\n');
    assert.deepEqual(messages(), [
      '1 of 1 kernels in /boot of the root cannot unpack zstd (CONFIG_RD_ZSTD is not set): 6.1',
    ]);
    assert.deepEqual(unpackerProblems(tree, 'gzip'), []);
    put(join(root, 'boot/config-6.12'), 'CONFIG_RD_ZSTD=y\n');
    put(join(root, 'boot/vmlinuz-6.12'), 'CONFIG_RD_ZSTD=n\n');
    // Neither followed nor read.
    symlinkSync('/etc/passwd', join(root, 'boot/config-link'));
    mkdirSync(join(root, 'boot/config-directory'));
    assert.match(messages()[0] ?? '', /^1 of 2 .*: 6\.1$/);
  });

  it('of a /boot that is a link are none', (t) => {
    const root = temporaryFolder(t);
    symlinkSync('/boot', join(root, 'boot'));
    assert.deepEqual(unpackerProblems(openTree(t, root), 'xz'), []);
  });
});
