/** `trace import`: real lists of real programs become sessions. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { lacks, needs } from '../capabilities.ts';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { TraceSandbox } from '../support/trace-sandbox.ts';

interface Imported {
  readonly session: string;
  readonly format: string;
  readonly uses: number;
  readonly found: number;
  readonly missing: number;
  readonly passed: Readonly<Record<string, number>>;
  readonly refused: readonly { readonly why: string; count: number; first_line: number }[];
  readonly daemon_started: number | null;
}

/** A name that needs every escape there is. */
const ODD = Buffer.from('n\nl\xff"\\ > x', 'latin1');
/** Programs that busybox's shell has in itself, as its builder chose, and what $PATH leads through. */
const SOMETIMES = new Set(['usr/bin/ls', 'usr/bin/test', 'usr', 'usr/bin']);
const PROGRAM =
  'cd /etc; cat motd ../etc/deep/link >/dev/null; cat /etc/none; test -x /bin/tool; ls /odd >/dev/null; cat /odd/*';

describe('trace import', { skip: lacks('root', 'loop', 'handles', 'busybox') }, () => {
  let disk: MountedFileSystem;
  let sandbox: TraceSandbox;
  let root: string;
  before(() => {
    disk = makeFileSystem('ext4');
    sandbox = new TraceSandbox();
    root = `${disk.path}/sarge`;
    for (const folder of ['usr/bin', 'etc/deep', 'odd', 'dev', 'unused'])
      mkdirSync(`${root}/${folder}`, { recursive: true });
    symlinkSync('usr/bin', `${root}/bin`);
    const busybox = execFileSync('which', ['busybox'], { encoding: 'utf8' }).trim();
    copyFileSync(busybox, `${root}/usr/bin/busybox`);
    for (const applet of ['sh', 'cat', 'ls', 'test'])
      symlinkSync('busybox', `${root}/usr/bin/${applet}`);
    for (const file of ['usr/bin/tool', 'etc/motd', 'unused/file', 'dev/null'])
      writeFileSync(`${root}/${file}`, 'x');
    symlinkSync('/etc/motd', `${root}/etc/deep/link`);
    writeFileSync(Buffer.concat([Buffer.from(`${root}/odd/`), ODD]), 'odd');
  });
  after(async () => {
    await sandbox.remove();
    disk.remove();
  });

  const write = (name: string, data: string | Buffer): string => {
    const path = sandbox.at(name);
    writeFileSync(path, data);
    return path;
  };
  const importing = (list: string, ...more: string[]): Promise<Imported> =>
    sandbox.json(['import', '--list', list, '--root', root, ...more]);
  const list = async (session: string): Promise<string[]> => {
    const { stdout } = await sandbox.ok(['list', '-0', session]);
    return stdout.toString('latin1').split('\0').filter(Boolean);
  };
  const image = async (session: string, name: string): Promise<Buffer> => {
    await sandbox.ok(['export', session, '-o', sandbox.at(name)]);
    return readFileSync(sandbox.at(name));
  };
  const shell = (script: string, cwd = sandbox.folder): string => {
    execFileSync('sh', ['-c', script], { cwd, env: { PATH: process.env['PATH'] } });
    return sandbox.at('out');
  };

  test('starts a daemon; the same list twice is the same session twice', async () => {
    const paths = write('plain', `./etc/motd\nbin/tool\n/usr/bin/sh\n${root}/etc/deep\netc/none\n`);
    const first = await importing(paths, '--label', 'by hand');
    assert.notEqual(first.daemon_started, null);
    assert.deepEqual([first.format, first.found, first.missing], ['plain', 4, 1]);
    const second = await importing(paths);
    assert.equal(second.daemon_started, null);
    const expected = ['bin', 'etc', 'etc/deep', 'etc/motd', 'usr/bin/sh', 'usr/bin/tool'];
    assert.deepEqual(await list(first.session), expected);
    assert.deepEqual(await list(second.session), expected);
    const bytes = await image(first.session, 'first.cpio');
    assert.ok(bytes.equals(await image(second.session, 'second.cpio')));
    // And what `trace list` gives is a list again.
    const again = write('again', (await sandbox.ok(['list', first.session])).stdout);
    assert.deepEqual(await list((await importing(again)).session), expected);
    const { sessions } = await sandbox.json<{
      sessions: { label: string; close_reason: string }[];
    }>(['sessions', '--client', 'import', '--root', root]);
    assert.deepEqual(
      sessions.map(({ label, close_reason: reason }) => [label, reason]),
      [
        ['by hand', 'given'],
        [null, 'given'],
        [null, 'given'],
      ],
    );
    const { missing } = await sandbox.json<{ missing: { path: string }[] }>([
      'files',
      '--missing',
      first.session,
    ]);
    assert.deepEqual(
      missing.map(({ path }) => path),
      ['etc/none'],
    );
  });

  test('a byte order mark and CR LF are parts of names, which a hint says', async () => {
    const [none, some] = ['none of the paths is there', 'some of the paths are not there'];
    const [mark, cr] = [/begins with a byte order mark \(EF BB BF\)/, /lines end with CR LF/];
    const cases: [text: string, warning: string, hint: RegExp][] = [
      ['etc/motd\r\nbin/tool\r\n', none, cr],
      ['\ufeffetc/motd\n', none, mark],
      ['\ufeffetc/motd\nbin/tool\n', some, mark],
      ['\ufeffetc/motd\0bin/tool\0', some, mark],
      ['\ufeffetc/motd\r\n', none, new RegExp(`${mark.source}.*; ${cr.source}`)],
      ['etc/none\n', none, /^hint: is it a list of this root/m],
    ];
    for (const [text, warning, hint] of cases) {
      const { stderr } = await sandbox.ok(['import', '--list', write('odd', text), '--root', root]);
      assert.ok(stderr.includes(warning), stderr);
      assert.match(stderr, hint);
    }
    const right = ['import', '--list', write('right', 'etc/motd\netc/none\n'), '--root', root];
    assert.doesNotMatch((await sandbox.ok(right)).stderr, /warning/);
  });

  test('what find writes, three ways, relative, absolute, through a pipe', async () => {
    const expected = shell(
      `cd '${root}' && find etc odd -print0 | sort -z >'${sandbox.at('out')}'`,
    );
    const wanted = readFileSync(expected, 'latin1').split('\0').filter(Boolean).sort();
    const found: string[][] = [];
    for (const [format, command, ...more] of [
      ['find', `cd '${root}' && find ./etc odd -ls`],
      ['find', `find '${root}/etc' '${root}/odd' -ls`],
      ['null', `cd '${root}' && find etc ./odd -print0`],
      ['find', `cd '${disk.path}' && find sarge/etc sarge/odd -ls`, '--paths', 'server'],
    ] as const) {
      const output = shell(`(${command}) >'${sandbox.at('out')}'`);
      const prefix = ['sh', '-c', `cd '${disk.path}' && exec "$@" <'${output}'`, 'sh'];
      const { json } = await sandbox.ok(
        ['import', '--list', '-', '--root', root, '--json', ...more],
        { prefix },
      );
      const imported = json as Imported;
      assert.deepEqual([imported.format, imported.missing, imported.refused], [format, 0, []]);
      found.push(await list(imported.session));
    }
    for (const paths of found) assert.deepEqual(paths, wanted);
    assert.ok(wanted.some((path) => path.includes(ODD.toString('latin1'))));
  });

  test('what strace writes of a program in the root, however it is told to', async (t) => {
    if (!needs(t, 'strace', 'chroot')) return;
    const lists: string[][] = [];
    for (const options of [
      ['-f', '-y', '-e', 'trace=%file,%process'],
      ['-f', '-yy', '-ttt', '-T', '-e', 'trace=%file,%process'],
      ['-f', '-tt', '-xx', '-e', 'trace=%file'],
      ['-f', '-n', '-e', 'trace=all'],
    ]) {
      const log = sandbox.at('strace.log');
      const command = ['chroot', root, '/bin/sh', '-c', PROGRAM] as const;
      await sandbox.execute(['strace', ...options, '-o', log, ...command]);
      const imported = await importing(log);
      assert.equal(imported.format, 'strace');
      assert.deepEqual(imported.refused, []);
      assert.ok((imported.passed['outside'] ?? 0) > 0, 'chroot(8) itself is not of the root');
      lists.push(await list(imported.session));
    }
    const odd = `odd/${ODD.toString('latin1')}`;
    const used = ['.', 'bin', 'dev/null', 'etc', 'etc/deep/link', 'etc/motd', 'odd', odd];
    const programs = ['busybox', 'cat', 'sh', 'tool'].map((name) => `usr/bin/${name}`);
    for (const paths of lists)
      assert.deepEqual(
        paths.filter((path) => !SOMETIMES.has(path)),
        [...used, ...programs].sort(),
      );
  });

  test('a log of many processes at once, written to a terminal', async (t) => {
    if (!needs(t, 'strace', 'chroot')) return;
    const each = 'for i in 1 2 3 4 5 6 7 8; do cat /etc/motd /bin/tool & done; wait';
    const options = ['-f', '-y', '-e', 'trace=%file,%process'] as const;
    const command = ['chroot', root, '/bin/sh', '-c', each] as const;
    const { stderr } = await sandbox.execute(['strace', ...options, ...command]);
    assert.match(stderr, /\[pid +\d+\]/);
    const imported = await importing(write('terminal', stderr));
    assert.deepEqual(imported.refused, []);
    const paths = await list(imported.session);
    for (const path of ['etc/motd', 'usr/bin/tool', 'usr/bin/cat']) assert.ok(paths.includes(path));
    assert.ok(!paths.includes('unused/file'));
  });

  test('an audit log', async () => {
    const log = readFileSync(`${import.meta.dirname}/../fixtures/lists/audit-6.18.log`, 'latin1');
    const imported = await importing(write('audit', log.replaceAll('/srv-audit/sarge', root)));
    assert.deepEqual([imported.format, imported.refused], ['audit', []]);
    assert.deepEqual(
      (await list(imported.session)).filter((path) => path !== 'usr/bin/busybox'),
      ['.', 'bin', 'etc', 'etc/motd'],
    );
    // Nobody counted what was read.
    assert.match((await sandbox.ok(['show', imported.session])).text, /bytes read +-\n/);
    const untold = write(
      'untold',
      'type=PATH msg=audit(1.123:1): item=0 name="/etc/motd"\n' +
        'type=PATH msg=audit(1.123:2): item=0 name="relative"\n',
    );
    const { stderr } = await sandbox.ok(['import', '--list', untold, '--root', root]);
    assert.match(stderr, /1 relative to a directory .*\nhint: .*--accept-loss/);
  });

  test('several uses of one object are one row with all that was done, when and how often', async () => {
    const log = write(
      'often',
      [
        '1 1700000002.000000 stat("/etc/motd", {...}) = 0',
        '1 1700000001.000000 stat("/etc/motd", {...}) = 0',
        '1 1700000003.000000 open("/etc/deep/link", O_RDWR) = 3',
        '1 1700000002.500000 readlink("/etc/deep/link", "/etc/motd", 99) = 9',
        '1 1700000004.000000 open("/etc/motd", O_RDONLY) = 3',
      ].join('\n'),
    );
    const { session, uses } = await importing(log);
    assert.equal(uses, 5);
    const { files } = await sandbox.json<{ files: Record<string, unknown>[] }>(['files', session]);
    assert.deepEqual(
      files.map(({ path, operations, count, first, last, evidence }) => [
        ...[path, operations, count, first, last, evidence],
      ]),
      [
        [
          ...['etc/deep/link', ['readlink'], 2],
          ...['2023-11-14T22:13:22.500Z', '2023-11-14T22:13:23.000Z', ['import']],
        ],
        [
          ...['etc/motd', ['getattr', 'read', 'write'], 4],
          ...['2023-11-14T22:13:21.000Z', '2023-11-14T22:13:24.000Z', ['import']],
        ],
      ],
    );
  });

  test('what is not understood is a loss that export asks about', async () => {
    const log = write(
      'partly',
      '1 open("/etc/motd", O_RDONLY) = 3\n1 open("/etc/mo"..., O_RDONLY) = 3\ngarbage\n1 open("x", O_RDONLY) = 3\n\nmore\n',
    );
    const imported = await importing(log);
    assert.deepEqual(imported.refused, [
      { why: 'not-understood', count: 2, first_line: 3 },
      { why: 'truncated', count: 1, first_line: 2 },
      { why: 'unknown-directory', count: 1, first_line: 4 },
    ]);
    await sandbox.fails(['export', imported.session, '-o', sandbox.at('lossy.cpio')], {
      code: 65,
      message: /4 events may be missing in/,
    });
    await sandbox.ok(['export', imported.session, '-o', sandbox.at('lossy.cpio'), '--accept-loss']);
    const { losses } = await sandbox.json<{ losses: { where: string; count: number }[] }>([
      'show',
      imported.session,
    ]);
    assert.deepEqual(
      losses.map(({ where, count }) => [where, count]),
      [['import', 4]],
    );
  });

  test('nothing of use is an error, and leaves no session', async () => {
    const count = async (): Promise<number> =>
      (await sandbox.json<{ sessions: unknown[] }>(['sessions'])).sessions.length;
    const before = await count();
    const fails = (file: string, code: number, message: RegExp, ...more: string[]): unknown =>
      sandbox.fails(['import', '--list', file, '--root', root, ...more], { code, message });
    await fails(write('empty', ''), 65, /nothing in .*empty/);
    await fails(write('garbage', 'a\nb\n'), 65, /2 not understood/, '--format', 'strace');
    await fails(
      write('elsewhere', '/srv/a\n/srv/b\n'),
      65,
      /2 paths elsewhere/,
      '--paths',
      'server',
    );
    await fails(sandbox.at('nowhere'), 66, /no such file/);
    await fails(sandbox.folder, 66, /is a directory/);
    await sandbox.fails(['import', '--list', '-', '--root', `${root}/none`], {
      code: 66,
      message: /no such directory/,
    });
    await sandbox.fails(['import', '--root', root], { code: 64, message: /--list/ });
    assert.equal(await count(), before);
  });

  test('an import that is killed leaves a loss', async () => {
    const [program, ...args] = sandbox.command(['import', '--list', '-', '--root', root]);
    const child = spawn(program, args, { env: sandbox.env(), stdio: ['pipe', 'ignore', 'ignore'] });
    child.stdin.on('error', () => undefined);
    const before = await sandbox.json<{ sessions: unknown[] }>(['sessions']);
    for (let i = 0; i < 30_000; i += 1) child.stdin.write(`/etc/none-${i}\n`);
    child.stdin.write('/etc/motd\n');
    for (const end = Date.now() + 30_000; ;) {
      const { sessions } = await sandbox.json<{ sessions: unknown[] }>(['sessions']);
      if (sessions.length > before.sessions.length) break;
      assert.ok(Date.now() < end, 'it does not begin');
      await delay(50);
    }
    child.kill('SIGKILL');
    await once(child, 'close');
    for (const end = Date.now() + 30_000; ;) {
      const { sessions } = await sandbox.json<{ sessions: { open: boolean; loss: number }[] }>([
        'sessions',
      ]);
      const last = sessions.at(-1);
      if (last?.open === false) {
        assert.equal(last.loss, 1);
        break;
      }
      assert.ok(Date.now() < end, 'it does not end');
      await delay(50);
    }
  });

  test('a log far larger than the memory that there is for it', async () => {
    const line = '7 openat(AT_FDCWD, "/etc/motd", O_RDONLY|O_CLOEXEC) = 3</etc/motd>';
    const script = `yes '${line}' | head -n 400000 | "$@"`;
    const { json } = await sandbox.ok(['import', '--list', '-', '--root', root, '--json'], {
      prefix: ['sh', '-c', script, 'sh'],
      env: { NODE_OPTIONS: '--max-old-space-size=24' },
    });
    assert.deepEqual([(json as Imported).uses, (json as Imported).found], [400_000, 1]);
  });
});
