/** What is kept of a root makes the image that the root made, whatever became of it since. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  lstatSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { ContentFolder } from '../../src/content/content-folder.ts';
import { RecordedSource } from '../../src/content/recorded-source.ts';
import { recordRoot } from '../../src/content/root-record.ts';
import { Snapshots } from '../../src/content/snapshots.ts';
import { checkContent, pruneBlobs } from '../../src/content/tidy.ts';
import { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { IMAGE_FORMATS, INIT_KINDS } from '../../src/image/choices.ts';
import { unpackerProblems } from '../../src/image/kernel-config.ts';
import { makeTree, put, run, sha256, temporaryFolder } from '../image/support.ts';
import { lacks } from '../capabilities.ts';
import { EXPRESSION, filesOf, imageOf, keep } from './support.ts';

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    lstatSync(join(folder, name)).isFile(),
  );
/** Where a content lies, by the documented layout. */
const blobOf = (content: Buffer): string => {
  const hash = sha256(content);
  return join('blobs', hash.slice(0, 2), hash);
};
const blobsIn = (folder: string): string[] => filesBelow(join(folder, 'blobs'));

/** A signal that never aborts: it is asked between the look at a file and its copy. */
function beforeEachCopy(work: () => void): AbortSignal {
  const { signal } = new AbortController();
  signal.throwIfAborted = work;
  return signal;
}

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

  it('has the old files after an upgrade, and new ones once they are kept', async (t) => {
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
    const { added } = await keep({ root, folder });
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
});

