/** What else than newc is written of a plan: checksums, lists, gen_init_cpio's list, manifests. */
import assert from 'node:assert/strict';
import { chmodSync, linkSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';

import { TraceError } from '../../../src/common/errors.ts';
import type { NativeTree } from '../../../src/fanotify-ts/tree.ts';
import type { ImageFormat, InitKind } from '../../../src/image/choices.ts';
import { exportImage } from '../export-image.ts';
import { formatGenInitCpio } from '../../../src/image/formats/gen-init-cpio.ts';
import { formatList } from '../../../src/image/list.ts';
import { type ImagePlan, planImage } from '../../../src/image/plan.ts';
import { DEVICE_NODES, MOUNT_POINTS } from '../../../src/image/tables.ts';
import { MemoryTree, type Node } from '../memory-tree.ts';
import { makeTree, openTree, planAll, put, run, sha256, temporaryFolder } from '../support.ts';

interface Scene {
  readonly root: string;
  readonly tree: NativeTree;
  readonly plan: ImagePlan;
  readonly folder: string;
}

async function scene(t: TestContext): Promise<Scene> {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  makeTree(root);
  const tree = openTree(t, root);
  const tables = { mountPoints: MOUNT_POINTS, devices: DEVICE_NODES };
  return { folder, root, tree, plan: await planAll(root, tree, tables) };
}

const origin = { expression: 'session-1', sessions: ['session-1'], version: '1.2.3' };

async function write({ tree, plan, folder }: Scene, format: ImageFormat): Promise<Buffer> {
  const output = join(folder, 'out');
  const { bytes } = await exportImage({ tree, plan, output, format, origin });
  const written = readFileSync(output);
  assert.equal(written.length, bytes);
  return written;
}

describe('newc-crc', () => {
  it('is what GNU cpio checks, and a wrong byte shows', async (t) => {
    const made = await scene(t);
    const image = await write(made, 'newc-crc');
    assert.equal(image.toString('latin1', 0, 6), '070702');
    const verify = (bytes: Buffer) =>
      run('sh', ['-c', 'cpio -i --only-verify-crc --quiet 2>&1'], { input: bytes }).toString();
    assert.equal(verify(image), '');
    const wrong = Buffer.from(image);
    const at = wrong.indexOf('exec /sbin/init');
    wrong.write('EXEC', at, 'latin1');
    assert.match(verify(wrong), /checksum error/);
  });

  it('is newc but for magics and checksums', async (t) => {
    const made = await scene(t);
    const [plain, summed] = [await write(made, 'newc'), await write(made, 'newc-crc')];
    assert.equal(plain.length, summed.length);
    const names = (image: Buffer) => run('cpio', ['-t', '--quiet'], { input: image });
    assert.ok(names(plain).equals(names(summed)));
  });

  it('is compressed like newc', async (t) => {
    const made = await scene(t);
    const output = join(made.folder, 'z');
    const { tree, plan } = made;
    const compress = { method: 'zstd', level: 1 } as const;
    await exportImage({ tree, plan, output, format: 'newc-crc', compress });
    assert.ok(run('zstd', ['-dc', output]).equals(await write(made, 'newc-crc')));
  });
});

describe('list and list0', () => {
  it('have the paths of the plan', async (t) => {
    const made = await scene(t);
    const paths = made.plan.entries.map(({ path }) => path);
    assert.ok((await write(made, 'list0')).equals(formatList(paths, { nul: true })));
    await assert.rejects(
      write(made, 'list'),
      (error) =>
        error instanceof TraceError &&
        error.code === 'newline-in-name' &&
        error.hint === 'use --format list0 to end the names with NUL instead',
    );
  });

  it('are not compressed', async (t) => {
    const { tree, plan, folder } = await scene(t);
    const compress = { method: 'zstd', level: 1 } as const;
    for (const format of ['list', 'list0', 'gen-init-cpio', 'manifest', 'cyclonedx'] as const)
      await assert.rejects(
        exportImage({ tree, plan, output: join(folder, 'x'), format, compress }),
        (error) => error instanceof TraceError && error.code === 'not-compressed',
      );
  });
});

describe('gen-init-cpio', () => {
  async function lines(nodes: Readonly<Record<string, Node>>, root = '/srv/root', init?: InitKind) {
    const paths = Object.keys(nodes).map((path) => Buffer.from(path, 'latin1'));
    const files = paths.map((path) => ({ path, operations: 16 }));
    const tree = new MemoryTree(nodes);
    const { entries } = await planImage({ tree, files, mountPoints: [], devices: [], init });
    const found = [...formatGenInitCpio({ entries, root: Buffer.from(root) })];
    return Buffer.concat(found).toString('latin1').split('\n').slice(0, -1);
  }

  it('has a line for each entry, and one for all names of a file', async () => {
    const hard = { ino: 7n, nlink: 3, size: 4, mode: 0o755 } as const;
    assert.deepEqual(
      await lines({
        'a/first': hard,
        'b/second': hard,
        'z/third': hard,
        'etc/shadow': { mode: 0o600, gid: 42, size: 1 },
        'bin/su': { mode: 0o4755, size: 1 },
        lib: { to: 'usr/lib' },
        'usr/lib': { type: 'directory', mode: 0o755, uid: 5 },
        'dev/sda1': { type: 'block', mode: 0o660, rdevMajor: 8, rdevMinor: 1 },
        'dev/line': { type: 'character', mode: 0o620, rdevMajor: 4, rdevMinor: 65 },
        'run/pipe': { type: 'fifo', mode: 0o640 },
        'x\xff$y#': { size: 1 },
      }),
      [
        'dir /a 0755 0 0',
        'dir /b 0755 0 0',
        'dir /bin 0755 0 0',
        'file /bin/su /srv/root/bin/su 04755 0 0',
        'dir /dev 0755 0 0',
        'nod /dev/line 0620 0 0 c 4 65',
        'nod /dev/sda1 0660 0 0 b 8 1',
        'dir /etc 0755 0 0',
        'file /etc/shadow /srv/root/etc/shadow 0600 0 42',
        'slink /lib usr/lib 0777 0 0',
        'dir /run 0755 0 0',
        'pipe /run/pipe 0640 0 0',
        'dir /usr 0755 0 0',
        'dir /usr/lib 0755 5 0',
        'file /x\xff$y# /srv/root/x\xff$y# 0644 0 0',
        'dir /z 0755 0 0',
        'file /z/third /srv/root/z/third 0755 0 0 /a/first /b/second',
      ],
    );
  });

  it('refuses what would become something else', async () => {
    const refused = (nodes: Readonly<Record<string, Node>>, message: RegExp, root?: string) =>
      assert.rejects(
        lines(nodes, root),
        (error) =>
          error instanceof TraceError &&
          error.code === 'does-not-fit' &&
          message.test(error.message) &&
          /--format newc/.test(error.hint ?? ''),
      );
    for (const blank of [' ', '\n', '\t', '\v', '\f', '\r'])
      await refused({ [`a${blank}b`]: 'x' }, /blanks and newlines/);
    await refused({ link: { to: 'two words' } }, /^\/link cannot/);
    await refused({ a: 'x' }, /^\/a cannot/, '/srv/my root');
    await refused({ 'a${HOME}': 'x' }, /\$\{/);
    const hard = { ino: 7n, nlink: 40, size: 4 };
    const many = Array.from({ length: 40 }, (_, i) => [`${'d'.repeat(220)}${i}`, hard] as const);
    await refused(Object.fromEntries(many), /8,241 bytes/);
  });

  it('says how to go without what is in no file', async () => {
    const refused = (nodes: Readonly<Record<string, Node>>, init: 'own' | 'exec') =>
      lines(nodes, '/srv/root', init).then(
        () => assert.fail('not refused'),
        (error: unknown) => {
          assert.ok(error instanceof TraceError);
          assert.equal(error.code, 'does-not-fit');
          return `${error.message}; ${error.hint ?? ''}`;
        },
      );
    assert.match(
      await refused({ a: 'x' }, 'exec'),
      /^\/init cannot .* generated.*; use --init own /,
    );
    assert.deepEqual(await lines({ a: { size: 1 } }, '/srv/root', 'own'), [
      'file /a /srv/root/a 0644 0 0',
    ]);
    const ping = { size: 1, names: ['security.capability'] };
    assert.match(
      await refused({ ping }, 'own'),
      /^\/\.nfsroot-trace\/attributes cannot .*\(capabilities.*; --exclude what .*--format newc/,
    );
  });

  it('keeps no trace of a refused list', async (t) => {
    const made = await scene(t);
    const output = join(made.folder, 'out');
    writeFileSync(output, 'old');
    await assert.rejects(write(made, 'gen-init-cpio'), { code: 'does-not-fit' });
    assert.equal(readFileSync(output, 'latin1'), 'old');
  });

  it('warns of sources that are not for everyone to read', async (t) => {
    const folder = temporaryFolder(t);
    const root = join(folder, 'root');
    for (const [path, mode] of [
      ['etc/gshadow', 0o640],
      ['etc/shadow', 0o600],
      ['etc/passwd', 0o644],
    ] as const) {
      put(join(root, path), path);
      chmodSync(join(root, path), mode);
    }
    const tree = openTree(t, root);
    const made = {
      tree,
      plan: await planAll(root, tree, { init: 'own' }),
      output: join(folder, 'l'),
    };
    const { problems = [] } = await exportImage({ ...made, format: 'gen-init-cpio' });
    assert.deepEqual(
      problems.map(({ code, message }) => [code, message]),
      [
        [
          'sources-not-public',
          '2 files on the list are not for everyone to read, the first is /etc/gshadow',
        ],
      ],
    );
    chmodSync(join(root, 'etc/gshadow'), 0o644);
    chmodSync(join(root, 'etc/shadow'), 0o644);
    const open = { ...made, plan: await planAll(root, tree, { init: 'own' }) };
    assert.deepEqual((await exportImage({ ...open, format: 'gen-init-cpio' })).problems, []);
  });

  it('names sources that are there', async (t) => {
    const folder = temporaryFolder(t);
    const root = join(folder, 'root');
    put(join(root, 'etc/a'), 'content');
    put(join(root, 'etc/b'), '');
    linkSync(join(root, 'etc/a'), join(root, 'etc/c'));
    const tree = openTree(t, root);
    const text = await write(
      { folder, root, tree, plan: await planAll(root, tree) },
      'gen-init-cpio',
    );
    const sources = [...text.toString().matchAll(/^file \S+ (\S+)/gm)].map(([, at = '']) => at);
    assert.deepEqual(sources, [join(root, 'etc/b'), join(root, 'etc/c')]);
    assert.deepEqual(
      sources.map((source) => readFileSync(source, 'latin1')),
      ['', 'content'],
    );
  });
});

describe('a manifest', () => {
  interface Manifest {
    readonly expression: string;
    readonly version: string;
    readonly entries: readonly {
      readonly path: string;
      readonly path_base64?: string;
      readonly type: string;
      readonly mode: string;
      readonly size: number;
      readonly sha256: string | null;
      readonly hard_link: { readonly path: string } | null;
      readonly reasons: readonly { readonly kind: string }[];
    }[];
  }

  it('has every entry, with the hash of what the file holds', async (t) => {
    const made = await scene(t);
    const text = await write(made, 'manifest');
    const { entries, ...head } = JSON.parse(text.toString()) as Manifest;
    assert.deepEqual(head, { manifest: 1, program: 'nfsroot-trace', ...origin });
    assert.equal(entries.length, made.plan.entries.length);
    for (const [index, { path, path_base64: base64, type, sha256: hash }] of entries.entries()) {
      const bytes = base64 === undefined ? Buffer.from(path) : Buffer.from(base64, 'base64');
      const planned = made.plan.entries[index];
      assert.ok(index === 0 || planned?.path.equals(bytes) === true);
      if (type !== 'file') assert.equal(hash, null);
      else {
        const full = Buffer.concat([Buffer.from(`${made.root}/`), bytes]);
        assert.equal(hash, sha256(readFileSync(full)), path);
      }
    }
    const hard = entries.filter(({ hard_link: to }) => to !== null);
    assert.deepEqual(
      hard.map(({ path, hard_link: to }) => [path, to?.path]),
      [
        ['usr/lib/hard1', 'usr/lib/hard2'],
        ['usr/lib/nothing1', 'usr/lib/nothing2'],
      ],
    );
    for (const { reasons } of entries) assert.ok(reasons.length > 0);
  });

  it('is the same again, on a copy too', async (t) => {
    const made = await scene(t);
    const first = await write(made, 'manifest');
    const copy = join(made.folder, 'copy');
    run('cp', ['-a', made.root, copy]);
    const tree = openTree(t, copy);
    const tables = { mountPoints: MOUNT_POINTS, devices: DEVICE_NODES };
    const plan = await planAll(copy, tree, tables);
    assert.ok((await write({ ...made, root: copy, tree, plan }, 'manifest')).equals(first));
    assert.equal(first.includes(made.folder), false);
  });

  it('of a file that changed is none', async (t) => {
    const made = await scene(t);
    writeFileSync(join(made.root, 'etc/a'), 'other');
    await assert.rejects(write(made, 'manifest'), { code: 'drift' });
  });

  it('reads a large file in parts', async (t) => {
    const folder = temporaryFolder(t);
    const root = join(folder, 'root');
    mkdirSync(root);
    const content = Buffer.alloc(9_000_001, 'parts ');
    put(join(root, 'large'), content);
    const tree = openTree(t, root);
    const text = await write({ folder, root, tree, plan: await planAll(root, tree) }, 'manifest');
    const { entries } = JSON.parse(text.toString()) as Manifest;
    assert.equal(entries[1]?.sha256, sha256(content));
  });
});

describe('a bill of materials', () => {
  interface Bom {
    readonly components: readonly {
      readonly type: string;
      readonly 'bom-ref': string;
      readonly name: string;
      readonly version?: string;
      readonly purl?: string;
      readonly licenses?: readonly { readonly license: { readonly name: string } }[];
      readonly hashes?: readonly { readonly alg: string; readonly content: string }[];
      readonly properties?: readonly { readonly name: string; readonly value: string }[];
    }[];
    readonly metadata: { readonly properties?: readonly { readonly value: string }[] };
  }
  const STANZA = 'Status: install ok installed\nArchitecture: all\nVersion: 1:2+3\n';

  async function bomScene(t: TestContext): Promise<Scene> {
    const folder = temporaryFolder(t);
    const root = join(folder, 'root');
    makeTree(root);
    put(join(root, 'etc/os-release'), 'ID=debian\nVERSION_ID="12"\n');
    const status = ['tool', 'hard', 'elsewhere'].map((name) => `Package: ${name}\n${STANZA}`);
    put(join(root, 'var/lib/dpkg/status'), status.join('\n'));
    put(join(root, 'var/lib/dpkg/info/tool.list'), '/.\n/bin\n/bin/tool\n/etc\n/etc/a\n');
    put(join(root, 'var/lib/dpkg/info/hard.list'), '/lib/hard1\n');
    put(join(root, 'var/lib/dpkg/info/elsewhere.list'), '/usr/not/in/it\n');
    const musl = 'P:musl\nV:1.2.5-r1\nA:x86_64\nL:MIT\nF:etc\nR:ab\n';
    put(join(root, 'lib/apk/db/installed'), musl);
    put(join(root, 'var/lib/rpm/Packages'), 'rpm');
    const tree = openTree(t, root);
    return { folder, root, tree, plan: await planAll(root, tree) };
  }

  it('has the packages that are in the image, and all other files with their hashes', async (t) => {
    const made = await bomScene(t);
    const { components, metadata } = JSON.parse((await write(made, 'cyclonedx')).toString()) as Bom;
    const refs = components.map((one) => one['bom-ref']);
    assert.equal(new Set(refs).size, refs.length);
    assert.deepEqual(
      components
        .filter(({ type }) => type !== 'file')
        .map(({ type, name, version, purl, licenses }) => [
          type,
          name,
          version,
          purl,
          licenses?.[0]?.license.name,
        ]),
      [
        ['operating-system', 'debian', '12', undefined, undefined],
        [
          'library',
          'musl',
          '1.2.5-r1',
          'pkg:apk/debian/musl@1.2.5-r1?arch=x86_64&distro=debian-12',
          'MIT',
        ],
        [
          'library',
          'hard',
          '1:2+3',
          'pkg:deb/debian/hard@1:2%2B3?arch=all&distro=debian-12',
          undefined,
        ],
        [
          'application',
          'tool',
          '1:2+3',
          'pkg:deb/debian/tool@1:2%2B3?arch=all&distro=debian-12',
          undefined,
        ],
      ],
    );
    const tool = components.find(({ name }) => name === 'tool');
    assert.deepEqual(tool?.properties, [
      { name: 'nfsroot-trace:entries', value: '2' },
      { name: 'nfsroot-trace:bytes', value: '300002' },
    ]);
    assert.match(metadata.properties?.at(-1)?.value ?? '', /^\/var\/lib\/rpm\/Packages: .* rpm/);
    const files = components.filter(({ type }) => type === 'file');
    const owned = new Set(['usr/bin/tool', 'etc/a', 'etc/ab', 'usr/lib/hard1']);
    const expected = made.plan.entries.filter(
      ({ type, path }) => type === 'file' && !owned.has(path.toString()),
    );
    assert.equal(files.length, expected.length);
    for (const [index, { name, hashes, properties }] of files.entries()) {
      const path = expected[index]?.path ?? Buffer.alloc(0);
      const base64 = properties?.find((one) => one.name === 'nfsroot-trace:path-base64')?.value;
      if (base64 === undefined) assert.equal(name, `/${path.toString()}`);
      else assert.ok(Buffer.from(base64, 'base64').equals(path));
      const content = readFileSync(Buffer.concat([Buffer.from(`${made.root}/`), path]));
      assert.deepEqual(hashes, [{ alg: 'SHA-256', content: sha256(content) }]);
    }
  });

  it('is the same again, and names neither a time nor the root', async (t) => {
    const made = await bomScene(t);
    const first = await write(made, 'cyclonedx');
    assert.ok((await write(made, 'cyclonedx')).equals(first));
    assert.equal(first.includes(made.folder), false);
    assert.doesNotMatch(first.toString(), /timestamp|serialNumber/);
  });

  it('reads no file of a package, and none that changed', async (t) => {
    const made = await bomScene(t);
    writeFileSync(join(made.root, 'etc/a'), 'other');
    await write(made, 'cyclonedx');
    writeFileSync(join(made.root, 'etc/abc'), 'other');
    await assert.rejects(write(made, 'cyclonedx'), { code: 'drift' });
  });
});
