/** `trace run` and `trace shell`: what a command in a root uses is a session, no more and no less. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { LocalRig, NEEDED, type Root } from './local-rig.ts';

describe('trace run', { skip: lacks(...NEEDED, 'busybox') }, () => {
  let rig: LocalRig;
  let root: Root;
  before(() => {
    rig = new LocalRig();
    root = rig.makeRoot('sarge', ['bash', 'cat', 'ls', 'sleep', 'mv', 'rm', 'unshare', 'mount']);
  });
  after(() => rig.remove());

  test('starts a daemon; bash, cat and ls are what the session and the image have', async () => {
    const work = 'cat /etc/motd; ls /';
    const { ran, session } = await rig.record(root, ['bash', '-c', work]);
    assert.match(ran.stderr, /^started a daemon /m);
    assert.equal(ran.text, `welcome\n${lsOf(root)}`);
    const used = root.loaded('bash', 'cat', 'ls').add('etc/motd');
    assert.deepEqual(await rig.read(session), used);

    const image = rig.sandbox.at('bash.cpio');
    await rig.sandbox.ok(['export', session, '-o', image]);
    const inside = (await rig.sandbox.ok(['image', 'list', image])).text.split('\n');
    const names = new Set(inside.map((name) => name.replace(/^\.?\//, '')));
    for (const path of used) assert.ok(names.has(path), `${path} is not in the image`);
    for (const path of ['etc/unused', 'usr/bin/sleep', 'usr/bin/mount'])
      assert.ok(!names.has(path), `${path} is in the image`);

    // The image has all that the command needs.
    const small: Root = { ...root, path: join(rig.disk.path, 'small') };
    await rig.sandbox.ok(['image', 'extract', image, '-C', small.path]);
    const again = await rig.record(small, ['bash', '-c', work]);
    assert.equal(again.ran.text, `welcome\n${lsOf(small)}`);
    assert.deepEqual(await rig.read(again.session), used);
  });

  test('the session is of the client local, and whole', async () => {
    const { session } = await rig.record(root, ['ls']);
    const shown = await rig.sandbox.json<Record<string, unknown>>(['show', session]);
    const { client, tier, state } = shown;
    assert.deepEqual({ client, tier }, { client: 'local', tier: 'local' });
    assert.notEqual(state, 'open');
    await rig.sandbox.ok(['export', session, '-o', rig.sandbox.at('ls.cpio')]);
  });

  test('the same run is the same list and the same image', async () => {
    const made = async (name: string): Promise<{ list: string; image: Buffer }> => {
      const { session } = await rig.record(root, ['bash', '-c', 'ls /etc; cat /etc/motd']);
      const file = rig.sandbox.at(name);
      await rig.sandbox.ok(['export', session, '-o', file]);
      return { list: (await rig.sandbox.ok(['list', session])).text, image: readFileSync(file) };
    };
    assert.deepEqual(await made('one.cpio'), await made('two.cpio'));
  });

  test('the exit status is the command’s', async () => {
    await rig.record(root, ['bash', '-c', 'exit 7'], 7);
    await rig.record(root, ['bash', '-c', 'kill -SEGV $$'], 128 + 11);
  });

  test('what is no program of the root is told, and is no session', async () => {
    const before = await sessions(rig);
    const line = (...command: string[]): string[] => ['run', '--root', root.path, '--', ...command];
    const fails = { code: 66, message: /cannot find .* in the root/, hint: /program of the root/ };
    await rig.sandbox.fails(line('nosuch'), fails);
    // It is on the server, not in the root.
    await rig.sandbox.fails(line(process.execPath), fails);
    await rig.sandbox.fails(line('/etc/motd'), fails);
    await rig.sandbox.fails(['run', '--root', join(root.path, 'none'), '--', 'ls'], {
      code: 66,
      message: /cannot be opened: ENOENT/,
    });
    assert.deepEqual(await sessions(rig), before);
  });

  test('standard input and the environment', async () => {
    const script = join(root.path, 'tmp/env');
    writeFileSync(script, 'echo "$HOME $PATH $LOGNAME ${SECRET-none} $PWD $(cat)"\n');
    const [program, ...args] = rig.sandbox.command([
      'run',
      '--root',
      root.path,
      '--',
      'bash',
      '/tmp/env',
    ]);
    const env = { ...rig.sandbox.env(), SECRET: 'of the server', TERM: 'vt100' };
    const child = spawn(program, args, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdin.end('from stdin');
    const [told] = await Promise.all([text(child.stdout), once(child, 'exit')]);
    const path = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
    assert.equal(told, `/root ${path} root none / from stdin\n`);
  });

  test('a signal that is sent to trace reaches the command; the session is whole', async () => {
    const waiting = join(root.path, 'tmp/waiting');
    rmSync(waiting, { force: true });
    const work = 'trap "exit 9" TERM; > /tmp/waiting; while :; do sleep 0.05; done';
    const [program, ...args] = rig.sandbox.command([
      'run',
      '--root',
      root.path,
      '--',
      'bash',
      '-c',
      work,
    ]);
    const child = spawn(program, args, {
      env: rig.sandbox.env(),
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const told = text(child.stderr);
    while (!existsSync(waiting)) await new Promise((resolve) => setTimeout(resolve, 20));
    child.kill('SIGTERM');
    const [code] = (await once(child, 'exit')) as [number];
    assert.equal(code, 9);
    assert.match(await told, /^recorded session-\d+$/m);
  });

  test('what the run itself made is in no image; a new name for something older is', async () => {
    writeFileSync(join(root.path, 'etc/old'), 'old\n');
    const work =
      'echo new > /tmp/new; mv /tmp/new /tmp/moved; cat /tmp/moved; mv /etc/old /etc/older; ' +
      'cat /etc/older; echo gone > /tmp/gone; rm /tmp/gone; rm /etc/unused2';
    writeFileSync(join(root.path, 'etc/unused2'), 'x');
    const { session, ran } = await rig.record(root, ['bash', '-c', work]);
    assert.equal(ran.text, 'new\nold\n');
    const image = rig.sandbox.at('made.cpio');
    await rig.sandbox.ok(['export', session, '-o', image]);
    const inside = new Set((await rig.sandbox.ok(['image', 'list', image])).text.split('\n'));
    assert.ok(inside.has('etc/older'));
    for (const path of ['tmp/new', 'tmp/moved', 'tmp/gone', 'etc/old', 'etc/unused2'])
      assert.ok(!inside.has(path), path);
    assert.match(ran.stderr, /^not in the session: 2 used files that the command removed$/m);
  });

  test('namespaces and mounts that the command makes hide nothing', async () => {
    mkdirSync(join(root.path, 'mnt'), { recursive: true });
    const work =
      'unshare --mount --pid --fork cat /etc/motd; mount --bind /etc /mnt && cat /mnt/motd && ' +
      'mount -t tmpfs none /mnt && echo x > /mnt/inside; cat /mnt/inside';
    const { session, ran } = await rig.record(root, ['bash', '-c', work]);
    assert.equal(ran.text, 'welcome\nwelcome\nx\n', ran.stderr);
    const used = root.loaded('bash', 'cat', 'unshare', 'mount').add('etc/motd');
    assert.deepEqual(await rig.read(session), used);
  });

  test('two at once on one root are two sessions; what others do is in neither', async () => {
    for (const name of ['one', 'two', 'other'])
      for (let at = 0; at < 300; at++) {
        mkdirSync(join(root.path, 'srv', name), { recursive: true });
        writeFileSync(join(root.path, 'srv', name, `${at}`), '');
      }
    // A process for each file, gone as soon as it has read it.
    const work = (name: string): string[] => [
      'bash',
      '-c',
      `for file in /srv/${name}/*; do ( : < $file ) & done; wait`,
    ];
    const over = new AbortController();
    const others = (async () => {
      for (let at = 0; !over.signal.aborted; at = (at + 1) % 300) {
        readFileSync(join(root.path, 'srv/other', `${at}`));
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    const both = await Promise.all(
      ['one', 'two'].map(async (name) => (await rig.record(root, work(name))).session),
    );
    over.abort();
    await others;
    const [one = '', two = ''] = both;
    assert.notEqual(one, two);
    for (const [session, name] of [
      [one, 'one'],
      [two, 'two'],
    ] as const) {
      const read = [...(await rig.read(session))].filter((path) => path.startsWith('srv/'));
      const wanted = Array.from({ length: 300 }, (_, at) => `srv/${name}/${at}`);
      assert.deepEqual(read.sort(), wanted.sort());
    }
  });

  test('names are bytes', async () => {
    const names = ['two\nlines', 'a (deleted)', '\\134', ' ', 'x'.repeat(255)];
    mkdirSync(join(root.path, 'odd'));
    for (const name of names) writeFileSync(join(root.path, 'odd', name), '');
    const latin = Buffer.concat([Buffer.from(`${root.path}/odd/`), Buffer.from([0xff, 0xfe])]);
    writeFileSync(latin, '');
    const { session } = await rig.record(root, [
      'bash',
      '-c',
      'for f in /odd/*; do : < "$f"; done',
    ]);
    const odd = [...(await rig.read(session))].filter((path) => path.startsWith('odd/'));
    assert.deepEqual(odd.sort(), [...names, '\u00ff\u00fe'].map((name) => `odd/${name}`).sort());
  });

  test('what is mounted below the root can be used, and is told', async () => {
    const below = join(root.path, 'below');
    mkdirSync(below);
    execFileSync('mount', ['-t', 'tmpfs', 'none', below]);
    try {
      writeFileSync(join(below, 'file'), 'mounted\n');
      const { ran, session } = await rig.record(root, ['cat', '/below/file']);
      assert.equal(ran.text, 'mounted\n');
      assert.match(ran.stderr, /^warning: not in the session: 1 used paths: other-file-system$/m);
      assert.match(
        ran.stderr,
        /^hint: what is mounted below the root is recorded if it is exported/m,
      );
      assert.deepEqual(await rig.read(session), root.loaded('cat'));
    } finally {
      execFileSync('umount', [below]);
    }
  });

  test('a device that is mounted below the root is not opened, and is told', async () => {
    const [node, at] = ['zero', 'null'].map((name) => join(root.path, 'dev', name));
    execFileSync('mount', ['--bind', node ?? '', at ?? '']);
    try {
      const { ran } = await rig.record(root, ['ls', '/dev']);
      assert.match(ran.stderr, /what is used below \/dev\/null is not recorded: no such device$/m);
    } finally {
      execFileSync('umount', [at ?? '']);
    }
  });

  test('on a server whose mounts are shared nothing appears', async () => {
    const mounts = `mount --make-shared '${rig.disk.path}' && before=$(cat /proc/self/mountinfo)`;
    // Others of before may go: those of a folder that somebody removes elsewhere, say.
    const none = 'grep -vxF "$before" /proc/self/mountinfo && exit 99';
    // While the command runs, and after it.
    const script = `${mounts}; "$@" & sleep 0.5; ${none}; wait $! || exit; ${none}; exit 0`;
    const line = rig.sandbox.command(['run', '--root', root.path, '--', 'sleep', '1']);
    const ran = await rig.sandbox.execute([
      'unshare',
      '--mount',
      'sh',
      '-c',
      script,
      'sh',
      ...line,
    ]);
    assert.equal(ran.code, 0, ran.stderr);
  });

  test('--json: the result after the output, as json.md has it', async () => {
    const page = readFileSync(join(import.meta.dirname, '../../docs/json.md'), 'utf8');
    const [, told = ''] = /^```json run\n([^`]*)^```$/m.exec(page) ?? [];
    const work = ': < /etc/json; rm /etc/json; echo done';
    writeFileSync(join(root.path, 'etc/json'), '');
    const line = ['run', '--json', '--root', root.path, '--', 'bash', '-c', work];
    const { text } = await rig.sandbox.ok(line);
    assert.equal(text.slice(0, 5), 'done\n');
    type Result = { rows: { found: number; skipped: object }; session: string };
    const result = JSON.parse(text.slice(5)) as Result;
    const example = JSON.parse(told) as Result;
    const { session } = result;
    const { found } = result.rows;
    assert.ok(found >= root.loaded('bash', 'rm').size);
    const rows = { ...example.rows, found };
    assert.deepEqual(result, { ...example, session, rows, removed: 1 });
  });

  test('needs root, and says so', async () => {
    await rig.sandbox.fails(
      ['run', '--root', root.path, '--', 'ls'],
      { code: 77, message: /only root can run a command in a root/, hint: /as root/ },
      { prefix: rig.sandbox.asNobody() },
    );
  });
});

describe('the root’s own way in', { skip: lacks(...NEEDED, 'busybox') }, () => {
  let rig: LocalRig;
  before(() => {
    rig = new LocalRig();
  });
  after(() => rig.remove());

  test('/chroot, as in 2007: mounts, works, unmounts', async () => {
    const root = rig.makeBusybox('nbic', ['sh', 'mount', 'umount', 'cat', 'ls']);
    const script = [
      '#!/bin/sh -e',
      'export HOME=/root LOGNAME=root PATH=/usr/bin:/bin',
      'mount -t proc proc /proc',
      'mount -t sysfs sysfs /sys',
      'mount -t devpts devpts /dev/pts',
      'cat /etc/motd',
      'ls /sys/class > /dev/null',
      'umount /dev/pts',
      'umount /sys',
      'umount /proc',
    ];
    writeFileSync(join(root.path, 'chroot'), `${script.join('\n')}\n`);
    chmodSync(join(root.path, 'chroot'), 0o755);
    const ran = await rig.sandbox.ok(['shell', root.path, '--label', 'as in 2007']);
    assert.equal(ran.text, 'welcome\n', ran.stderr);
    const [, session = ''] = /^recorded (session-\d+)$/m.exec(ran.stderr) ?? [];
    const list = new Set((await rig.sandbox.ok(['list', session])).text.split('\n'));
    for (const path of ['chroot', 'etc/motd', 'usr/bin/busybox']) assert.ok(list.has(path), path);
  });

  test('a command that cannot be started ends its session, whole, with one error', async () => {
    const root = rig.makeBusybox('nowhere', ['sh']);
    writeFileSync(join(root.path, 'usr/bin/none'), '#!/nowhere\n', { mode: 0o755 });
    const expected = { code: 66, message: /cannot run \/usr\/bin\/none: / };
    const { stderr } = await rig.sandbox.fails(
      ['run', '--root', root.path, '--', '/usr/bin/none'],
      expected,
    );
    assert.doesNotMatch(stderr, /warning|goes on/);
    type Told = { sessions: { id: number; open: boolean; loss: number }[] };
    const { sessions } = await rig.sandbox.json<Told>(['sessions']);
    const last = sessions.toSorted((a, b) => a.id - b.id).at(-1);
    assert.deepEqual([last?.open, last?.loss], [false, 0]);
  });

  test('else a shell; else it is told that there is none', async () => {
    const root = rig.makeBusybox('plain', ['sh', 'cat']);
    const [program, ...args] = rig.sandbox.command(['shell', root.path]);
    const child = spawn(program, args, {
      env: rig.sandbox.env(),
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    child.stdin.end('cat /etc/motd; exit 3\n');
    const ended = await Promise.all([text(child.stdout), once(child, 'exit')]);
    assert.deepEqual(ended, ['welcome\n', [3, null]]);
    rmSync(join(root.path, 'usr/bin/sh'));
    await rig.sandbox.fails(['shell', root.path], { code: 66, message: /cannot find \/bin\/sh/ });
  });

  test('a root in which /sys and /proc are mounted already', async () => {
    const root = rig.makeBusybox('prepared', ['sh', 'cat', 'ls']);
    const mounted = [
      ['sysfs', join(root.path, 'sys')],
      ['proc', join(root.path, 'proc')],
    ] as const;
    for (const [type, at] of mounted) execFileSync('mount', ['-t', type, 'none', at]);
    // As what is mounted below /sys on a server: cgroups, tracefs.
    const below = join(root.path, 'sys/fs');
    execFileSync('mount', ['-t', 'tmpfs', 'none', below]);
    try {
      await rig.record(root, ['sh', '-c', ': > /sys/fs/made'], 1);
      assert.deepEqual(readdirSync(below), []);
      const work = 'cat /proc/self/stat; ls -d /sys/class; cat /proc/self/mountinfo';
      const { ran } = await rig.record(root, ['sh', '-c', work]);
      assert.match(ran.text, /^\d \(cat\) .*\n\/sys\/class\n/);
      // Read-only here, and as it was on the server.
      assert.match(ran.text, / \/sys ro,nosuid,nodev,noexec,/);
      const [, at] = mounted[0];
      const options = execFileSync('findmnt', ['-no', 'VFS-OPTIONS', at], { encoding: 'utf8' });
      assert.match(options, /^rw,/);
    } finally {
      execFileSync('umount', [below]);
      for (const [, at] of mounted) execFileSync('umount', [at]);
    }
  });

  test('what a root lacks is told, and not made', async () => {
    const root = rig.makeBusybox('bare', ['sh']);
    for (const path of ['proc', 'dev', 'sys']) rmSync(join(root.path, path), { recursive: true });
    symlinkSync('/etc', join(root.path, 'proc'));
    const { ran } = await rig.record(root, ['sh', '-c', 'echo /proc/*']);
    assert.match(ran.stderr, /the root has no \/proc, no \/sys, no \/dev\/pts, no \/dev\/null/);
    assert.equal(ran.text, '/proc/motd /proc/unused\n');
    assert.ok(!existsSync(join(root.path, 'dev')));
  });
});

/** As `ls /` prints it there. */
const lsOf = (root: Root): string => `${readdirSync(root.path).sort().join('\n')}\n`;

const sessions = async (rig: LocalRig): Promise<unknown> => rig.sandbox.json(['sessions']);