describe('what is kept', () => {
  it('is once there for each content, named by its SHA-256, and for nobody else to read', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'a/one'), 'same');
    put(join(root, 'a/two'), 'same');
    put(join(root, 'a/other'), 'other');
    linkSync(join(root, 'a/other'), join(root, 'a/linked'));
    const { head, added } = await keep({ root, folder });
    assert.deepEqual([added.blobs, added.bytes, head.files, head.bytes], [2, 9, 4, 9]);
    for (const name of blobsIn(folder)) {
      const path = join(folder, 'blobs', name);
      assert.equal(sha256(readFileSync(path)), name.slice(3));
      assert.equal(name.slice(0, 2), name.slice(3, 5));
      assert.equal(lstatSync(path).mode & 0o777, 0o400);
    }
    for (const name of ['', 'blobs', 'snapshots', 'tmp'])
      assert.equal(statSync(join(folder, name)).mode & 0o777, 0o700);
    assert.equal((await keep({ root, folder, expression: 'session-2' })).added.blobs, 0);
    assert.equal(blobsIn(folder).length, 2);
    chmodSync(folder, 0o750);
    await assert.rejects(keep({ root, folder }), { code: 'content-unsafe' });
  });

  it('is read again if it was written to just before, whatever its times say', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    const path = join(root, 'file');
    put(path, 'old!');
    utimesSync(path, 5, 5);
    await keep({ root, folder });
    // A blob of another content under the name of the first: only who reads the file notices.
    const [name = ''] = blobsIn(folder);
    const blob = join(folder, 'blobs', name);
    chmodSync(blob, 0o600);
    writeFileSync(blob, 'BAD!');
    await keep({ root, folder });
    assert.equal(readFileSync(blob, 'utf8'), 'old!');
  });

  it(
    'is not read again where the file has been the same for long, on the same mount',
    { skip: lacks('mounts', 'mount') },
    async (t) => {
      const folder = join(temporaryFolder(t), 'content');
      const root = join(temporaryFolder(t), 'root');
      put(join(root, 'file'), 'old!');
      await delay(2100);
      const again = () => keep({ root, folder, settledSeconds: 1 });
      await again();
      // A blob of another content under its name: only who reads the file notices.
      const blob = join(folder, blobOf(Buffer.from('old!')));
      const spoil = () => {
        chmodSync(blob, 0o600);
        writeFileSync(blob, 'BAD!');
      };
      spoil();
      await again();
      assert.equal(readFileSync(blob, 'utf8'), 'BAD!');
      // Another ctime.
      utimesSync(join(root, 'file'), 5, 5);
      await again();
      assert.equal(readFileSync(blob, 'utf8'), 'old!');
      await delay(2100);
      await again();
      run('mount', ['--bind', root, root]);
      try {
        spoil();
        await again();
        assert.equal(readFileSync(blob, 'utf8'), 'old!');
      } finally {
        run('umount', [root]);
      }
    },
  );

  it('is never more than its bound: then nothing of the snapshot stays', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'first'), Buffer.alloc(1000, 'a'));
    await keep({ root, folder, maxBytes: 3000 });
    put(join(root, 'second'), Buffer.alloc(1500, 'b'));
    put(join(root, 'third'), Buffer.alloc(1500, 'c'));
    const before = filesBelow(folder);
    await assert.rejects(keep({ root, folder, maxBytes: 3000 }), {
      code: 'content-full',
      exit: 'io',
    });
    assert.deepEqual(filesBelow(folder), before);
    assert.equal((await keep({ root, folder, maxBytes: 4000 })).added.bytes, 3000);
  });

  it('is told when it is damaged, before a byte is written, and can be kept anew', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    const files = filesOf(root);
    await keep({ root, folder });
    const image = await imageOf(t, files, { folder });
    const blob = join(folder, blobOf(readFileSync(join(root, 'etc/abc'))));
    chmodSync(blob, 0o600);
    writeFileSync(blob, 'abd');
    await assert.rejects(imageOf(t, files, { folder }), {
      code: 'content-damaged',
      message: 'the kept content of /etc/abc is not what was kept',
    });
    const checked = await checkContent(ContentFolder.claim(folder));
    assert.equal(checked.damaged, 1);
    assert.deepEqual(checked.snapshots, [{ expression: EXPRESSION, sound: true, missing: 1 }]);
    await assert.rejects(imageOf(t, files, { folder }), {
      message: 'the kept content of /etc/abc is not there',
    });
    assert.equal((await keep({ root, folder })).added.blobs, 1);
    assert.ok((await imageOf(t, files, { folder })).equals(image));
  });

  it('goes when no snapshot needs it, and not while a damaged one may', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'both'), 'both');
    put(join(root, 'one'), 'first');
    await keep({ root, folder });
    rmSync(join(root, 'one'));
    put(join(root, 'two'), 'second one');
    await keep({ root, folder, expression: 'session-2' });
    const claimed = ContentFolder.claim(folder);
    const snapshots = new Snapshots(claimed);
    assert.deepEqual(await pruneBlobs(claimed), { blobs: 0, bytes: 0 });
    const path = join(folder, 'snapshots', EXPRESSION);
    chmodSync(path, 0o600);
    truncateSync(path, lstatSync(path).size - 40);
    await assert.rejects(snapshots.read(EXPRESSION), { code: 'snapshot-damaged' });
    await assert.rejects(pruneBlobs(claimed), { code: 'snapshot-damaged' });
    assert.equal(blobsIn(folder).length, 3);
    await snapshots.remove(EXPRESSION);
    assert.deepEqual(await pruneBlobs(claimed), { blobs: 1, bytes: 5 });
    await assert.rejects(snapshots.read(EXPRESSION), { code: 'no-snapshot' });
  });

  it('of a file that is written to, or replaced, is what it was at one moment', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'init'), 'exec x\n');
    put(join(root, 'log'), 'line 0\n');
    put(join(root, 'gone'), 'gone');
    put(join(root, 'old/name'), 'version 0');
    linkSync(join(root, 'old/name'), join(root, 'old/other'));
    const files = filesOf(root);
    let times = 0;
    const signal = beforeEachCopy(() => {
      if (++times > 6) return;
      appendFileSync(join(root, 'log'), `line ${times}\n`);
      writeFileSync(join(root, 'new'), `version ${times}`);
      renameSync(join(root, 'new'), join(root, 'old/name'));
      rmSync(join(root, 'gone'), { force: true });
    });
    await keep({ root, folder, files, signal });
    assert.ok(times > 6);
    // Directories have the times that they had before.
    const timeless = { mtimeMax: 1 };
    const image = await imageOf(t, files, { folder }, timeless);
    assert.ok(image.equals(await imageOf(t, files, { root }, timeless)));
  });

  it('is refused where a file changes whenever it is read, and nothing is left', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'init'), 'exec x\n');
    put(join(root, 'log'), '');
    const signal = beforeEachCopy(() => appendFileSync(join(root, 'log'), 'line\n'));
    await assert.rejects(keep({ root, folder, signal }), {
      code: 'root-changing',
      exit: 'failed',
    });
    assert.deepEqual(filesBelow(folder), []);
    await keep({ root, folder });
  });

  it('what a killed writer left is removed by the next one', (t) => {
    const folder = join(temporaryFolder(t), 'content');
    ContentFolder.claim(folder);
    writeFileSync(join(folder, 'tmp/half'), 'half');
    ContentFolder.claim(folder);
    assert.deepEqual(filesBelow(folder), []);
  });
});
