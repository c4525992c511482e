/**
 * Fuzzers of what reads the files of a root: the rules that follow configuration, and the databases of
 * packages. Owns roots whose files are a little wrong.
 */
import assert from 'node:assert/strict';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import Sqlite from 'better-sqlite3';
import { findPackages } from '../../../src/image/packages/find-packages.ts';
import { packageUrl } from '../../../src/image/packages/package.ts';
import { unreadProblems } from '../../../src/image/packages/unread-problems.ts';
import { Resolver } from '../../../src/image/resolve.ts';
import { makeElf } from '../../image/make-elf.ts';
import { MemoryTree, type Node } from '../../image/memory-tree.ts';
import { BASE, plan, program } from '../../image/needs-support.ts';
import { mutate } from '../mutate.ts';
import type { Random } from '../random.ts';
import type { Target } from '../target.ts';
import { anyElf } from './elf.ts';

const MICROCODE = {
  'usr/lib/firmware/intel-ucode/06-01': '\x01\0\0\0',
  'usr/lib/firmware/amd-ucode/a.bin': 'DMA\0',
};

/** What rules read, as it is on real roots. */
const TEXTS: Readonly<Record<string, string>> = {
  ...MICROCODE,
  'etc/ld.so.conf': 'include /etc/ld.so.conf.d/*.conf\ninclude ld.so.conf.d/[!b-c]?con\\f ld.so.conf.d/[a-c].*\n/opt/lib hwcap 1 nosegneg\n/usr/local/lib # x\n',
  'etc/ld.so.conf.d/a.conf': 'include ../ld.so.conf\n/usr/lib/x86_64-linux-gnu\n=/x\n',
  'etc/ld.so.preload': '/usr/lib/libx.so.1 libm.so.6 # x\n',
  'etc/ld-musl-x86_64.path': '/usr/lib:/x\n/y\n',
  'etc/nsswitch.conf': 'passwd: files systemd [NOTFOUND=return] ldap\nhosts: files dns\ngroup:\tcompat\n',
  'etc/pam.d/sshd': '@include common-auth\nauth [success=1 default=ignore] pam_unix.so nullok\n-session optional pam_x.so \\\n  a\n',
  'etc/pam.d/common-auth': 'auth substack sshd\nauth include other\n@include sshd\n',
  'etc/pam.conf': 'login auth required /lib/security/pam_env.so\n',
  'etc/fstab': '/dev/nfs / nfs rw 0 0\nproc /proc proc defaults 0 0\ntmpfs /with\\040blank tmpfs\n',
  'usr/lib/gconv/gconv-modules': 'alias ISO-IR-4// ISO646-GB//\nmodule ISO646-GB// INTERNAL ISO646 2\n',
  'usr/lib/gconv/gconv-modules.d/x.conf': 'module A// B// ISO646 1\n',
  'usr/lib/modules/6.1/modules.dep': 'kernel/a.ko: kernel/b.ko kernel/c.ko.gz\nkernel/b.ko:\n/abs/x.ko: a\n',
  'usr/lib/modules/6.1/modules.softdep': 'softdep a pre: b post: c-d\n',
  'usr/lib/modules/6.1/modules.alias': 'alias fs-nfs a\nalias pci:v*d* b\n',
  'usr/lib/modules/6.1/modules.builtin': 'kernel/d.ko\n',
  'usr/bin/script': '#! /usr/bin/env -S -i PATH=/x python3 -u\nimport x\n',
  'usr/bin/other': '#!/bin/sh -e\n#\\\nexec tclsh "$0"\n',
  'usr/lib/python3/__pycache__/x.cpython-311.pyc': '\xa7\r\r\n',
}; // prettier-ignore

