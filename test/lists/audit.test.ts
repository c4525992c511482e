/** The audit log: of a real kernel, and as others write it. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { AuditReader } from '../../src/lists/audit.ts';
import { guessFormat } from '../../src/lists/guess-format.ts';
import { readList, type ReadList } from './read-list.ts';

const AUDIT = readFileSync(join(import.meta.dirname, '../fixtures/lists/audit-6.18.log'));
const inLines = (text: Buffer): Buffer[] =>
  text
    .toString('latin1')
    .split('\n')
    .map((line) => Buffer.from(line, 'latin1'));

const STAMP = 'msg=audit(1700000000.123:1):';

type AuditedCall = readonly [Readonly<Record<string, string | number>>, ...string[]];

/** Calls of x86_64 in /srv, each with its paths and their types. */
function audited(...calls: readonly AuditedCall[]): ReadList {
  const lines = calls.flatMap(([fields, ...paths], serial) => {
    const stamp = `msg=audit(1700000000.123:${serial}):`;
    const all = Object.entries({ success: 'yes', exit: '0', pid: 2, ppid: 1, ...fields });
    return [
      `type=SYSCALL ${stamp} arch=c000003e ${all.map((one) => one.join('=')).join(' ')}`,
      `type=CWD ${stamp} cwd="/srv"`,
      ...paths.map((path, item) => {
        const [name = '', type = ''] = path.split(' ');
        return `type=PATH ${stamp} item=${item} name="${name}" nametype=${type}`;
      }),
    ];
  });
  return readList(lines, (sink) => new AuditReader(sink));
}

