/** Libraries: what glibc's and musl's loaders would find in the root. */
import assert from 'node:assert/strict';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readlinkSync,
  realpathSync,
  symlinkSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { describe, it } from 'node:test';

import { operationBit } from '../../src/common/words.ts';
import { planImage } from '../../src/image/plan.ts';
import { type ElfShape, makeElf } from './make-elf.ts';
import type { Node } from './memory-tree.ts';
import { added, libraries, library, messages, plan, program } from './needs-support.ts';
import { openTree, run, temporaryFolder } from './support.ts';

describe('libraries', () => {
  it('come with the interpreter, breadth first, each once, with the links on the way', async () => {
    const made = await plan(
      {
        lib: { to: 'usr/lib' },
        'bin/p': program(['liba.so.1', 'libb.so.1']),
        'usr/lib/x86_64-linux-gnu/liba.so.1': { to: 'liba.so.1.5' },
        'usr/lib/x86_64-linux-gnu/liba.so.1.5': library('liba.so.1', ['libb.so.1', 'libc.so.6']),
        'usr/lib/libb.so.1': library('libb.so.1', ['liba.so.1']),
        'usr/lib/x86_64-linux-gnu/libc.so.6': library('libc.so.6', ['ld-linux-x86-64.so.2']),
        'usr/lib/libunused.so': library('libunused.so'),
      },
      ['bin/p'],
    );
    assert.deepEqual(added(made), {
      'lib64/ld-linux-x86-64.so.2': 'interpreter-of bin/p',
      'usr/lib/libb.so.1': 'needed-by bin/p',
      'usr/lib/x86_64-linux-gnu/liba.so.1.5': 'needed-by bin/p',
      'usr/lib/x86_64-linux-gnu/libc.so.6': 'needed-by usr/lib/x86_64-linux-gnu/liba.so.1.5',
    });
    const names = made.entries.map(({ path }) => path.toString());
    assert.ok(names.includes('lib') && names.includes('usr/lib/x86_64-linux-gnu/liba.so.1'));
    assert.deepEqual(messages(made), []);
  });

  it('are looked for by RPATH, which is inherited, and by RUNPATH, which is not', async () => {
    const nodes = (words: ElfShape): Record<string, Node> => ({
      'opt/p': program(['liba.so'], words),
      'opt/own/liba.so': library('liba.so', ['libb.so']),
      'opt/own/libb.so': library('libb.so'),
      'usr/lib/libb.so': library('libb.so'),
    });
    const at = async (words: ElfShape): Promise<string[]> =>
      Object.keys(libraries(await plan(nodes(words), ['opt/p'])));
    assert.deepEqual(await at({ rpath: '/opt/own' }), ['opt/own/liba.so', 'opt/own/libb.so']);
    assert.deepEqual(await at({ runpath: '/opt/own' }), ['opt/own/liba.so', 'usr/lib/libb.so']);
    // Beside a RUNPATH an RPATH counts for nothing.
    assert.deepEqual(await at({ rpath: '/no', runpath: '/opt/own' }), [
      'opt/own/liba.so',
      'usr/lib/libb.so',
    ]);
  });

  it('find $ORIGIN, $LIB and $PLATFORM, of the path by which an object was opened', async () => {
    const made = await plan(
      {
        'opt/bin/p': program(['liba.so', 'libl.so', 'libp.so'], {
          runpath: '$ORIGIN/../lib:/opt/${LIB}:/opt/$PLATFORM:/opt/$PLATFORMS:relative',
        }),
        'opt/lib/liba.so': { to: '/srv/real/liba.so' },
        'srv/real/liba.so': library('liba.so', ['libb.so'], { runpath: '${ORIGIN}/more' }),
        'opt/lib/more/libb.so': library('libb.so'),
        'opt/lib64/libl.so': library('libl.so'),
        'opt/x86_64/libp.so': library('libp.so'),
        'relative/libp.so': library('libp.so'),
      },
      ['opt/bin/p'],
    );
    assert.deepEqual(libraries(made), {
      'opt/lib/more/libb.so': 'needed-by srv/real/liba.so',
      'opt/lib64/libl.so': 'needed-by opt/bin/p',
      'opt/x86_64/libp.so': 'needed-by opt/bin/p',
      'srv/real/liba.so': 'needed-by opt/bin/p',
    });
    assert.deepEqual(messages(made), []);
  });

  it('are looked for where /etc/ld.so.conf says, in its order, cycles and all', async () => {
    const made = await plan(
      {
        p: program(['liba.so', 'libb.so', 'libc.so']),
        'etc/ld.so.conf':
          '# comment\ninclude ld.so.conf.d/*.conf\ninclude /etc/ld.so.conf\n/third\n',
        'etc/ld.so.conf.d/b.conf': '/second # why\n',
        'etc/ld.so.conf.d/a.conf': '/first\ninclude /etc/ld.so.conf.d/a.conf\n',
        'etc/ld.so.conf.d/.hidden.conf': '/hidden\n',
        'etc/ld.so.cache': 'cache',
        'first/liba.so': library('liba.so'),
        'second/liba.so': library('liba.so'),
        'second/libb.so': library('libb.so'),
        'third/libb.so': library('libb.so'),
        'third/libc.so': library('libc.so'),
        'hidden/libc.so': library('libc.so'),
      },
      ['p'],
    );
    assert.deepEqual(libraries(made), {
      'etc/ld.so.cache': 'needed-by p',
      'first/liba.so': 'needed-by p',
      'second/libb.so': 'needed-by p',
      'third/libc.so': 'needed-by p',
    });
  });

  it('of another class, order or machine are passed over, and what is no ELF', async () => {
    const made = await plan(
      {
        p: program(['liba.so'], { rpath: '/1:/2:/3:/4:/5' }),
        '1/liba.so': library('liba.so', [], { bits: 32, machine: 3 }),
        '2/liba.so': library('liba.so', [], { machine: 183 }),
        '3/liba.so': library('liba.so', [], { order: 'big' }),
        '4/liba.so': '/* GNU ld script */',
        '5/liba.so': library('liba.so'),
      },
      ['p'],
    );
    assert.deepEqual(libraries(made), { '5/liba.so': 'needed-by p' });
  });

  it('for other processors come along with the plain one', async () => {
    const nodes = {
      p: program(['liba.so.1']),
      'usr/lib/liba.so.1': library('liba.so.1', ['libb.so']),
      'usr/lib/glibc-hwcaps/x86-64-v3/liba.so.1': library('liba.so.1', ['libb.so', 'libv3.so']),
      'usr/lib/glibc-hwcaps/x86-64-v2/liba.so.1': library('liba.so.1', ['libb.so']),
      'usr/lib/glibc-hwcaps/x86-64-v4/libother.so': library('libother.so'),
      'usr/lib/libb.so': library('libb.so'),
      'usr/lib/libv3.so': library('libv3.so'),
    };
    assert.deepEqual(libraries(await plan(nodes, ['p'])), {
      'usr/lib/glibc-hwcaps/x86-64-v2/liba.so.1': 'hwcaps-of usr/lib/liba.so.1',
      'usr/lib/glibc-hwcaps/x86-64-v3/liba.so.1': 'hwcaps-of usr/lib/liba.so.1',
      'usr/lib/liba.so.1': 'needed-by p',
      'usr/lib/libb.so': 'needed-by usr/lib/liba.so.1',
      'usr/lib/libv3.so': 'needed-by usr/lib/glibc-hwcaps/x86-64-v3/liba.so.1',
    });
    // A client with the better processor read only the better one.
    const seen = ['p', 'usr/lib/glibc-hwcaps/x86-64-v3/liba.so.1'];
    assert.equal(added(await plan(nodes, seen))['usr/lib/liba.so.1'], 'needed-by p');
    const plain = libraries(await plan(nodes, ['p'], { without: ['hwcaps'] }));
    assert.deepEqual(Object.keys(plain), ['usr/lib/liba.so.1', 'usr/lib/libb.so']);
  });

  it('that are nowhere are a problem, one for all of them, counted', async () => {
    const nodes: Record<string, Node> = { q: program(['libx.so.1'], { interpreter: '/lib/no' }) };
    for (let i = 0; i < 8; i++) nodes[`p${i}`] = program(['libx.so.1', `lib${i}.so`]);
    assert.deepEqual(messages(await plan(nodes, Object.keys(nodes))), [
      'missing-interpreter: 1 interpreters that programs in the image ask for are not in the root: /lib/no (for /q)',
      'missing-library: 9 libraries that files in the image need are not where their loader looks in the root: ' +
        'lib0.so (for /p0), lib1.so (for /p1), lib2.so (for /p2), lib3.so (for /p3), lib4.so (for /p4), and 4 more',
    ]);
  });

  it('of a plugin may be in memory already; a program has no such excuse', async () => {
    const nodes = {
      p: program(['libcore.so'], { runpath: '/opt/private' }),
      'opt/private/libcore.so': library('libcore.so'),
      'opt/plugin.so': library('plugin.so', ['libcore.so', 'libgone.so']),
      q: program(['libcore.so']),
    };
    assert.match(
      messages(await plan(nodes, ['p', 'opt/plugin.so'])).join(),
      /missing-library: 1 .*libgone\.so \(for \/opt\/plugin\.so\)$/,
    );
    assert.match(messages(await plan(nodes, ['p', 'q'])).join(), /libcore\.so \(for \/q\)$/);
  });

  it('are as the program finds them, not as a library would by itself', async () => {
    const nodes = {
      p: program(['libone.so', 'libtwo.so'], { runpath: '/opt' }),
      'opt/libone.so': library('libone.so', ['libtwo.so']),
      'opt/libtwo.so': library('libtwo.so'),
      'usr/lib/libtwo.so': library('libtwo.so'),
    };
    const used = ['p', 'opt/libone.so'];
    for (const order of [used, used.toReversed()])
      assert.deepEqual(libraries(await plan(nodes, order)), { 'opt/libtwo.so': 'needed-by p' });
  });

  it('leave default directories alone under NODEFLIB, but not configured ones', async () => {
    const made = await plan(
      {
        p: program(['liba.so', 'libb.so'], { flags1: 0x800 }),
        'etc/ld.so.conf': '/usr/lib\n/opt/lib\n',
        'usr/lib/liba.so': library('liba.so'),
        'opt/lib/libb.so': library('libb.so'),
      },
      ['p'],
    );
    assert.deepEqual(libraries(made), { 'opt/lib/libb.so': 'needed-by p' });
    assert.match(messages(made).join(), /liba\.so/);
  });

  it('that /etc/ld.so.preload names come with every program', async () => {
    const made = await plan(
      {
        p: program(['liba.so']),
        'etc/ld.so.preload': '/opt/pre.so:libz.so # odd\n/gone.so',
        'opt/pre.so': library('pre.so', ['libdeep.so']),
        'usr/lib/libz.so': library('libz.so'),
        'usr/lib/libdeep.so': library('libdeep.so'),
        'usr/lib/liba.so': library('liba.so'),
      },
      ['p'],
    );
    assert.deepEqual(Object.keys(libraries(made)).sort(), [
      'etc/ld.so.preload',
      'opt/pre.so',
      'usr/lib/liba.so',
      'usr/lib/libdeep.so',
      'usr/lib/libz.so',
    ]);
    assert.deepEqual(messages(made), []);
  });

  it('are looked for as musl does where musl is the loader', async () => {
    const musl = '/lib/ld-musl-x86_64.so.1';
    const nodes = (more: Record<string, Node>): Record<string, Node> => ({
      'lib/ld-musl-x86_64.so.1': library('libc.musl-x86_64.so.1'),
      p: {
        content: makeElf({
          interpreter: musl,
          needed: ['liba.so', 'libc.musl-x86_64.so.1'],
          runpath: '/opt',
        }),
      },
      'opt/liba.so': library('liba.so', ['libb.so', 'libc.so']),
      // RUNPATH is handed down.
      'opt/libb.so': library('libb.so', ['libd.so']),
      'usr/lib/libd.so': library('libd.so'),
      'srv/libd.so': library('libd.so'),
      'usr/lib64/libd.so': library('libd.so'),
      ...more,
    });
    const first = await plan(nodes({}), ['p']);
    assert.deepEqual(added(first), {
      'lib/ld-musl-x86_64.so.1': 'interpreter-of p',
      'opt/liba.so': 'needed-by p',
      'opt/libb.so': 'needed-by opt/liba.so',
      'usr/lib/libd.so': 'needed-by opt/libb.so',
    });
    assert.deepEqual(messages(first), []);
    const told = added(await plan(nodes({ 'etc/ld-musl-x86_64.path': '/none:/srv\n' }), ['p']));
    assert.equal(told['srv/libd.so'], 'needed-by opt/libb.so');
    assert.equal(told['etc/ld-musl-x86_64.path'], 'needed-by p');
  });

  it('that a program opens later come by their note: the first name of each', async () => {
    const note = [
      { soname: ['libr2.so', 'libr1.so'], priority: 'required' },
      { soname: ['librec.so'], priority: 'recommended' },
      { soname: ['libsug.so'], priority: 'suggested' },
      { soname: ['libgone.so'], priority: 'recommended' },
      { soname: ['libmust.so'], priority: 'required' },
    ];
    const nodes = {
      p: program([], { dlopen: note }),
      'usr/lib/libr1.so': library('libr1.so', ['libdeep.so']),
      'usr/lib/libdeep.so': library('libdeep.so'),
      'usr/lib/librec.so': library('librec.so'),
      'usr/lib/libsug.so': library('libsug.so'),
    };
    const made = await plan(nodes, ['p']);
    assert.deepEqual(libraries(made), {
      'usr/lib/libdeep.so': 'needed-by usr/lib/libr1.so',
      'usr/lib/libr1.so': 'dlopened-by p',
      'usr/lib/librec.so': 'dlopened-by p',
    });
    assert.match(messages(made)[0] ?? '', /^missing-library: 1 .*libmust\.so \(for \/p\)$/);
    assert.match(messages(made)[1] ?? '', /^suggested-library: 1 .*\/usr\/lib\/libsug\.so/);
    assert.deepEqual(libraries(await plan(nodes, ['p'], { without: ['dlopen'] })), {});
  });

  it('that look like ELF and are not are told of', async () => {
    const made = await plan({ bad: makeElf({ needed: ['x'] }).slice(0, 90) }, ['bad']);
    assert.match(messages(made).join(), /^not-looked-into: .*not sound ELF.*\(for \/bad\)$/);
  });
});

