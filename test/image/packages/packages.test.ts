/** Packages of a root by its own databases: what real dpkg writes, apk's format, hostile ones. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { readInstalled } from '../../../src/image/packages/apk.ts';
import { parseDiversions, parseStatus } from '../../../src/image/packages/dpkg.ts';
import { findPackages } from '../../../src/image/packages/find-packages.ts';
import { packageUrl } from '../../../src/image/packages/package.ts';
import { unreadProblems } from '../../../src/image/packages/unread-problems.ts';
import { Resolver } from '../../../src/image/resolve.ts';
import type { Tree } from '../../../src/image/tree.ts';
import { MemoryTree, type Node } from '../memory-tree.ts';
import { isRoot, openTree, put, run, temporaryFolder } from '../support.ts';

async function find(tree: Tree, paths: readonly string[]) {
  const resolver = new Resolver(tree, await tree.symlinks());
  const { owners, ...rest } = findPackages({ tree, resolver, paths: new Set(paths) });
  const names = paths.map((path) => owners.get(path)?.name ?? null);
  return { names, owners, ...rest };
}

const hasDpkg = spawnSync('dpkg', ['--version']).status === 0;

describe(
  'a root that dpkg made',
  { skip: isRoot && hasDpkg ? false : 'needs root and dpkg' },
  () => {
    const PATH = `/usr/sbin:/sbin:${process.env['PATH'] ?? ''}`;

    it('with links for directories, diversions and two architectures', async (t) => {
      const folder = temporaryFolder(t);
      const root = join(folder, 'root');
      for (const path of ['usr/lib', 'usr/bin', 'var/lib/dpkg/info', 'var/lib/dpkg/updates'])
        mkdirSync(join(root, path), { recursive: true });
      symlinkSync('usr/lib', join(root, 'lib'));
      symlinkSync('usr/bin', join(root, 'bin'));
      put(join(root, 'var/lib/dpkg/status'), '');
      put(join(root, 'var/lib/dpkg/available'), '');
      const dpkg = (...args: string[]) =>
        run('dpkg', [`--root=${root}`, '--force-architecture', ...args], { env: { PATH } });
      const install = (control: string, files: Readonly<Record<string, string>>) => {
        const [, name = ''] = /^Package: (.*)$/m.exec(control) ?? [];
        const [, architecture = ''] = /^Architecture: (.*)$/m.exec(control) ?? [];
        const built = join(folder, `${name}-${architecture}`);
        put(
          join(built, 'DEBIAN/control'),
          `${control}Maintainer: x <x@example.net>\nDescription: x\n`,
        );
        for (const [path, content] of Object.entries(files)) put(join(built, path), content);
        run('dpkg-deb', ['--root-owner-group', '-b', built, `${built}.deb`]);
        dpkg('-i', `${built}.deb`);
      };
      const one = 'Version: 1:2.0~rc1+x-1\nArchitecture: all\n';
      install(`Package: sh-first\n${one}`, { 'bin/sh': '1', 'lib/first.so': 'f', 'usr/a b': '' });
      run(
        'dpkg-divert',
        [
          '--root',
          root,
          '--package',
          'sh-second',
          '--divert',
          '/bin/sh.first',
          '--rename',
          '/bin/sh',
        ],
        { env: { PATH } },
      );
      install(`Package: sh-second\n${one}`, { 'bin/sh': '2', 'usr/\xff': 'x' });
      for (const architecture of ['amd64', 'armhf'])
        install(`Package: multi\nVersion: 1\nMulti-Arch: same\nArchitecture: ${architecture}\n`, {
          [`lib/${architecture}/m.so`]: 'm',
          'usr/share/both': 'same',
        });
      install(`Package: removed\n${one}`, { 'usr/gone': 'x' });
      dpkg('--purge', 'removed');
      put(join(root, 'usr/gone'), 'of nobody');
      const found = await find(openTree(t, root), [
        'usr/bin/sh',
        'usr/bin/sh.first',
        'usr/lib/first.so',
        'usr/a b',
        'usr/gone',
        'usr/lib/amd64/m.so',
        'usr/lib/armhf/m.so',
        'usr/share/both',
        'lib',
      ]);
      assert.deepEqual(found.unread, []);
      assert.deepEqual(found.names, [
        'sh-second',
        'sh-first',
        'sh-first',
        'sh-first',
        null,
        'multi',
        'multi',
        'multi',
        null,
      ]);
      assert.equal(found.owners.get('usr/lib/armhf/m.so')?.architecture, 'armhf');
      assert.deepEqual(found.owners.get('usr/bin/sh'), {
        kind: 'deb',
        name: 'sh-second',
        version: '1:2.0~rc1+x-1',
        architecture: 'all',
        licence: null,
      });
    });
  },
);

const stanza = (name: string, state = 'install ok installed', more = '') =>
  `Package: ${name}\nStatus: ${state}\nArchitecture: amd64\nVersion: 1-1\n${more}`;

describe('dpkg', () => {
  it('has no stanza that is cut, odd or of what is gone', () => {
    const { packages, odd } = parseStatus(
      [
        stanza('good', 'install ok installed', 'Description: x\n Package: not\n .\n Version: 9\n'),
        stanza('../../etc/passwd'),
        stanza('good'),
        stanza('gone', 'deinstall ok config-files'),
        stanza('half', 'install reinstreq half-installed'),
        'Package: cut\nStatus: install ok inst',
        '\n\n \n',
        stanza('evil\0name'),
        `Package: ${'x'.repeat(100_000)}\n`,
      ].join('\n'),
    );
    assert.deepEqual(
      packages.map(({ name, version }) => [name, version]),
      [
        ['good', '1-1'],
        ['half', '1-1'],
      ],
    );
    assert.equal(odd, 5);
  });

  it('takes whole diversions only', () => {
    const text = '/a\n/b\nby\n/c\n/d\n:\n/e\n/f';
    assert.deepEqual(
      [...parseDiversions(text)],
      [
        ['/a', { to: '/b', by: 'by' }],
        ['/c', { to: '/d', by: null }],
      ],
    );
    assert.equal(parseDiversions('no path\n/x\ny\n').size, 0);
  });

  it('stays in the root and says what it did not use', async () => {
    const tree = new MemoryTree({
      'var/lib/dpkg/status': `${stanza('a')}\n${stanza('b')}\n${stanza('c')}\nnonsense\n`,
      'var/lib/dpkg/info/a.list':
        '/up/../../../etc/passwd\n/loop1/x\n/etc/hosts\n//etc//odd\nrelative',
      'var/lib/dpkg/info/b.list': { size: 2 ** 33, content: '/etc/hosts' },
      'var/lib/dpkg/info/c.list': { to: '/etc/shadow' },
      'var/lib/rpm/rpmdb.sqlite': 'SQLite',
      'etc/shadow': '/etc/secret',
      loop1: { to: 'loop2' },
      loop2: { to: 'loop1' },
      up: { to: '/' },
    });
    const found = await find(tree, ['etc/passwd', 'etc/hosts', 'x', 'relative', 'etc/odd']);
    assert.deepEqual(found.names, ['a', 'a', null, null, 'a']);
    assert.deepEqual(
      unreadProblems(found).map(({ code, message }) => [code, /the first .*/.exec(message)?.[0]]),
      [
        [
          'packages-not-read',
          'the first is /var/lib/dpkg/info/b.list: too large: 8589934592 bytes',
        ],
      ],
    );
    assert.deepEqual(unreadProblems({ unread: [] }), []);
    assert.deepEqual(
      found.unread.map(({ path, why }) => [path, /too large|stanzas|rpm/.exec(why)?.[0]]),
      [
        ['var/lib/dpkg/info/b.list', 'too large'],
        ['var/lib/dpkg/status', 'stanzas'],
        ['var/lib/rpm/rpmdb.sqlite', 'rpm'],
      ],
    );
  });

  it('ends with a list of endless directories, and says so', async () => {
    const lines = Array.from({ length: 100_010 }, (_, i) => `/d${i}/x`);
    const tree = new MemoryTree({
      'var/lib/dpkg/status': stanza('a'),
      'var/lib/dpkg/info/a.list': lines.join('\n'),
    });
    const { names, unread } = await find(tree, ['d1/x', 'd100005/x']);
    assert.deepEqual(names, ['a', null]);
    assert.match(unread[0]?.why ?? '', /over 100000 directories/);
  });

  it('gives a file that two packages list to the same one, whatever their order', async () => {
    const list = { 'var/lib/dpkg/info/a.list': '/f', 'var/lib/dpkg/info/b.list': '/f' };
    for (const order of [
      ['a', 'b'],
      ['b', 'a'],
    ]) {
      const status = order.map((name) => stanza(name)).join('\n');
      const tree = new MemoryTree({ 'var/lib/dpkg/status': status, ...list });
      assert.deepEqual((await find(tree, ['f'])).names, ['a']);
    }
  });
});