describe('the audit log', () => {
  test('the audit log of a real kernel: what each process did in its root', () => {
    const { uses, refused } = readList(inLines(AUDIT), (sink) => new AuditReader(sink));
    const inside = uses.filter((use) => use.includes('@/srv-audit/sarge'));
    const had = (use: string): void =>
      assert.ok(inside.includes(use), `${use}\n${inside.join('\n')}`);
    const at = '@/srv-audit/sarge';
    had(`read /bin/busybox ${at}`);
    had(`read /etc/motd ${at}`);
    had(`lookup /etc/none ${at}`);
    had(`read /od d/n\nl\xff ${at}`);
    had(`create /etc/new ${at} itself created`);
    had(`remove /etc/old ${at} itself`);
    had(`create /etc/new/old ${at} itself`);
    had(`create /etc/link ${at} itself created`);
    had(`remove /etc/gone ${at} itself`);
    had(`getattr /etc/link ${at} itself`);
    had(`read /lib/libc.so ${at}`);
    assert.ok(!inside.some((use) => use.includes(' /motd') || use.includes('libc.so.6')));
    assert.ok(uses.includes('read /srv-audit/sarge/etc/outer'));
    assert.deepEqual(refused, []);
  });

  test('audit: records that come mixed, without a call, hex, cut, of a descriptor', () => {
    const stamp = (serial: number): string => `msg=audit(1700000000.123:${serial}):`;
    const { all, uses, refused } = readList(
      [
        `type=SYSCALL ${stamp(1)} arch=c000003e syscall=257 success=yes exit=3 a0=ffffff9c a1=1 a2=80000 items=1 ppid=1 pid=2`,
        `node=n1 type=SYSCALL ${stamp(2)} arch=c00000b7 syscall=56 success=no exit=-13 a0=ffffffffffffff9c a2=0 items=1 ppid=1 pid=3`,
        `type=CWD ${stamp(2)} cwd=2F612062`,
        `type=CWD ${stamp(1)} cwd="/etc"`,
        `type=PATH ${stamp(2)} item=0 name="c" nametype=NORMAL`,
        `type=PATH ${stamp(1)} item=0 name="motd" nametype=NORMAL`,
        `type=PATH ${stamp(1)} item=1 name=(null) nametype=NORMAL`,
        `type=EOE ${stamp(1)} `,
        `type=PATH ${stamp(4)} item=0 name="/alone" nametype=NORMAL`,
        `type=SYSCALL ${stamp(5)} arch=c000003e syscall=257 success=yes exit=3 a0=5 a1=1 a2=0 items=1 ppid=1 pid=2`,
        `type=CWD ${stamp(5)} cwd="/etc"`,
        `type=PATH ${stamp(5)} item=0 name="whose" nametype=NORMAL`,
        `type=PATH ${stamp(6)} item=0 name=XYZ nametype=NORMAL`,
        `type=SYSCALL ${stamp(7)} arch=40000003 syscall=5 success=yes exit=3 items=1 pid=9\x1dARCH=i386 SYSCALL=open AUID="unset"`,
        `type=PATH ${stamp(7)} item=0 name="/enriched" nametype=NORMAL`,
        `type=USER_LOGIN ${stamp(8)} pid=1 uid=0`,
        'type=PATH msg=audit(17000',
      ],
      (sink) => new AuditReader(sink),
    );
    assert.deepEqual(uses, ['read /etc/motd', 'getattr /a b/c', 'any /alone', 'read /enriched']);
    assert.equal(all[0]?.atUs, 1_700_000_000_123_000);
    assert.deepEqual([...refused].sort(), [
      'not-understood',
      'not-understood',
      'unknown-directory',
    ]);
  });

  test('audit: of what link, rename and open name, only what is new for certain was made', () => {
    const { uses } = audited(
      [{ syscall: 86 }, '/bin PARENT', '/bin/a NORMAL', '/bin/b CREATE'],
      [{ syscall: 82 }, '/bin/c DELETE', '/bin/a DELETE', '/bin/a CREATE'],
      [{ syscall: 257, a0: 'ffffff9c', a2: '41' }, '/bin PARENT', '/tmp/new CREATE'],
      [{ syscall: 257, a0: 'ffffff9c', a2: 'c1' }, '/bin PARENT', '/tmp/own CREATE'],
      [{ syscall: 83 }, '/tmp/dir CREATE'],
      [{ syscall: 133 }, '/tmp/node CREATE'],
      [{ syscall: 88 }, '/tmp/link CREATE'],
      [{ syscall: 9999 }, '/x NORMAL', '/y CREATE'],
    );
    assert.deepEqual(uses, [
      'getattr /bin/a itself',
      'create /bin/b itself',
      'remove /bin/c itself',
      'remove /bin/a itself',
      'create /bin/a itself',
      'write /tmp/new',
      'write /tmp/own itself created',
      'create /tmp/dir itself created',
      'create /tmp/node itself created',
      'create /tmp/link itself created',
      'any /x',
      'any /y itself',
    ]);
  });

  test('audit: a call that failed shows what was there only by its error', () => {
    const there = (exit: string, fields: AuditedCall[0], ...paths: string[]): boolean[] =>
      audited([{ ...fields, success: 'no', exit }, ...paths]).all.map((use) => use.there);
    const [mkdir, rename] = [{ syscall: 83 }, { syscall: 82 }];
    assert.deepEqual(there('-17', mkdir, '/a UNKNOWN'), [true]);
    assert.deepEqual(there('-30', mkdir, '/a UNKNOWN'), [false]);
    assert.deepEqual(there('-2', mkdir, '/a UNKNOWN'), [false]);
    assert.deepEqual(there('EACCES(Permission denied)', mkdir, '/a '), [false]);
    assert.deepEqual(there('-39', rename, '/a UNKNOWN', '/b UNKNOWN'), [true, true]);
    assert.deepEqual(there('-18', rename, '/a UNKNOWN', '/b UNKNOWN'), [false, false]);
    // Which of link(2)'s two names it is, is not told.
    assert.deepEqual(there('-30', { syscall: 86 }, '/a NORMAL'), [false]);
    assert.deepEqual(there('-13', { syscall: 85 }, '/a NORMAL'), [false]);
    assert.deepEqual(there('-13', { syscall: 2, a1: '41' }, '/a NORMAL'), [false]);
    assert.deepEqual(there('-13', { syscall: 2, a1: '0' }, '/a NORMAL'), [false]);
    assert.deepEqual(there('-30', { syscall: 2, a1: '1' }, '/a NORMAL'), [true]);
    assert.deepEqual(there('-30', { syscall: 9999 }, '/a NORMAL'), [false]);
  });

  test('audit without types: the directory that a file is opened and made in is not opened', () => {
    const { uses } = audited(
      [{ syscall: 2, a1: '42' }, '/srv/log/', '/srv/log/new'],
      [{ syscall: 85 }, '/srv/log/', '/srv/log/other'],
      [{ syscall: 2, a1: '42' }, '/srv/log/old'],
      [{ syscall: 2, a1: '2' }, '/srv/log/old'],
    );
    assert.deepEqual(uses, [
      'any /srv/log/',
      'read+write /srv/log/new',
      'any /srv/log/',
      'write /srv/log/other',
      'read+write /srv/log/old',
      'read+write /srv/log/old',
    ]);
  });

  test('audit: as the kernel, ausearch, other loggers and old kernels write it', () => {
    const plain = [
      'type=SYSCALL msg=audit(1.123:1): arch=c000003e syscall=2 success=yes exit=3 a1=0 pid=2',
      'type=CWD msg=audit(1.123:1):  cwd="/etc"',
      'type=PATH msg=audit(1.123:1): item=0 name="motd" inode=9 mode=0100644 rdev=00:00',
      'type=EOE msg=audit(1.123:1): ',
      'type=SYSCALL msg=audit(1.123:2): arch=c000003e syscall=83 success=yes exit=0 pid=2',
      'type=PATH msg=audit(1.123:2): item=0 name="/tmp" inode=1 mode=041777',
      'type=PATH msg=audit(1.123:2): item=1 name="/tmp/new" inode=2 mode=040755',
    ];
    const numbers = { SYSCALL: 1300, PATH: 1302, CWD: 1307, EOE: 1320 };
    const numbered = plain.map((line) =>
      Object.entries(numbers).reduce(
        (text, [name, number]) => text.replace(`type=${name} msg=`, `audit: type=${number} `),
        line,
      ),
    );
    const writings = {
      plain,
      ausearch: plain.flatMap((line) => ['----', 'time->Thu Mar 28 14:36:03 2013', line]),
      relayed: plain.map((line) => `Mar 28 14:36:03 host audispd: node=a.example ${line}`),
      unnamed: plain.map((line) => line.replace('type=PATH', 'type=UNKNOWN[1302]')),
      dmesg: numbered.map((line) => `[   12.345678] ${line}`),
      journal: numbered.map((line) => `Mar 28 14:36:03 host kernel: ${line}`),
    };
    for (const [how, lines] of Object.entries(writings)) {
      assert.equal(guessFormat(Buffer.from(lines.join('\n'))), 'audit', how);
      const { uses, refused } = readList(lines, (sink) => new AuditReader(sink));
      assert.deepEqual(uses, ['read /etc/motd', 'any /tmp', 'any /tmp/new'], how);
      assert.deepEqual(refused, [], how);
    }
  });

  test('audit: each of two paths is relative to a directory of its own', () => {
    const { uses, refused } = audited(
      [{ syscall: 264, a0: 'ffffff9c', a2: '5' }, 'old DELETE', 'motd DELETE', 'motd CREATE'],
      [{ syscall: 265, a0: '5', a2: 'ffffff9c' }, 'from NORMAL', 'to CREATE'],
      [{ syscall: 264, a0: '5', a2: 'ffffff9c' }, 'old DELETE', 'over DELETE', 'over CREATE'],
      [{ syscall: 265, a0: 'ffffff9c', a2: '5', success: 'no' }, 'here NORMAL', '/abs NORMAL'],
    );
    assert.deepEqual(uses, [
      'remove /srv/old itself',
      'create /srv/to itself',
      'remove /srv/over itself',
      'create /srv/over itself',
      'getattr /abs itself',
    ]);
    assert.deepEqual(refused, Array<string>(5).fill('unknown-directory'));
  });

  test('audit: roots that the log does not tell', () => {
    const { uses, refused } = audited(
      [{ syscall: 155, pid: 3 }, '/new NORMAL', '/new/old NORMAL'],
      [{ syscall: 2, pid: 3 }, '/etc/motd NORMAL'],
      [{ syscall: 2, pid: 4, ppid: 3 }, '/etc/motd NORMAL'],
      [{ syscall: 161, pid: 5 }, '/srv/../srv/root/ NORMAL'],
      [{ syscall: 2, pid: 5 }, '/etc/motd NORMAL'],
    );
    assert.deepEqual(uses, [
      'getattr /new',
      'getattr /new/old',
      'access /srv/../srv/root/',
      'read /etc/motd @/srv/../srv/root',
    ]);
    assert.deepEqual(refused, ['unknown-directory', 'unknown-directory']);
    const inRoot = (how: string): readonly string[] =>
      readList(
        [
          `type=SYSCALL ${STAMP} arch=c000003e syscall=437 success=yes exit=3 a0=5 pid=2`,
          `type=OPENAT2 ${STAMP} oflag=00 mode=00 resolve=${how}`,
          `type=PATH ${STAMP} item=0 name="/etc/motd" nametype=NORMAL`,
        ],
        (sink) => new AuditReader(sink),
      ).refused;
    assert.deepEqual(inRoot('0x8'), []);
    assert.deepEqual(inRoot('0x18'), ['unknown-directory']);
  });

  test('audit: a process with the number of one that has ended is its own parent’s child', () => {
    const at = (ms: number, fields: AuditedCall[0], path: string | null): string[] => {
      const stamp = `msg=audit(1700000000.${ms}:${ms}):`;
      const all = Object.entries({ pid: 2, ppid: 1, ...fields }).map((one) => one.join('='));
      return [
        `type=SYSCALL ${stamp} arch=c000003e success=yes exit=0 ${all.join(' ')}`,
        ...(path === null ? [] : [`type=PATH ${stamp} item=0 name="${path}" nametype=NORMAL`]),
        `type=EOE ${stamp}`,
      ];
    };
    const others = Array.from({ length: 2000 }, (_, n) =>
      at(310, { pid: n + 9, syscall: 231 }, null),
    );
    for (const between of [[], others.flat()]) {
      const { uses } = readList(
        [
          ...at(100, { syscall: 161 }, '/srv/root'),
          ...at(300, { syscall: 231 }, null),
          // Of another thread, and it began before that.
          ...at(200, { syscall: 2 }, '/old'),
          ...between,
          ...at(400, { syscall: 2, ppid: 7 }, '/new'),
        ],
        (sink) => new AuditReader(sink),
      );
      assert.deepEqual(uses, ['access /srv/root', 'read /old @/srv/root', 'read /new']);
    }
  });
});
