/** scripts/install below a folder of its own: what is there, who may use it, and what an upgrade leaves. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { Place, REPOSITORY } from './place.ts';

const PREFIX = '/opt/nfsroot-trace';

describe('scripts/install', { skip: lacks('root') }, () => {
  let folder = '';
  const at = (name: string): string => join(folder, name);
  const install = (...args: string[]) =>
    spawnSync(
      'bash',
      ['-c', 'umask 077; exec "$@"', '-', `${REPOSITORY}/scripts/install`, ...args],
      {
        encoding: 'utf8',
      },
    );
  const installed = (...args: string[]): string => {
    const { status, stdout, stderr } = install('--destdir', folder, ...args);
    assert.equal(status, 0, stdout + stderr);
    return stderr;
  };
  const releases = (): string[] => readdirSync(at(`${PREFIX}/releases`)).sort();
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'nfsroot-trace-install-'));
    chmodSync(folder, 0o755);
    // What is somebody else's.
    mkdirSync(at('usr/local/bin'), { recursive: true });
    writeFileSync(at('usr/local/bin/trace'), '#!/bin/sh\necho other\n');
    installed();
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('anybody can run it, whatever the umask, and nobody can change it', () => {
    const program = [at(`${PREFIX}/current/bin/node`), at(`${PREFIX}/current/dist/cli/bin.cjs`)];
    const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', ...program];
    // The database's module and the addon too.
    const { stdout, stderr } = spawnSync(
      'setpriv',
      [...nobody, '--state-dir', at('none'), 'sessions'],
      { encoding: 'utf8', cwd: '/' },
    );
    assert.match(stderr, /^error: there is no database /, stdout);
    const found = spawnSync('find', [
      at('opt'),
      '!',
      '-type',
      'l',
      '(',
      '!',
      '-user',
      'root',
      '-o',
      '-perm',
      '/022',
      ')',
    ]);
    assert.equal(found.stdout.toString(), '');
    assert.equal(existsSync(at(`${PREFIX}/current/node_modules/typescript`)), false);
  });

  test("the unit's command is the one that is installed", () => {
    const unit = readFileSync(at('usr/local/lib/systemd/system/nfsroot-trace.service'), 'utf8');
    const commands = [...unit.matchAll(/^Exec\w+=[+-]*(\S*nfsroot-trace) /gm)].map(
      ([, path]) => path,
    );
    assert.equal(commands.length, 3);
    for (const path of commands) assert.ok(statSync(at(path ?? '')).mode & 0o001, path);
    const text = readFileSync(at(commands[0] ?? ''), 'utf8');
    assert.ok(text.includes(`${PREFIX}/current/bin/node ${PREFIX}/current/dist/cli/bin.cjs "$@"`));
    assert.ok(existsSync(at('usr/local/lib/sysusers.d/nfsroot-trace.conf')));
  });

  test("another program's `trace` stays; ours comes when it has gone", () => {
    const trace = at('usr/local/bin/trace');
    assert.match(readFileSync(trace, 'utf8'), /echo other/);
    assert.match(installed(), /trace is another program's/);
    unlinkSync(trace);
    assert.equal(installed(), '');
    assert.match(readFileSync(trace, 'utf8'), /current\/dist\/cli\/bin\.cjs/);
  });

  test('every program of package.json has its command', () => {
    const { bin } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as {
      bin: Record<string, string>;
    };
    assert.deepEqual(readdirSync(at('usr/local/bin')).sort(), Object.keys(bin).sort());
    for (const [name, file] of Object.entries(bin)) {
      assert.ok(existsSync(join(REPOSITORY, 'scripts/bin', name)), name);
      const text = readFileSync(at(`usr/local/bin/${name}`), 'utf8');
      assert.ok(text.includes(`${PREFIX}/current/bin/node ${PREFIX}/current/${file} "$@"`));
    }
  });

  test('again: nothing is copied; an upgrade keeps the release before, which may still run', () => {
    const [release = ''] = releases();
    const { ino } = statSync(at(`${PREFIX}/releases/${release}/bin/node`));
    installed();
    assert.equal(statSync(at(`${PREFIX}/releases/${release}/bin/node`)).ino, ino);
    for (const name of ['0.0.1-before', '0.0.0-long-ago'])
      mkdirSync(at(`${PREFIX}/releases/${name}`));
    unlinkSync(at(`${PREFIX}/current`));
    symlinkSync('releases/0.0.1-before', at(`${PREFIX}/current`));
    installed();
    assert.equal(readlinkSync(at(`${PREFIX}/current`)), `releases/${release}`);
    assert.deepEqual(releases(), ['0.0.1-before', release]);
  });

  test('uninstalled, only what it did not make is there', () => {
    mkdirSync(at('var/lib/nfsroot-trace'), { recursive: true });
    writeFileSync(at('var/lib/nfsroot-trace/trace.db'), '');
    writeFileSync(at('usr/local/bin/other'), '');
    assert.match(installed('--uninstall'), /kept: the database in \/var\/lib\/nfsroot-trace/);
    const { stdout } = spawnSync('find', ['.', '-type', 'f', '-o', '-type', 'l'], {
      cwd: folder,
      encoding: 'utf8',
    });
    assert.deepEqual(stdout.trim().split('\n').sort(), [
      './usr/local/bin/other',
      './var/lib/nfsroot-trace/trace.db',
    ]);
    assert.equal(existsSync(at('opt/nfsroot-trace')), false);
  });

  test(
    'without --destdir the machine is told, and what to do next is said',
    {
      skip: lacks('mount'),
    },
    (t) => {
      const place = new Place();
      t.after(() => place.remove());
      // Not active at first, then active.
      place.command('systemctl', `case "$*" in *is-active*) test -e /run/active ;; esac`);
      place.command('systemd-sysusers');
      const script = `
      for folder in /opt /run; do mount -t tmpfs none $folder; done
      mkdir -p /run/systemd/system /run/upper /run/work
      mount -t overlay -o lowerdir=/usr/local,upperdir=/run/upper,workdir=/run/work none /usr/local
      "$0"; touch /run/active; "$0"
      /usr/local/bin/trace --version && "$0" --uninstall; find /opt /run/upper -type f`;
      const said = place.run('bash', 'exec unshare --mount sh -c "$SCRIPT" "$INSTALL"', {
        SCRIPT: script,
        INSTALL: `${REPOSITORY}/scripts/install`,
      });
      const [, first, second, ...rest] = said.stderr.trim().split('\n');
      assert.match(
        first ?? '',
        /next: trace doctor, and then: systemctl enable --now nfsroot-trace$/,
      );
      assert.match(
        second ?? '',
        /still runs what was there before: systemctl restart nfsroot-trace$/,
      );
      assert.match(rest.join('\n'), /^==> removed; kept: .*$/);
      assert.match(said.stdout, /^\d+\.\d+\.\d+\n$/);
      const told = [
        'systemd-sysusers nfsroot-trace.conf',
        'systemctl daemon-reload',
        'systemctl --quiet is-active nfsroot-trace.service',
      ];
      assert.deepEqual(place.calls(), [
        ...told,
        ...told,
        'systemctl --quiet disable --now nfsroot-trace.service',
        'systemctl daemon-reload',
      ]);
    },
  );

  test(
    'an upgrade that cannot write commands leaves the old ones working; what runs is not uninstalled',
    { skip: lacks('mount') },
    (t) => {
      const place = new Place();
      t.after(() => place.remove());
      // A release from before there was a trace-quick, and its command.
      const script = `
      mount -t tmpfs none /opt; mount -t tmpfs none /run; mkdir -p /run/upper /run/work
      mount -t overlay -o lowerdir=/usr/local,upperdir=/run/upper,workdir=/run/work none /usr/local
      mkdir -p /opt/nfsroot-trace/releases/0.0.1-old /usr/local/lib/systemd
      ln -s releases/0.0.1-old /opt/nfsroot-trace/current
      now=/opt/nfsroot-trace/current
      printf '%s\n' '#!/bin/sh' '# Made by scripts/install of nfsroot-trace' \
        "exec $now/bin/node $now/dist/cli/bin.cjs \"\$@\"" >/usr/local/bin/trace
      chmod 755 /usr/local/bin/trace
      mount -t tmpfs -o ro none /usr/local/lib/systemd
      "$0"; echo $?; /usr/local/bin/trace --version
      umount /usr/local/lib/systemd; "$0" 2>/dev/null; echo $?
      $now/bin/node -e 'setTimeout(() => {}, 60000)' & sleep 1
      "$0" --uninstall; echo $?; /usr/local/bin/trace --version
      kill $!; wait; "$0" --uninstall 2>/dev/null; echo $?`;
      const said = place.run('bash', 'exec unshare --mount sh -c "$SCRIPT" "$INSTALL"', {
        SCRIPT: script,
        INSTALL: `${REPOSITORY}/scripts/install`,
      });
      assert.match(
        said.stdout,
        /^73\n\d+\.\d+\.\d+\n0\n75\n\d+\.\d+\.\d+\n0\n$/,
        said.stdout + said.stderr,
      );
      assert.match(said.stderr, /^error: a daemon of it runs, or a command$/m);
    },
  );

  test('what makes no sense is refused', () => {
    for (const args of [
      ['--prefix', '/'],
      ['--prefix', 'opt'],
      ["--prefix=/a b'"],
      ['--prefix'],
      ['x'],
    ]) {
      const { status, stderr } = install('--destdir', at('elsewhere'), ...args);
      assert.match(stderr, /^error: .*\nhint: scripts\/install/, args.join(' '));
      assert.equal(status, 64);
    }
    assert.equal(existsSync(at('elsewhere')), false);
  });
});