const WORDS = [
  '\n', '\0', '..', '/', '//', '*', '[', '{', '\\', '#', '@include ', 'include ', '\r\n', ': ', '=', '$ORIGIN',
  '/etc/ld.so.conf', '*/*/*/*', '/proc/self/fd/0', ' '.repeat(300), '\xff\xfe', 'a'.repeat(5000),
]; // prettier-ignore
const ELVES = ['usr/bin/program', 'usr/lib/libx.so.1', 'usr/lib/modules/6.1/kernel/a.ko'];
const PACKED = {
  'usr/lib/modules/6.1/kernel/c.ko.gz': (bytes: Buffer) => gzipSync(bytes),
  'usr/lib/modules/6.1/kernel/d.ko.zst': (bytes: Buffer) => zstdCompressSync(bytes),
};
/** What else there is for them to find. */
const THERE = [
  'usr/bin/env', 'usr/bin/sh', 'usr/bin/python3', 'usr/bin/modprobe', 'usr/lib/security/pam_unix.so', 'x/libc.so.6',
  'usr/lib/gconv/ISO646.so', 'usr/lib/libnss_files.so.2', 'usr/lib/modules/6.1/kernel/b.ko', 'usr/lib/python3/x.py',
  'usr/lib/firmware/a/b.bin', 'usr/lib/x86_64-linux-gnu/libm.so.6', 'usr/lib/modules/6.1/modules.dep.bin',
  'usr/lib/ld-musl-x86_64.so.1', 'lib64/ld-linux-x86-64.so.2',
]; // prettier-ignore
const SEPARATOR = '\0\xff\0file ';

/** A root as one input: paths and contents, so that an input can be shrunk and repeated. */
function anyRoot(random: Random): Buffer {
  const files = Object.entries(TEXTS).map(([path, text]): [string, string] => {
    const bytes = Buffer.from(text, 'latin1');
    return [path, (random.once(3) ? mutate(random, bytes, WORDS) : bytes).toString('latin1')];
  });
  const elves = ELVES.map((path): [string, string] => [path, anyElf(random).toString('latin1')]);
  const packed = Object.entries(PACKED).map(([path, pack]): [string, string] => {
    const bytes = pack(anyElf(random));
    return [path, (random.once(3) ? mutate(random, bytes) : bytes).toString('latin1')];
  });
  return join([...files, ...elves, ...packed]);
}

const join = (files: readonly (readonly [string, string])[]): Buffer =>
  Buffer.from(files.map(([path, text]) => `${SEPARATOR}${path}\n${text}`).join(''), 'latin1');

function filesOf(input: Buffer): Record<string, string> {
  const files: Record<string, string> = {};
  for (const one of input.toString('latin1').split(SEPARATOR)) {
    const end = one.indexOf('\n');
    const path = end < 0 ? '' : one.slice(0, end);
    // What shrinking has left of a path may be none.
    if (/^[a-z][^\0]*[^/]$/.test(path) && !/\/\.{0,2}(\/|$)/.test(path))
      files[path] = one.slice(end + 1);
  }
  return files;
}

const LINKS: Readonly<Record<string, Node>> = {
  lib: { to: 'usr/lib' },
  bin: { to: 'usr/bin' },
  'usr/lib/loop': { to: 'loop' },
  'usr/lib/libup.so': { to: '../../../../etc/passwd' },
};

const needs: Target = {
  name: 'root-needs',
  reads:
    'what the rules read of a root: ELF, ld.so.conf, nsswitch, PAM, fstab, gconv, modules, scripts',
  make: anyRoot,
  run: async (input) => {
    const nodes: Record<string, Node> = { ...LINKS };
    for (const path of THERE) nodes[path] = { content: makeElf({}), mode: 0o755 };
    for (const [path, content] of Object.entries(filesOf(input)))
      if (LINKS[path] === undefined) nodes[path] = { content, mode: 0o755 };
    const used = Object.keys(nodes);
    nodes['usr/bin/good'] = program(['libx.so.1']);
    const { entries } = await plan(nodes, [...used, 'usr/bin/good'], { earlyMicrocode: true });
    const known = new Set(entries.map(({ path }) => path.toString('latin1')));
    assert.ok(known.has('usr/bin/good'));
    for (const path of known)
      assert.ok(
        !/(^|\/)(\.\.?|)(\/|$)/.test(path) || path === '',
        `an entry ${JSON.stringify(path)}`,
      );
  },
};

