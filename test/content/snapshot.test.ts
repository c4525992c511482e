/** What is kept of a root makes the image that the root made, whatever became of it since. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { RecordedSource } from '../../src/content/recorded-source.ts';
import { recordRoot } from '../../src/content/root-record.ts';
import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { IMAGE_FORMATS, INIT_KINDS } from '../../src/image/choices.ts';
import { unpackerProblems } from '../../src/image/kernel-config.ts';
import { makeTree, put, run, sha256, temporaryFolder } from '../image/support.ts';
import { lacks } from '../capabilities.ts';
import { EXPRESSION, filesOf, imageOf, keep } from './support.ts';

describe('an image of what was kept', () => {
  it('is the image of the root then, in each format and with each init, when the root is gone', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    put(join(root, 'bin/sh'), '#!/no/such\n');
    chmodSync(join(root, 'bin/sh'), 0o755);
    if (lacks('root') === false) run('setcap', ['cap_net_raw+ep', join(root, 'usr/bin/tool')]);
    const files = filesOf(root);
    const variants = [
      // The others cannot say these names.
      ...IMAGE_FORMATS.filter((format) => !['list', 'gen-init-cpio'].includes(format)).map(
        (format) => ({ format }),
      ),
      ...INIT_KINDS.map((init) => ({ init })),
      { compress: { method: 'zstd', level: 3 } },
      { skeleton: true, earlyMicrocode: true },
      { rules: [{ include: false, glob: 'odd/' }], allRoot: true, operations: 4 },
    ] as const;
    const before: string[] = [];
    for (const variant of variants) before.push(sha256(await imageOf(t, files, { root }, variant)));
    await keep({ root, folder });
    rmSync(root, { recursive: true });
    for (const [index, variant] of variants.entries())
      assert.equal(
        sha256(await imageOf(t, files, { folder }, variant)),
        before[index],
        JSON.stringify(variant),
      );
  });

  it('has the old files after an upgrade, and new ones once they are kept in place of them', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    const files = filesOf(root);
    await keep({ root, folder });
    const old = await imageOf(t, files, { root });
    writeFileSync(join(root, 'usr/bin/tool.new'), 'a new version', { mode: 0o755 });
    renameSync(join(root, 'usr/bin/tool.new'), join(root, 'usr/bin/tool'));
    writeFileSync(join(root, 'etc/a'), 'b');
    unlinkSync(join(root, 'etc/dangling'));
    symlinkSync('abc', join(root, 'etc/dangling'));
    assert.ok((await imageOf(t, files, { folder })).equals(old));
    const { added } = await keep({ root, folder, replace: true });
    assert.equal(added.blobs, 2);
    const now = await imageOf(t, files, { root });
    assert.ok(!now.equals(old));
    assert.ok((await imageOf(t, files, { folder })).equals(now));
  });

  it('has what only other choices need: programs of inits, packages, microcode, kernels', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    for (const name of [
      'sh',
      'mount',
      'mkdir',
      'ln',
      'switch_root',
      'readlink',
      'sleep',
      'modprobe',
    ]) {
      put(join(root, 'bin', name), `program ${name}`);
      chmodSync(join(root, 'bin', name), 0o755);
    }
    put(join(root, 'init'), 'exec x\n');
    chmodSync(join(root, 'init'), 0o755);
    put(join(root, 'config'), 'MODULES="none"\n');
    put(join(root, 'boot/config-6.1'), 'CONFIG_RD_GZIP=y\n');
    put(join(root, 'lib/firmware/amd-ucode/microcode_amd.bin'), 'DMA\0 microcode');
    put(
      join(root, 'var/lib/dpkg/status'),
      'Package: tool\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n',
    );
    put(join(root, 'var/lib/dpkg/info/tool.list'), '/init\n');
    const files = filesOf(root).filter(({ path }) => path.toString() === 'init');
    const variants = [
      ...INIT_KINDS.map((init) => ({ init })),
      { earlyMicrocode: true },
      { format: 'cyclonedx' },
    ] as const;
    const before: Buffer[] = [];
    for (const variant of variants) before.push(await imageOf(t, files, { root }, variant));
    assert.match(before.at(-1)?.toString() ?? '', /pkg:deb\/.*tool/);
    await keep({ root, folder, files });
    rmSync(root, { recursive: true });
    for (const [index, variant] of variants.entries())
      assert.ok(
        (await imageOf(t, files, { folder }, variant)).equals(before[index] ?? Buffer.alloc(0)),
        JSON.stringify(variant),
      );
    const source = await RecordedSource.open({ folder, expression: EXPRESSION });
    t.after(() => source.close());
    assert.deepEqual(
      unpackerProblems(source.planned, 'zstd').map(({ code }) => code),
      ['kernel-cannot-unpack'],
    );
  });

  it('a list for gen_init_cpio names the kept files', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'etc/motd'), 'hello');
    const files = filesOf(root);
    await keep({ root, folder });
    const list = await imageOf(t, files, { folder }, { format: 'gen-init-cpio' });
    const [, source = ''] = /^file \/etc\/motd (\S+) /m.exec(list.toString()) ?? [];
    assert.equal(readFileSync(source, 'utf8'), 'hello');
  });

  it('is refused where content was not kept, and with the rule that keeps it not', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'init'), 'exec x\n');
    put(join(root, 'extra/file'), 'extra');
    const files = filesOf(root).filter(({ path }) => path.toString() === 'init');
    const rules = [{ include: true, glob: '/extra/' }];
    await keep({ root, folder, files });
    await assert.rejects(imageOf(t, files, { folder }, { rules }), {
      code: 'not-kept',
      message: 'the content of /extra/file was not kept for session-1',
    });
    await keep({ root, folder, files, rules });
    assert.ok((await imageOf(t, files, { folder }, { rules })).includes('extra'));
  });
});

describe('a recorded root', () => {
  it('answers as the root itself does', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    await keep({ root, folder });
    const tree = NativeTree.open(root);
    const { planned, ...source } = await RecordedSource.open({ folder, expression: EXPRESSION });
    t.after(() => {
      source.files.close();
      tree.close();
    });
    const paths = [...(await recordRoot(tree)).keys(), 'lib/hard1', 'no/such', 'etc/a/b'];
    assert.ok(paths.length > 40);
    const answer = <T>(ask: () => T): T | string => {
      try {
        return ask();
      } catch (error) {
        return String((error as { code?: unknown }).code);
      }
    };
    for (const path of paths.map((one) => Buffer.from(one, 'latin1'))) {
      const type = tree.lstat(path)?.type;
      for (const ask of [
        (one: typeof planned | NativeTree) => one.lstat(path),
        (one: typeof planned | NativeTree) => one.attributes(path),
        (one: typeof planned | NativeTree) => one.list(path),
        ...(type === 'symlink' ? [(one: typeof planned | NativeTree) => one.readlink(path)] : []),
        ...(type === 'file' ? [(one: typeof planned | NativeTree) => one.read(path, 1, 5)] : []),
      ])
        assert.deepEqual(
          answer(() => ask(planned)),
          answer(() => ask(tree)),
          path.toString(),
        );
    }
    assert.deepEqual(await planned.symlinks(), await tree.symlinks());
  });

  it('is refused when it is too large, before a directory of millions is in memory', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    for (const name of ['a', 'b', 'c']) put(join(root, 'directory', name), '');
    symlinkSync('four', join(root, 'link'));
    const tree = NativeTree.open(root);
    t.after(() => tree.close());
    const enough = { names: 6, pathBytes: 50, attributeBytes: 0 };
    assert.equal((await recordRoot(tree, { bounds: enough })).size, 6);
    for (const less of [{ names: 5 }, { names: 2 }, { pathBytes: 49 }])
      await assert.rejects(recordRoot(tree, { bounds: { ...enough, ...less } }), {
        code: 'root-too-large',
        exit: 'data',
      });
    const directory = Buffer.from('directory');
    assert.equal(tree.list(directory, 3).length, 3);
    assert.throws(() => tree.list(directory, 2), { code: 'too-many-names' });
  });
});