/** As apk-tools 2.14 writes it on Alpine 3.20. */
const INSTALLED = `C:Q1LeoM2KjnZuHiFIFZOeuHNSXBlnY=
P:musl
V:1.2.5-r1
A:x86_64
S:402834
I:667648
T:the musl c library (libc) implementation
U:https://musl.libc.org/
L:MIT
o:musl
m:Natanael Copa <ncopa@alpinelinux.org>
t:1728049281
p:so:libc.musl-x86_64.so.1=1
F:lib
R:ld-musl-x86_64.so.1
a:0:0:755
Z:Q1rXahnNaJ22dyoDJlBRaQ62XsVXw=
R:libc.musl-x86_64.so.1
a:0:0:777
Z:Q17yJ3JFNypA4mxhJJr0ou6CzsJVI=

P:busybox
V:1.36.1-r29
A:x86_64
L:GPL-2.0-only
F:
F:bin
R:busybox
F:etc
M:0:0:1777

`;

describe('apk', () => {
  const files = (nodes: Readonly<Record<string, Node>> = {}): Record<string, Node> => ({
    'etc/os-release': 'NAME="Alpine Linux"\nID=alpine\nVERSION_ID=3.20.3\n',
    'usr/lib/ld-musl-x86_64.so.1': 'x',
    lib: { to: 'usr/lib' },
    'bin/busybox': 'x',
    'usr/lib/apk/db/installed': INSTALLED,
    ...nodes,
  });

  it('is read through the links of the root', async () => {
    const found = await find(new MemoryTree(files()), [
      'usr/lib/ld-musl-x86_64.so.1',
      'usr/lib/libc.musl-x86_64.so.1',
      'bin/busybox',
      'etc/hosts',
    ]);
    assert.deepEqual(found.names, ['musl', 'musl', 'busybox', null]);
    assert.deepEqual(found.distribution, { id: 'alpine', version: '3.20.3' });
    assert.deepEqual(found.owners.get('bin/busybox'), {
      kind: 'apk',
      name: 'busybox',
      version: '1.36.1-r29',
      architecture: 'x86_64',
      licence: 'GPL-2.0-only',
    });
  });

  it('has no blocks that are cut or come again', () => {
    const text = `${INSTALLED}P:musl\nV:9\nF:x\nR:again\n\nP:no version\nF:x\nR:y\n\nP:bad\x01\nV:1\n\nV:1\nF:x\n\nP:last\nV:2\nF:d\nR:f`;
    const claims: (readonly [string, string])[] = [];
    const odd = readInstalled(text, (path, { name }) => void claims.push([name, path]));
    assert.deepEqual(claims, [
      ['musl', 'lib/ld-musl-x86_64.so.1'],
      ['musl', 'lib/libc.musl-x86_64.so.1'],
      ['busybox', 'bin/busybox'],
      ['last', 'd/f'],
    ]);
    assert.equal(odd, 4);
  });

  it('ends', () => {
    const text = Array.from({ length: 40_000 }, (_, i) => `P:p${i}\nV:1\nF:d\nR:f\n`).join('\n');
    let count = 0;
    assert.equal(
      readInstalled(text, () => {
        count++;
      }),
      5_000,
    );
    assert.equal(count, 35_000);
  });
});

describe('a package URL', () => {
  it('is as its specification has it', () => {
    const more = { kind: 'deb', architecture: 'amd64', licence: null } as const;
    assert.equal(
      packageUrl({ ...more, name: 'g++', version: '1:2.0~a+b-1' }, { id: null, version: null }),
      'pkg:deb/debian/g%2B%2B@1:2.0~a%2Bb-1?arch=amd64',
    );
    assert.equal(
      packageUrl(
        { ...more, kind: 'apk', name: "o'x(*)", version: '1', architecture: '' },
        { id: 'alpine', version: '3.20' },
      ),
      'pkg:apk/alpine/o%27x%28%2A%29@1?distro=alpine-3.20',
    );
  });
});