const STATUS = [
  'Package: libc6\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: same\nVersion: 2.36-9\nConffiles:\n /etc/x 0123\nDescription: x\n .\n y\n',
  'Package: gone\nStatus: deinstall ok config-files\nVersion: 1\nArchitecture: all\n',
].join('\n'); // prettier-ignore
const DATABASES: Readonly<Record<string, string>> = {
  'etc/os-release': 'ID=debian\nVERSION_ID="12"\n',
  'var/lib/dpkg/status': STATUS,
  'var/lib/dpkg/info/libc6:amd64.list': '/.\n/usr\n/usr/lib\n/usr/lib/libc.so.6\n/bin/x\n',
  'var/lib/dpkg/diversions': '/usr/bin/x\n/usr/bin/x.distrib\n:\n/bin/y\n/bin/z\ndash\n',
  'lib/apk/db/installed': 'C:Q1x=\nP:musl\nV:1.2.4-r2\nA:x86_64\nL:MIT\nF:lib\nR:ld-musl.so.1\na:0:0:755\nF:\nR:x\n\n',
}; // prettier-ignore

/** One of rpm's headers: tags with values, in the order of the data. */
function rpmHeader(random: Random): Buffer {
  const values: [tag: number, type: number, count: number, data: Buffer][] = [
    [1000, 6, 1, Buffer.from('bash\0')],
    [1001, 6, 1, Buffer.from('5.2\0')],
    [1002, 6, 1, Buffer.from('1.fc40\0')],
    [1014, 6, 1, Buffer.from('GPL\0')],
    [1022, 6, 1, Buffer.from('x86_64\0')],
    [1003, 4, 1, Buffer.from([0, 0, 0, 1])],
    [1029, 1, 2, Buffer.from([0, 0])],
    [1116, 4, 2, Buffer.from([0, 0, 0, 0, 0, 0, 0, 1])],
    [1117, 8, 2, Buffer.from('x\0libc.so.6\0')],
    [1118, 8, 2, Buffer.from('/usr/bin/\0/usr/lib/\0')],
  ];
  const entries: Buffer[] = [];
  let at = 0;
  for (const [tag, type, count, data] of values) {
    const entry = Buffer.alloc(16);
    [tag, type, at, count].forEach((value, index) => entry.writeUInt32BE(value, index * 4));
    entries.push(entry);
    at += data.length;
  }
  const intro = Buffer.alloc(8);
  intro.writeUInt32BE(entries.length, 0);
  intro.writeUInt32BE(at, 4);
  const header = Buffer.concat([intro, ...entries, ...values.map(([, , , data]) => data)]);
  return random.once(3) ? mutate(random, header) : header;
}

function rpmDatabase(random: Random): Buffer {
  const database = new Sqlite(':memory:');
  try {
    // SQLite's smallest pages: little that nothing is in.
    database.pragma('page_size = 512');
    database.exec(
      'CREATE TABLE Packages (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)',
    );
    const insert = database.prepare('INSERT INTO Packages (blob) VALUES (?)');
    for (let rows = 1 + random.few(4); rows > 0; rows--) insert.run(rpmHeader(random));
    const bytes = database.serialize();
    return random.once(2) ? mutate(random, bytes, ['CREATE VIEW Packages', 'Packages']) : bytes;
  } finally {
    database.close();
  }
}

const RPM = 'usr/lib/sysimage/rpm/rpmdb.sqlite';
const OWNED = ['usr/lib/libc.so.6', 'usr/bin/x', 'usr/lib/ld-musl.so.1', 'x'];

const packages: Target = {
  name: 'root-packages',
  reads: 'the databases of dpkg, apk and rpm',
  make: (random) => {
    const texts = Object.entries(DATABASES).map(([path, text]): [string, string] => {
      const bytes = Buffer.from(text, 'latin1');
      return [path, (random.once(2) ? mutate(random, bytes, WORDS) : bytes).toString('latin1')];
    });
    return join([...texts, [RPM, rpmDatabase(random).toString('latin1')]]);
  },
  run: async (input) => {
    const nodes: Record<string, Node> = { ...LINKS, ...BASE };
    for (const path of OWNED) nodes[path] = 'x';
    for (const [path, content] of Object.entries(filesOf(input)))
      if (LINKS[path] === undefined) nodes[path.replace(/^lib\//, 'usr/lib/')] = content;
    const tree = new MemoryTree(nodes);
    const resolver = new Resolver(tree, await tree.symlinks());
    const found = findPackages({ tree, resolver, paths: new Set(OWNED) });
    unreadProblems(found);
    for (const [path, owner] of found.owners) {
      assert.ok(OWNED.includes(path));
      assert.match(packageUrl(owner, found.distribution), /^pkg:[\x21-\x7e]*$/);
    }
  },
};

export const ROOTS: readonly Target[] = [needs, packages];
