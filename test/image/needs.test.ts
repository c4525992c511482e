/** What the rules add to an image, but for libraries: as the kernel, glibc, PAM and modprobe look. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync, zstdCompressSync } from 'node:zlib';

import { operationBit } from '../../src/common/words.ts';
import { matches } from '../../src/image/needs/glob.ts';
import { parsePam } from '../../src/image/needs/pam.ts';
import { RULES } from '../../src/image/needs/rule.ts';
import { parseEnv, parseShebang } from '../../src/image/needs/scripts.ts';
import { planImage, type PlanOptions } from '../../src/image/plan.ts';
import { makeElf } from './make-elf.ts';
import { MemoryTree, type Node } from './memory-tree.ts';
import {
  added,
  BASE,
  libraries,
  library,
  messages,
  plan,
  program,
  script,
} from './needs-support.ts';

describe('scripts', () => {
  it('bring their interpreter and what it needs; only those that may run', async () => {
    const made = await plan(
      {
        bin: { to: 'usr/bin' },
        'usr/bin/sh': program(['libc.so.6']),
        'usr/lib/libc.so.6': library('libc.so.6'),
        'usr/bin/env': program([]),
        'usr/bin/python3': { to: 'python3.11' },
        'usr/bin/python3.11': program([]),
        'usr/local/bin/node': { content: 'not executable', mode: 0o644 },
        'usr/sbin/node': program([]),
        a: script('#! /bin/sh -e\n'),
        b: script('#!/usr/bin/env python3\n'),
        c: script('#!/usr/bin/env -S FOO=1 node --flag\n'),
        d: script('#!/opt/lang\n'),
        e: script('#!/usr/bin/env ruby\n'),
        'etc/sourced': '#!/bin/zsh\n',
      },
      ['a', 'b', 'c', 'd', 'e', 'etc/sourced'],
    );
    assert.deepEqual(libraries(made), {
      'usr/bin/env': 'interpreter-of e',
      'usr/bin/python3.11': 'interpreter-of b',
      'usr/bin/sh': 'interpreter-of a',
      'usr/lib/libc.so.6': 'needed-by usr/bin/sh',
      'usr/sbin/node': 'interpreter-of c',
    });
    assert.deepEqual(messages(made), [
      'missing-script-interpreter: 2 interpreters that scripts in the image ask for are not in the root: ' +
        '/opt/lang (for /d), ruby (for /e)',
    ]);
  });

  it('are read as the kernel reads their first line', () => {
    const parse = (text: string) => parseShebang(Buffer.from(text, 'latin1'));
    assert.deepEqual(parse('#!/bin/a'), { interpreter: '/bin/a', argument: null });
    assert.deepEqual(parse('#! \t/bin/a\t -x  y \t\nz'), {
      interpreter: '/bin/a',
      argument: '-x  y',
    });
    assert.deepEqual(parse('#!/bin/a\0 b\n'), { interpreter: '/bin/a', argument: null });
    assert.equal(parse('#!\n/bin/a'), null);
    assert.equal(parse(' #!/bin/a\n'), null);
    assert.equal(parse(`#!/${'a'.repeat(300)}\n`), null);
    assert.equal(parse(`#!/bin/a ${'b'.repeat(300)}\n`)?.interpreter, '/bin/a');
  });

  it('are started by env as env reads its argument', () => {
    for (const [argument, program] of [
      ['python3', 'python3'],
      ['-S python3 -u', 'python3'],
      ['-vS -i A=1 B=2 perl -w', 'perl'],
      ['-S -u HOME -- "my prog" x', 'my prog'],
      ['--split-string=bash -e', 'bash'],
      ["-S 'a'\\_b", 'a'],
      ['-S "a\\_b"', 'a b'],
      ["-S 'a\\\\' -x", 'a\\'],
      ["-S 'a\\q'", 'a\\q'],
      ['-Sa\\cb', 'a'],
      ['-S # a', null],
      ['-S A#1=2 a#b', 'a#b'],
      ['-S ${HOME}/a', null],
      ['-S A=${HOME} a ${X}', 'a'],
      ['-S $HOME', null],
      ['-S a\\', null],
      ['-S a\\q', null],
      ['-S "a', null],
      ["-S ''", null],
      ['-S -iu HOME --chdir / a', 'a'],
      ['-S -i -S "b c"', 'b'],
      ['-S A=1 -i', '-i'],
      ['--split-string bash', null],
      ['-i', null],
      ['A=1', null],
      ['-S A=1', null],
    ] as const)
      assert.equal(parseEnv(argument), program, argument);
  });
});

describe('services', () => {
  const base: Readonly<Record<string, Node>> = {
    p: program([]),
    'usr/lib/libnss_files.so.2': library('libnss_files.so.2'),
    'usr/lib/libnss_ldap.so.2': library('libnss_ldap.so.2', ['libldap.so']),
    'usr/lib/libldap.so': library('libldap.so'),
    'usr/lib/libnss_other.so.2': library('libnss_other.so.2'),
    'etc/nsswitch.conf': '# other\npasswd: files [NOTFOUND=return other] ldap\nhosts:\tgone#x\n',
  };

  it('of nsswitch.conf bring their modules, if that file is in the image', async () => {
    const made = await plan(base, ['p', 'etc/nsswitch.conf']);
    assert.deepEqual(libraries(made), {
      'usr/lib/libldap.so': 'needed-by usr/lib/libnss_ldap.so.2',
      'usr/lib/libnss_files.so.2': 'named-by etc/nsswitch.conf',
      'usr/lib/libnss_ldap.so.2': 'named-by etc/nsswitch.conf',
    });
    assert.deepEqual(messages(made), []);
    assert.deepEqual(libraries(await plan(base, ['p'])), {});
    const off = await plan(base, ['p', 'etc/nsswitch.conf'], { without: ['nss'] });
    assert.deepEqual(libraries(off), {});
  });

  it('of pam.d bring their modules and the files they include', async () => {
    const nodes = {
      p: program([]),
      'etc/pam.d/sshd':
        '@include common\nauth include more # x\n-session optional pam_gone.so\n' +
        'session required pam_limits.so conf=/etc/own.conf dir=/etc/pam.d x=/etc/none\n' +
        'auth [success=1 default=ignore] pam_unix.so nullok\nauth required pam_lost.so\n',
      'etc/pam.d/common': 'account required \\\n /opt/pam_own.so debug\n',
      'usr/lib/pam.d/more': 'auth substack sshd\npassword optional pam_quiet.so\n',
      'etc/pam.d/unused': 'auth required pam_deny.so\n',
      'usr/lib/x86_64-linux-gnu/security/pam_unix.so': library('pam_unix.so', ['libcrypt.so']),
      'usr/lib/x86_64-linux-gnu/security/pam_deny.so': library('pam_deny.so'),
      'usr/lib/libcrypt.so': library('libcrypt.so'),
      'opt/pam_own.so': library('pam_own.so'),
      'usr/lib/security/pam_limits.so': library('pam_limits.so'),
      'etc/own.conf': 'x',
      'etc/security/limits.conf': 'x',
      'etc/security/limits.d/a.conf': 'x',
      'etc/security/limits.d/README': 'x',
      'etc/security/time.conf': 'x',
      'etc/security/pam_unix.conf': 'x',
    };
    const made = await plan(nodes, ['p', 'etc/pam.d/sshd']);
    assert.deepEqual(libraries(made), {
      'etc/own.conf': 'named-by etc/pam.d/sshd',
      'etc/pam.d/common': 'named-by etc/pam.d/sshd',
      'etc/security/limits.conf': 'needed-by usr/lib/security/pam_limits.so',
      'etc/security/limits.d/a.conf': 'needed-by usr/lib/security/pam_limits.so',
      'etc/security/pam_unix.conf': 'needed-by usr/lib/x86_64-linux-gnu/security/pam_unix.so',
      'opt/pam_own.so': 'named-by etc/pam.d/common',
      'usr/lib/libcrypt.so': 'needed-by usr/lib/x86_64-linux-gnu/security/pam_unix.so',
      'usr/lib/pam.d/more': 'named-by etc/pam.d/sshd',
      'usr/lib/security/pam_limits.so': 'named-by etc/pam.d/sshd',
      'usr/lib/x86_64-linux-gnu/security/pam_unix.so': 'named-by etc/pam.d/sshd',
    });
    assert.match(
      messages(made).join(),
      /^missing-pam: 1 .*pam_lost\.so \(for \/etc\/pam\.d\/sshd\)$/,
    );
    assert.deepEqual(parsePam('login auth required x.so\n', true).modules, [
      { name: 'x.so', optional: false, settings: [] },
    ]);
  });

  it('of iconv bring the indexes, where a conversion was used', async () => {
    const made = await plan(
      {
        'usr/lib/gconv/KOI8-R.so': library('KOI8-R.so'),
        'usr/lib/gconv/UTF-7.so': library('UTF-7.so'),
        'usr/lib/gconv/gconv-modules': 'module',
        'usr/lib/gconv/gconv-modules.d/extra.conf': 'module',
        'usr/lib/gconv/gconv-modules.d/README': '',
      },
      ['usr/lib/gconv/KOI8-R.so'],
    );
    assert.deepEqual(added(made), {
      'usr/lib/gconv/gconv-modules': 'index-of usr/lib/gconv/KOI8-R.so',
      'usr/lib/gconv/gconv-modules.d/extra.conf': 'index-of usr/lib/gconv/KOI8-R.so',
    });
  });
});

describe('fstab', () => {
  const fstab =
    '# comment /no\n\ntmpfs\t/var/log tmpfs mode=755 0 0\n /dev/sda1  /srv/a\\040b ext4\n' +
    'swap none swap\nshort\ntmpfs /gone tmpfs\nx ../no x\nx /lost/../no x\nx /etc/../../mnt x\nx /data x\n';
  const nodes: Readonly<Record<string, Node>> = {
    'etc/fstab': { to: 'tables/nfs' },
    'etc/tables/nfs': fstab,
    'var/log/old': 'x',
    'srv/a b/x': 'x',
    no: { type: 'directory' },
    mnt: { type: 'directory' },
    data: { to: 'real' },
    real: { type: 'directory' },
  };
  const folders = async (more: Partial<PlanOptions> = {}): Promise<string[]> => {
    const { entries } = await plan(nodes, ['etc/fstab'], more);
    return entries
      .filter(({ reasons }) => reasons.some(({ kind }) => kind === 'named-by'))
      .map(({ path }) => path.toString('latin1'));
  };

  it('brings the mount points that it names, without what is in them', async () => {
    assert.deepEqual(await folders(), ['mnt', 'real', 'srv/a b', 'var/log']);
    assert.deepEqual(await folders({ without: ['fstab'] }), []);
  });
});

describe('what Python has compiled', () => {
  const nodes: Readonly<Record<string, Node>> = {
    'usr/lib/python3/os.py': 'source',
    'usr/lib/python3/__pycache__/os.cpython-311.pyc': 'compiled',
    'usr/lib/python3/json/__init__.py': 'source',
    'usr/lib/python3/json/__pycache__/__init__.cpython-311.opt-2.pyc': 'compiled',
    'usr/lib/python3/unused.py': 'source',
    'usr/lib/python3/__pycache__/lost.cpython-311.pyc': 'compiled',
    'usr/lib/python3/old.pyc': 'compiled',
    'usr/lib/python3/old.py': 'source',
    '__pycache__/top.pypy39.pyc': 'compiled',
    'top.py': 'source',
  };
  const used = Object.keys(nodes).filter((path) => path.endsWith('.pyc'));

  it('brings its source, of the same name and folder', async () => {
    assert.deepEqual(added(await plan(nodes, used)), {
      'top.py': 'needed-by __pycache__/top.pypy39.pyc',
      'usr/lib/python3/json/__init__.py':
        'needed-by usr/lib/python3/json/__pycache__/__init__.cpython-311.opt-2.pyc',
      'usr/lib/python3/os.py': 'needed-by usr/lib/python3/__pycache__/os.cpython-311.pyc',
    });
  });

  it('brings nothing if that is switched off', async () => {
    assert.deepEqual(added(await plan(nodes, used, { without: ['python'] })), {});
  });
});

describe('kernel modules', () => {
  const ko = (...firmware: string[]): string =>
    makeElf({ modinfo: firmware.map((name) => `firmware=${name}`) });
  const packed = (pack: (bytes: Buffer) => Buffer, text: string): string =>
    pack(Buffer.from(text, 'latin1')).toString('latin1');
  const at = 'usr/lib/modules/6.1';
  const nodes: Readonly<Record<string, Node>> = {
    lib: { to: 'usr/lib' },
    [`${at}/kernel/net.ko`]: ko('net/a.bin', 'net/gone.bin', 'net/b*.bin', '../../etc/shadow'),
    [`${at}/kernel/mii.ko.gz`]: packed(gzipSync, ko('mii.bin')),
    [`${at}/kernel/crc-x.ko.zst`]: packed(zstdCompressSync, ko('crc.bin')),
    [`${at}/kernel/old.ko`]: ko(),
    [`${at}/kernel/unused.ko`]: ko(),
    [`${at}/modules.dep`]:
      'kernel/net.ko: kernel/mii.ko.gz kernel/old.ko\nkernel/mii.ko.gz:\n' +
      'kernel/crc-x.ko.zst:\nkernel/old.ko:\nkernel/unused.ko:\n',
    [`${at}/modules.softdep`]: '# x\nsoftdep net pre: crc_x post: built_in\n',
    [`${at}/modules.dep.bin`]: 'b',
    [`${at}/modules.alias`]: 'text',
    [`${at}/modules.builtin`]: '',
    'etc/shadow': 'secret',
    'usr/lib/firmware/net/a.bin.xz': 'f',
    'usr/lib/firmware/updates/net/b1.bin': 'f',
    'usr/lib/firmware/net/b2.bin': 'f',
    'usr/lib/firmware/mii.bin': 'f',
    'usr/lib/firmware/crc.bin': 'f',
  };

  it('bring their dependencies, the indexes and their firmware', async () => {
    const made = await plan(nodes, ['lib/modules/6.1/kernel/net.ko']);
    assert.deepEqual(added(made), {
      'usr/lib/firmware/crc.bin': `firmware-of ${at}/kernel/crc-x.ko.zst`,
      'usr/lib/firmware/mii.bin': `firmware-of ${at}/kernel/mii.ko.gz`,
      'usr/lib/firmware/net/a.bin.xz': `firmware-of ${at}/kernel/net.ko`,
      'usr/lib/firmware/updates/net/b1.bin': `firmware-of ${at}/kernel/net.ko`,
      [`${at}/kernel/crc-x.ko.zst`]: `needed-by ${at}/kernel/net.ko`,
      [`${at}/kernel/mii.ko.gz`]: `needed-by ${at}/kernel/net.ko`,
      [`${at}/kernel/old.ko`]: `needed-by ${at}/kernel/net.ko`,
      [`${at}/modules.alias`]: `index-of ${at}/kernel/net.ko`,
      [`${at}/modules.builtin`]: `index-of ${at}/kernel/net.ko`,
      [`${at}/modules.dep.bin`]: `index-of ${at}/kernel/net.ko`,
      [`${at}/modules.softdep`]: `index-of ${at}/kernel/net.ko`,
    });
    assert.deepEqual(messages(made), []);
  });

  it('bring what they load by an alias, and busybox the indexes that it reads', async () => {
    const more: Readonly<Record<string, Node>> = {
      ...nodes,
      [`${at}/modules.softdep`]: 'softdep net pre: crc32c\n',
      [`${at}/modules.alias`]: 'alias crc32? unused\nalias crc32c unused\nalias crc32c crc_x\n',
    };
    const files = async (all: Readonly<Record<string, Node>>): Promise<string[]> =>
      Object.keys(added(await plan(all, ['lib/modules/6.1/kernel/net.ko']))).filter((path) =>
        /unused|crc-x|modules\.dep/.test(path),
      );
    const found = [`${at}/kernel/crc-x.ko.zst`, `${at}/kernel/unused.ko`];
    assert.deepEqual(await files(more), [...found, `${at}/modules.dep.bin`]);
    const kmod = { 'usr/bin/kmod': program([]), 'usr/sbin/modprobe': { to: '../bin/kmod' } };
    assert.deepEqual(await files({ ...more, ...kmod }), [...found, `${at}/modules.dep.bin`]);
    const busybox = { 'bin/busybox': program([]), 'sbin/modprobe': { to: '../bin/busybox' } };
    const both = [`${at}/modules.dep`, `${at}/modules.dep.bin`];
    assert.deepEqual(await files({ ...more, ...busybox }), [...found, ...both]);
  });

  it('do so by two rules', async () => {
    const used = [`${at}/kernel/net.ko`];
    const kinds = async (without: PlanOptions['without']): Promise<string[]> => {
      const made = await plan(nodes, used, { without });
      return [...new Set(Object.values(added(made)).map((one) => one.split(' ')[0] ?? ''))].sort();
    };
    assert.deepEqual(await kinds(['firmware']), ['index-of', 'needed-by']);
    assert.deepEqual(await kinds(['modules']), ['firmware-of']);
    assert.deepEqual(await kinds(['modules', 'firmware']), []);
  });

  it('that others depend on are missing by name, but not what they can do without', async () => {
    const lacking = {
      ...nodes,
      [`${at}/modules.dep`]:
        'kernel/net.ko: kernel/mii.ko.gz kernel/gone.ko\nkernel/mii.ko.gz:\nkernel/soft.ko:\n',
      [`${at}/modules.softdep`]: 'softdep net pre: soft\n',
    };
    const used = [`${at}/kernel/net.ko`];
    assert.deepEqual(messages(await plan(lacking, used)), [
      'missing-module: 1 kernel modules that modules in the image depend on are not in the root: ' +
        `/${at}/kernel/gone.ko (for /${at}/kernel/net.ko)`,
    ]);
    assert.deepEqual(messages(await plan(lacking, used, { without: ['modules'] })), []);
  });

  it('are told of if the list of what they depend on is damaged; its sound lines count', async () => {
    for (const line of ['\0\xfe\0', 'kernel/mii.ko.gz', 'kernel/mi', 'a.ko: b.ko: c.ko']) {
      const damaged = { ...nodes, [`${at}/modules.dep`]: `kernel/net.ko: kernel/old.ko\n${line}` };
      const made = await plan(damaged, [`${at}/kernel/net.ko`]);
      assert.ok(`${at}/kernel/old.ko` in added(made));
      assert.deepEqual(messages(made), [
        'not-looked-into: 1 reasons why files could not be looked into for what they need: ' +
          `lines that depmod does not write (for /${at}/modules.dep)`,
      ]);
    }
  });

  it('that cannot be unpacked are told of', async () => {
    const made = await plan({ [`${at}/x.ko.gz`]: 'no', [`${at}/y.ko`]: 'no' }, [
      `${at}/x.ko.gz`,
      `${at}/y.ko`,
    ]);
    assert.match(messages(made).join(), /x\.ko\.gz.*y\.ko|y\.ko.*x\.ko\.gz/);
  });
});

describe('the rules together', () => {
  it('add nothing when all are off', async () => {
    const nodes = {
      p: program(['liba.so']),
      'usr/lib/liba.so': library('liba.so'),
      s: script('#!/p\n'),
    };
    const made = await plan(nodes, ['p', 's'], { without: RULES });
    assert.deepEqual(added(made), {});
    assert.deepEqual(messages(made), []);
  });

  it('do not bring back what the session made', async () => {
    const tree = new MemoryTree({
      ...BASE,
      p: program(['liba.so']),
      'usr/lib/liba.so': library('liba.so'),
    });
    const read = operationBit('read');
    const files = [
      { path: Buffer.from('p'), operations: read },
      { path: Buffer.from('usr/lib/liba.so'), operations: read, created: true },
    ];
    assert.deepEqual(libraries(await planImage({ tree, files, mountPoints: [], devices: [] })), {});
  });

  it('cost no more looks than programs, libraries and directories ask for', async () => {
    const nodes: Record<string, Node> = { ...BASE, 'usr/lib/libc.so.6': library('libc.so.6') };
    const count = 300;
    for (let i = 0; i < count; i++) {
      nodes[`bin/p${i}`] = program([`lib${i}.so`, 'libc.so.6']);
      // Each needs the one before: chains of any length.
      nodes[`usr/lib/lib${i}.so`] = library(`lib${i}.so`, i > 0 ? [`lib${i - 1}.so`] : []);
    }
    const tree = new MemoryTree(nodes);
    const files = Array.from({ length: count }, (_, i) => ({
      path: Buffer.from(`bin/p${i}`),
      operations: operationBit('read'),
    }));
    const made = await planImage({ tree, files, mountPoints: [], devices: [] });
    assert.equal(Object.keys(libraries(made)).length, count + 1);
    assert.ok(tree.looks < 6 * count, `${tree.looks} looks`);
  });
});

describe('patterns', () => {
  it('match as glob(3) does, and none takes long', () => {
    for (const [pattern, name, expected] of [
      ['*.conf', 'a.conf', true],
      ['*.conf', '.conf', false],
      ['.*f', '.conf', true],
      ['a?c', 'abc', true],
      ['a[b-d]*', 'acx', true],
      ['a[!b]', 'ab', false],
      ['a[]b]', 'a]', true],
      ['a[', 'a[', true],
      ['\\*', '*', true],
      ['a*b*c', 'axxbyyc', true],
      ['', '', true],
    ] as const)
      assert.equal(matches(pattern, name), expected, `${pattern} ${name}`);
    assert.equal(matches(`${'*a'.repeat(100)}b`, 'a'.repeat(255)), false);
  });
});
