/**
 * `trace doctor`: each thing that a recording needs, a line and a hint; changes nothing, needs no
 * daemon, and believes no name.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import Sqlite from 'better-sqlite3';
import { lacks } from '../capabilities.ts';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { recordedPlace } from '../support/recorded-place.ts';
import { TraceSandbox, type RunOptions } from '../support/trace-sandbox.ts';

interface Doctor {
  readonly ok: boolean;
  readonly tier: string | null;
  readonly wanted: string;
  readonly roots: readonly {
    readonly root: { readonly path: string };
    readonly recorded: boolean;
    readonly tier: string | null;
  }[];
  readonly tiers: readonly { readonly tier: string; readonly available: boolean }[];
  readonly findings: readonly Finding[];
}

interface Finding {
  readonly check: string;
  readonly root: { readonly path: string; readonly path_base64?: string } | null;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly text: string;
  readonly hint: string | null;
}

async function doctor(
  sandbox: TraceSandbox,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<Doctor & { readonly code: number | null }> {
  const { code, json, stderr } = await sandbox.run(['doctor', '--json', ...args], options);
  assert.equal(stderr, '');
  const told = json as Doctor;
  assert.equal(code, told.ok ? 0 : 1);
  for (const { check, state, text, hint } of told.findings) {
    assert.equal(hint === null, state === 'ok', check);
    assert.ok(text.length > 0, check);
  }
  return { ...told, code };
}

const the = ({ findings }: Doctor, check: string, path?: string): Finding => {
  const found = findings.find(
    (one) => one.check === check && (path === undefined || one.root?.path === path),
  );
  assert.ok(found !== undefined, `${check} is not among ${findings.map((f) => f.check).join()}`);
  return found;
};

/** Everything in a folder: name, size, times. */
function inventory(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const { size, mtimeMs, ctimeMs } = lstatSync(join(folder, name));
      return `${name} ${size} ${mtimeMs} ${ctimeMs}`;
    });
}

describe('on any machine', () => {
  let sandbox: TraceSandbox;
  before(() => {
    sandbox = new TraceSandbox();
  });
  after(() => sandbox.remove());

  test('the machine, the clocks, the disk; nothing is made for it', async () => {
    const told = await doctor(sandbox);
    for (const check of ['kernel', 'capabilities', 'fanotify', 'locked memory', 'wall clock'])
      assert.equal(the(told, check).root, null);
    assert.equal(the(told, 'monotonic clock').state, 'ok');
    assert.match(the(told, 'disk').text, /free for .*made at the first start/);
    assert.match(the(told, 'daemon').text, /^none runs/);
    assert.deepEqual(
      told.tiers.map(({ tier }) => tier),
      ['exact+names', 'exact', 'reads', 'sole-client'],
    );
    assert.deepEqual(readdirSync(sandbox.folder), []);
  });

  test('aligned lines, the hint below its line', async () => {
    const { text } = await sandbox.run(['doctor']);
    const lines = text.trimEnd().split('\n');
    assert.match(lines.at(-1) ?? '', /^best tier now: |^nothing can be recorded$/);
    const columns = lines
      .filter((line) => /^(ok|warn|fail) /.test(line))
      .map((line) => /^\w+ +\S+(?: \S+)* {2,}/.exec(line)?.[0].length);
    assert.equal(new Set(columns).size, 1, text);
    for (const [index, line] of lines.entries())
      assert.equal(
        /^(warn|fail) /.test(line),
        / hint: /.test(lines[index + 1] ?? '') && !/ hint: /.test(line),
        line,
      );
  });

  test('a tier that is none', async () => {
    await sandbox.fails(['doctor', '--tier', 'best'], {
      code: 64,
      message: /'best' is invalid/,
    });
  });

  test('a root that is not there', async () => {
    const told = await doctor(sandbox, ['--root', '/no/such']);
    assert.deepEqual(
      [the(told, 'root').state, the(told, 'tier', '/no/such').state, told.code],
      ['fail', 'fail', 1],
    );
    assert.deepEqual(told.roots, [{ root: { path: '/no/such' }, recorded: false, tier: null }]);
  });

  test('a state folder on a file system without sessions after a reboot', async () => {
    const told = await doctor(sandbox, ['--state-dir', '/dev/shm']);
    assert.match(the(told, 'state folder').text, /tmpfs/);
  });
});