/** Copies a file of this machine to the same place in a root, with the links that lead to it. */
function copy(path: string, root: string): string {
  const directory = realpathSync(dirname(path));
  mkdirSync(join(root, directory), { recursive: true });
  const at = join(directory, basename(path));
  if (lstatSync(join(root, at), { throwIfNoEntry: false }) === undefined)
    cpSync(at, join(root, at), { verbatimSymlinks: true });
  return lstatSync(at).isSymbolicLink() ? copy(resolve(directory, readlinkSync(at)), root) : at;
}

describe('the libraries of this machine', () => {
  it('are those that ldd tells of', async (t) => {
    const root = join(temporaryFolder(t), 'root');
    mkdirSync(root);
    for (const name of ['bin', 'sbin', 'lib', 'lib32', 'lib64', 'libx32'])
      if (lstatSync(`/${name}`, { throwIfNoEntry: false })?.isSymbolicLink())
        symlinkSync(readlinkSync(`/${name}`), join(root, name));
    cpSync('/etc/ld.so.conf', join(root, 'etc/ld.so.conf'));
    cpSync('/etc/ld.so.conf.d', join(root, 'etc/ld.so.conf.d'), { recursive: true });
    let compared = 0;
    for (const name of ['bash', 'ls', 'tar', 'ssh', 'perl', 'mount']) {
      const where = `/usr/bin/${name}`;
      if (!existsSync(where)) continue;
      const told = run('ldd', [where]).toString();
      const wanted = [...told.matchAll(/(?:=> |^\t)(\/\S+)/gm)].map(([, path]) => path ?? '');
      const theirs = [where, ...wanted].map((path) => copy(path, root));
      const made = await planImage({
        tree: openTree(t, root),
        files: [{ path: Buffer.from(theirs[0]?.slice(1) ?? ''), operations: operationBit('read') }],
        mountPoints: [],
        devices: [],
      });
      const files = made.entries.filter(({ type }) => type === 'file');
      const ours = files.map(({ path }) => `/${path.toString()}`);
      assert.deepEqual(ours, [...new Set(theirs)].sort(), name);
      compared++;
    }
    assert.ok(compared >= 3, `${compared} programs`);
  });
});
