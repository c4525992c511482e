/** Nothing of the server outside of the root can be reached by a path, whoever tries in there. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { LocalRig, NEEDED, type Root } from './local-rig.ts';

/** Every way to a directory that might lie outside: `cd` into it must end in the root. */
const WAYS = [
  '/..',
  '/proc/1/root',
  '/proc/self/root/..',
  '/proc/1/cwd/../..',
  '/proc/1/fd/*/..',
  '/proc/self/fd/*/..',
  '/proc/*/task/*/root/..',
];

describe('the world of a command', { skip: lacks(...NEEDED, 'busybox') }, () => {
  let rig: LocalRig;
  let root: Root;
  before(() => {
    rig = new LocalRig();
    root = rig.makeBusybox('cell', ['sh', 'cat', 'ls', 'nsenter', 'rm', 'readlink', 'umount']);
    // On the file system of the root, beside it: what one step out of the root would find.
    writeFileSync(join(rig.disk.path, 'outside'), 'of the server');
  });
  after(() => rig.remove());

  const inside = async (script: string): Promise<string> => {
    const { ran } = await rig.record(root, ['sh', '-c', script]);
    return ran.text;
  };

  test('no path, link of /proc, chroot or namespace leads out', async () => {
    const look = 'test -e outside || test -e ../outside || test -e /outside';
    const tries = WAYS.map(
      (way) => `for d in ${way}; do cd $d 2>/dev/null && { ${look}; } && echo "$d"; done`,
    );
    const entered = `nsenter -t 1 -m -p /bin/sh -c '${look} && echo nsenter'`;
    assert.equal(await inside(`cd /tmp; : > outside; ${look} && echo seen; rm outside`), 'seen\n');
    assert.equal(await inside([...tries, entered, 'true'].join('\n')), '');
  });

  test('nor does what the caller has open, whatever its number', async () => {
    const prefix = ['bash', '-c', 'exec 200<"$0"; exec "$@"', rig.disk.path];
    const look = 'ls -l /proc/self/fd /proc/1/fd; for d in /proc/*/fd/200; do cd $d; done';
    const line = ['run', '--root', root.path, '--', 'sh', '-c', `${look} 2>/dev/null; ls`];
    const { text } = await rig.sandbox.ok(line, { prefix });
    assert.doesNotMatch(text, / 200 -> /);
    assert.match(text, /^usr$/m);
    assert.doesNotMatch(text, /^outside$/m);
  });

  test('nor does a program that is made for it', async () => {
    const program = join(root.path, 'usr/bin/escape');
    execFileSync('g++', ['-static', '-o', program, join(import.meta.dirname, 'escape.cc')]);
    assert.equal(await inside('escape'), '');
    // It can: a plain chroot does not hold it.
    assert.equal(
      execFileSync('chroot', [root.path, 'escape'], { encoding: 'utf8' }),
      'handle\nchroot\n',
    );
  });

  test('only mounts of the root and of the run are there', async () => {
    const mounts = (await inside('cat /proc/self/mountinfo')).trim().split('\n');
    const points = mounts.map((line) => line.split(' ')[4]);
    assert.deepEqual(points, ['/', '/proc', '/sys', '/dev/pts']);
    assert.match(mounts[2] ?? '', / \/sys ro,/);
  });

  test("a procfs of the server's that is mounted in the root is not there", async (t) => {
    const places = ['proc', 'tmp/more'].map((place) => join(root.path, place));
    mkdirSync(join(root.path, 'tmp/more'));
    for (const place of places) {
      execFileSync('mount', ['-t', 'proc', 'proc', place]);
      t.after(() => execFileSync('umount', [place]));
    }
    assert.equal(await inside('ls /tmp/more; umount /proc && ls /proc'), '');
    assert.ok(existsSync(`${places[0] ?? ''}/self`), "the server's own mount stays");
    execFileSync('mount', ['-t', 'tmpfs', 'tmpfs', join(root.path, 'tmp')]);
    try {
      await rig.sandbox.fails(['run', '--root', root.path, '--', 'ls'], {
        code: 77,
        message: /cannot unmount \/tmp\/more/,
        hint: /which a mount hides/,
      });
    } finally {
      execFileSync('umount', [join(root.path, 'tmp')]);
    }
  });

  test('processes of the server cannot be seen, and init is no file of the server', async () => {
    assert.deepEqual((await inside('ls /proc')).match(/^\d+$/gm)?.slice(0, 2), ['1', '2']);
    const exe = await inside('readlink /proc/1/exe; cat /proc/1/cmdline');
    assert.match(exe, /^\/memfd:/);
    assert.doesNotMatch(exe, /build|Release/);
    const mapped = (await inside('cat /proc/1/maps')).match(/ \/.*$/gm) ?? [];
    for (const path of mapped) assert.match(path, /^ \/memfd:/);
  });

  test('what would reach the server’s kernel is taken away', async () => {
    const [, effective = ''] =
      /^CapBnd:\s*(\w+)$/m.exec(await inside('cat /proc/self/status')) ?? [];
    const has = (capability: number): boolean =>
      ((BigInt(`0x${effective}`) >> BigInt(capability)) & 1n) === 1n;
    for (const dropped of [2, 16, 17, 22, 25]) assert.ok(!has(dropped), `capability ${dropped}`);
    assert.ok(has(21), 'CAP_SYS_ADMIN is needed to mount');
  });

  test('host name and System V memory are its own', async () => {
    const before = readFileSync('/proc/sys/kernel/hostname', 'latin1');
    await inside('echo other > /proc/sys/kernel/hostname; cat /proc/sys/kernel/hostname');
    assert.equal(readFileSync('/proc/sys/kernel/hostname', 'latin1'), before);
    const [uts, ipc] = (
      await inside('readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc')
    ).split('\n');
    assert.notEqual(uts, readlinkSync('/proc/self/ns/uts'));
    assert.notEqual(ipc, readlinkSync('/proc/self/ns/ipc'));
  });
});