describe('databases', () => {
  test('a sound one, looked at without a change; what it says is to be recorded', async () => {
    const { sandbox, root } = recordedPlace();
    try {
      const db = new Sqlite(sandbox.database);
      db.exec('UPDATE recording SET stopped_us = NULL WHERE id = 1');
      db.close();
      const before = inventory(sandbox.stateDir);
      const told = await doctor(sandbox);
      assert.match(the(told, 'database').text, /schema \d+, sound/);
      assert.match(the(told, 'daemon').text, /none runs, but 1 roots are to be recorded/);
      assert.equal(the(told, 'daemon').state, 'fail');
      assert.deepEqual(
        told.roots.map(({ root: { path }, recorded }) => [path, recorded]),
        [[root, true]],
      );
      assert.deepEqual(inventory(sandbox.stateDir), before);
    } finally {
      await sandbox.remove();
    }
  });

  test('left in WAL mode without its log: still no file is made', async () => {
    const { sandbox } = recordedPlace();
    try {
      const db = new Sqlite(sandbox.database);
      db.pragma('journal_mode = WAL');
      db.close();
      const before = inventory(sandbox.stateDir);
      assert.match(the(await doctor(sandbox), 'database').text, /sound/);
      assert.deepEqual(inventory(sandbox.stateDir), before);
    } finally {
      await sandbox.remove();
    }
  });

  test('damaged, foreign, newer, from a clock that was set back', async () => {
    const place = recordedPlace();
    const { sandbox } = place;
    try {
      const kept = sandbox.at('kept.db');
      copyFileSync(sandbox.database, kept);
      const changed = async (change: (db: Sqlite.Database) => void): Promise<Doctor> => {
        copyFileSync(kept, sandbox.database);
        const db = new Sqlite(sandbox.database);
        change(db);
        db.close();
        return doctor(sandbox);
      };
      const newer = await changed((db) => db.pragma('user_version = 99'));
      assert.match(the(newer, 'database').text, /schema 99, this program knows/);
      assert.equal(the(newer, 'database').state, 'fail');
      const foreign = await changed((db) => db.pragma('application_id = 7'));
      assert.match(the(foreign, 'database').text, /another program's/);
      const future = (Date.now() + 3_600_000) * 1000;
      const late = await changed((db) => db.prepare('UPDATE state SET batch_us = ?').run(future));
      assert.match(the(late, 'wall clock').text, /but the database was written at/);

      const bytes = readFileSync(kept);
      bytes.fill(0xa5, bytes.length - 8192);
      writeFileSync(sandbox.database, bytes);
      const damaged = the(await doctor(sandbox), 'database');
      assert.deepEqual([damaged.state, /damaged|malformed/.test(damaged.text)], ['fail', true]);
      writeFileSync(sandbox.database, 'this is no database at all, not by any means');
      assert.match(the(await doctor(sandbox), 'database').text, /not a database/);
    } finally {
      await sandbox.remove();
    }
  });
});

describe('with other eyes', { skip: lacks('root', 'mount') }, () => {
  let sandbox: TraceSandbox;
  before(() => {
    sandbox = new TraceSandbox();
  });
  after(() => sandbox.remove());
  /** Runs the rest of the line after a script, in mounts of its own. */
  const apart = (script: string): RunOptions => ({
    prefix: ['unshare', '--mount', 'sh', '-c', `${script} && exec "$@"`, 'sh'],
  });

  test('nobody: says what he could not look at', async () => {
    mkdirSync(sandbox.stateDir, { mode: 0o700 });
    const told = await doctor(sandbox, [], { prefix: sandbox.asNobody() });
    assert.equal(told.tier, null);
    assert.match(the(told, 'capabilities').text, /CAP_SYS_ADMIN/);
    assert.match(the(told, 'tracefs').text, /could not look|not mounted/);
    assert.match(the(told, 'database').text, /could not look: no permission/);
    assert.equal(told.code, 1);
  });

  test('a container without tracefs', async () => {
    const told = await doctor(
      sandbox,
      [],
      apart('{ umount -l /sys/kernel/tracing /sys/kernel/debug 2>/dev/null || true; }'),
    );
    assert.match(the(told, 'tracefs').text, /not mounted/);
    assert.match(the(told, 'perf').text, /without tracefs/);
    assert.equal(told.tiers.find(({ tier }) => tier === 'exact')?.available, false);
  });

  test('a container whose /proc hides everything', async () => {
    const told = await doctor(
      sandbox,
      [],
      apart('mount -t tmpfs none /proc/sys && mount --bind /dev/null /proc/self/mountinfo'),
    );
    assert.match(the(told, 'fanotify').text, /built into the kernel/);
    assert.equal(the(told, 'locked memory').state, 'warn');
  });

  test('an export table with hostile names: one line each, and their bytes in JSON', async () => {
    const etab = sandbox.at('etab');
    const evil = '/srv/a\\012ok    exports\\033[31m\\377';
    writeFileSync(etab, `${evil}\t*(rw,no_subtree_check)\n\n/x\tjunk\n\tno\n(\n/y\t*(`);
    // Where there is no NFS server, its folder is not there either.
    const script = `mount -t tmpfs none /var/lib && mkdir -p /var/lib/nfs && cp '${etab}' /var/lib/nfs/etab`;
    const told = await doctor(sandbox, [], apart(script));
    const found = the(told, 'export');
    assert.match(found.text, /^for \*; kind of fsid known with the first client$/);
    assert.ok(found.root?.path_base64 !== undefined);
    assert.deepEqual(
      Buffer.from(found.root.path_base64, 'base64'),
      Buffer.from('/srv/a\nok    exports\u001b[31m\xff', 'latin1'),
    );
    const { text } = await sandbox.run(['doctor'], apart(script));
    assert.match(text, /^\/srv\/a\\x0aok {4}exports\\x1b\[31m\\xff$/m);
    assert.ok(!text.includes('\u001b'));
  });

  test('exports: what their options mean for a handle', async () => {
    const etab = sandbox.at('etab');
    writeFileSync(
      etab,
      [
        '/srv/plain\t*(rw,no_subtree_check)',
        '/srv/number\t10.0.0.0/24(ro,subtree_check,crossmnt,fsid=7)',
        '/srv/number\t10.0.1.0/24(ro,no_subtree_check,fsid=7)',
        '/srv/signed\t*(ro,no_subtree_check,sign_fh)',
      ].join('\n'),
    );
    const script = `mount -t tmpfs none /var/lib && mkdir -p /var/lib/nfs && cp '${etab}' /var/lib/nfs/etab`;
    const told = await doctor(sandbox, [], apart(script));
    assert.match(the(told, 'exports').text, /^3 directories$/);
    assert.equal(the(told, 'export', '/srv/plain').state, 'ok');
    assert.match(
      the(told, 'export', '/srv/number').text,
      /^for 10\.0\.0\.0\/24 10\.0\.1\.0\/24; fsid by fsid=7; subtree_check; crossmnt$/,
    );
    assert.match(
      the(told, 'export', '/srv/signed').text,
      /without a kprobe event signed handles do not resolve|sign_fh$/,
    );
  });
});

describe('roots', { skip: lacks('root', 'loop', 'fanotify', 'handles', 'mount') }, () => {
  let sandbox: TraceSandbox;
  let disk: MountedFileSystem;
  let root: string;
  before(() => {
    sandbox = new TraceSandbox();
    disk = makeFileSystem('ext4');
    root = `${disk.path}/root`;
    mkdirSync(`${root}/below`, { recursive: true });
  });
  after(async () => {
    await sandbox.remove();
    disk.remove();
  });

  test('one that can be recorded, on an ext4; a server of user space is enough for this tier', async () => {
    const told = await doctor(sandbox, ['--root', root, '--tier', 'sole-client']);
    assert.match(the(told, 'file system', root).text, /^ext4 on .*, mounted on /);
    for (const check of ['handles', 'events', 'access times', 'tier'])
      assert.equal(the(told, check, root).state, 'ok', check);
    assert.deepEqual([told.code, told.roots[0]?.tier], [0, 'sole-client']);
    const strict = await doctor(sandbox, ['--root', root]);
    assert.match(the(strict, 'tier', root).text, /sole-client: the kernel's NFS server does not/);
    assert.equal(strict.code, 1);
  });

  test('noatime, and something mounted below', async () => {
    const script = `mount -o remount,bind,noatime '${disk.path}' && mount -t tmpfs none '${root}/below'`;
    const told = await doctor(sandbox, ['--root', root], {
      prefix: ['unshare', '--mount', 'sh', '-c', `${script} && exec "$@"`, 'sh'],
    });
    assert.match(the(told, 'access times', root).text, /noatime/);
    assert.match(the(told, 'mounts below', root).text, /below \(tmpfs\)/);
  });

  test('a file system without handles, and one within an overlay', async () => {
    const overlay = sandbox.at('overlay');
    for (const name of ['lower', 'upper', 'work', 'merged'])
      mkdirSync(`${overlay}/${name}`, { recursive: true });
    execFileSync('mount', [
      ...['-t', 'overlay', 'overlay', '-o'],
      `lowerdir=${overlay}/lower,upperdir=${overlay}/upper,workdir=${overlay}/work`,
      `${overlay}/merged`,
    ]);
    try {
      for (const [path, type] of [
        ['/proc', 'proc'],
        [`${overlay}/merged`, 'overlay'],
      ] as const) {
        const told = await doctor(sandbox, ['--root', path]);
        assert.match(the(told, 'file system', path).text, new RegExp(`^${type} on `));
        assert.ok(
          [the(told, 'handles', path), the(told, 'events', path)].some(
            ({ state }) => state === 'fail',
          ),
          path,
        );
        if (type === 'overlay') assert.match(JSON.stringify(told), /index=on,nfs_export=on/);
        assert.deepEqual([told.code, told.roots[0]?.tier], [1, null]);
      }
    } finally {
      execFileSync('umount', [`${overlay}/merged`]);
    }
  });

  test('while a daemon records: that root, and the daemon', async () => {
    await sandbox.ok(['start', '--root', root]);
    const told = await doctor(sandbox);
    assert.deepEqual(
      told.roots.map((one) => [one.root.path, one.recorded]),
      [[root, true]],
    );
    assert.match(the(told, 'daemon').text, /^pid \d+, .* 1 roots recorded/);
    assert.match(the(told, 'database').text, /sound/);
    await sandbox.ok(['stop']);
    assert.match((await doctor(sandbox)).findings.at(-1)?.text ?? '', / 0 roots recorded/);
  });
});
