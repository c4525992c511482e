/** The daemon as its service manager knows it: ready, alive, reloading, ending in time. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { ServiceManagerEar } from '../support/service-manager.ts';
import { TraceSandbox, type Daemon } from '../support/trace-sandbox.ts';

describe(
  'the life of the daemon',
  { skip: lacks('root', 'loop', 'fanotify', 'handles', 'python') },
  () => {
    let disk: MountedFileSystem;
    let sandbox: TraceSandbox;
    let ear: ServiceManagerEar;
    before(() => {
      disk = makeFileSystem('ext4');
    });
    after(() => disk.remove());
    beforeEach(async () => {
      sandbox = new TraceSandbox();
      ear = new ServiceManagerEar(sandbox.at('notify'));
      await ear.start();
    });
    afterEach(async () => {
      await sandbox.remove();
      ear.stop();
    });

    const daemon = (
      env: NodeJS.ProcessEnv = {},
      config: Readonly<Record<string, unknown>> = {},
    ): Promise<Daemon> => sandbox.daemon(config, { env: { NOTIFY_SOCKET: ear.path, ...env } });
    const root = (name: string): string => {
      mkdirSync(`${disk.path}/${name}`, { recursive: true });
      return `${disk.path}/${name}`;
    };
    const bind = (from: string, to: string): void => {
      execFileSync('mount', ['--bind', from, to]);
    };

    test('ready when each root is recorded or known to be absent', async () => {
      const real = root('late');
      const place = sandbox.at('place');
      mkdirSync(place);
      bind(real, place);
      const first = await daemon();
      await ear.hears(/^READY=1$/);
      await sandbox.ok(['start', '--root', place]);
      await first.stop();
      await ear.hears(/^STOPPING=1$/);
      execFileSync('umount', [place]);
      // What is there now is a folder of a file system that gives no events: /tmp's may.
      execFileSync('rmdir', [place]);

      const from = ear.said.length;
      const second = await daemon();
      await ear.hears(/^STATUS=recording 0 of 1 roots.*place waits: .*No such/, from);
      await ear.hears(/^READY=1$/, from);
      mkdirSync(place);
      bind(real, place);
      await ear.hears(/^STATUS=recording 1 of 1 roots/, from);
      assert.match(second.log(), /recording of .*place goes on/);
      await sandbox.ok(['stop']);
      await second.stop();
      execFileSync('umount', [place]);
    });

    test('a root that is unmounted while it is recorded: what is there then is, and the change is a loss', async () => {
      const real = root('unmounted');
      writeFileSync(`${real}/file`, 'x');
      const place = sandbox.at('place');
      mkdirSync(place);
      bind(real, place);
      const { log } = await daemon();
      await sandbox.ok(['start', '--root', place]);
      const changed = async (times: number): Promise<void> => {
        for (const end = Date.now() + 20_000; ;) {
          if ((log().match(/loss \(root-absent/g)?.length ?? 0) >= times) return;
          assert.ok(Date.now() < end, log());
          await delay(50);
        }
      };
      execFileSync('umount', ['-l', place]);
      await changed(1);
      bind(real, place);
      await changed(2);
      await ear.hears(/^STATUS=recording 1 of 1 roots/);
      const { stopped } = await sandbox.json<{ stopped: { losses: { where: string }[] }[] }>([
        'stop',
      ]);
      assert.deepEqual(
        stopped[0]?.losses.map(({ where }) => where),
        ['root-absent'],
      );
      execFileSync('umount', [place]);
    });

    test('alive while it makes progress: not when it stands still', async () => {
      const { child, log } = await daemon({ WATCHDOG_USEC: '1500000' });
      await sandbox.ok(['start', '--root', root('one')]);
      await ear.hears(/^WATCHDOG=1$/, ear.said.length);
      await ear.hears(/^WATCHDOG=1$/, ear.said.length);
      child.kill('SIGSTOP');
      await delay(100);
      const from = ear.said.length;
      await delay(1500);
      assert.deepEqual(ear.said.slice(from), []);
      child.kill('SIGCONT');
      await ear.hears(/^WATCHDOG=1$/, from);
      assert.doesNotMatch(log(), /no progress/);
    });

    test('nor when its writer does not come back', async () => {
      const state = makeFileSystem('ext4');
      try {
        execFileSync('mkdir', [`${state.path}/state`]);
        const place = { NFSROOT_TRACE_STATE_DIR: `${state.path}/state` };
        const { stop } = await daemon({ WATCHDOG_USEC: '1500000', ...place });
        await sandbox.ok(['start', '--root', root('one')]);
        await ear.hears(/^WATCHDOG=1$/, ear.said.length);
        execFileSync('fsfreeze', ['-f', state.path]);
        let heard: number;
        try {
          // The heartbeat of an idle recorder is a write within 5 s.
          await delay(7000);
          heard = ear.said.length;
          await delay(1500);
        } finally {
          execFileSync('fsfreeze', ['-u', state.path]);
        }
        assert.deepEqual(ear.said.slice(heard), []);
        await ear.hears(/^WATCHDOG=1$/, heard);
        await stop();
      } finally {
        state.remove();
      }
    });

    test('but a disk that refuses does not end it: what it has is in its memory', async () => {
      await daemon({ WATCHDOG_USEC: '1500000' });
      await sandbox.ok(['start', '--root', root('one')]);
      const holder = await hold(sandbox);
      try {
        await ear.hears(/^STATUS=.*commits wait: .*locked/);
        await ear.hears(/^WATCHDOG=1$/, ear.said.length);
        await ear.hears(/^WATCHDOG=1$/, ear.said.length);
      } finally {
        holder.kill();
      }
      await ear.hears(
        /^STATUS=recording 1 of 1 roots at tier (?!.*(wait:|stays))/,
        ear.said.length,
      );
    });

    test('SIGHUP: a configuration that is wrong changes nothing, and is said', async () => {
      const { child, log } = await daemon();
      await sandbox.ok(['start', '--root', root('one')]);
      writeFileSync(sandbox.at('config.json'), '{"flushMs": 100, "quietMinuets": 1}');
      child.kill('SIGHUP');
      await ear.hears(/^RELOADING=1$/);
      await ear.hears(/^STATUS=.*the old configuration stays: .*quietMinuets/);
      const lines = log().match(/the old configuration stays/g);
      assert.equal(lines?.length, 1);
      assert.match((await sandbox.ok(['status'])).text, /one/);

      const from = ear.said.length;
      writeFileSync(
        sandbox.at('config.json'),
        '{"flushMs": 200, "quietMinutes": 1, "serverNames": ["unfsd"]}',
      );
      child.kill('SIGHUP');
      await ear.hears(/^READY=1$/, from);
      await ear.hears(/^STATUS=recording 1 of 1 roots at tier (?!.*(wait:|stays))/, from);
      assert.match(log(), /changed: flushMs, quietMinutes; needs a restart: serverNames/);
      child.kill('SIGHUP');
      for (const end = Date.now() + 5000; !/needs a restart: serverNames"/.test(log());) {
        assert.ok(Date.now() < end, log());
        await delay(20);
      }
    });

    test('SIGTERM with a database that another program holds: within 10 s, and it says what is lost', async () => {
      const { child, log } = await daemon();
      await sandbox.ok(['start', '--root', root('one')]);
      const holder = await hold(sandbox);
      try {
        await ear.hears(/^STATUS=.*commits wait: .*locked/);
        const began = Date.now();
        child.kill('SIGTERM');
        await once(child, 'close');
        assert.ok(Date.now() - began < 10_000, `${Date.now() - began} ms`);
        assert.equal(child.exitCode, 75, log());
        assert.match(log(), /locked by another program/);
      } finally {
        holder.kill();
      }
      await daemon();
      assert.match((await sandbox.ok(['status'])).text, /one/, 'its recordings resume');
    });

    test('SIGTERM while it is held only for a moment: nothing is lost', async () => {
      const { child, log } = await daemon();
      await sandbox.ok(['start', '--root', root('one')]);
      const holder = await hold(sandbox);
      await ear.hears(/^STATUS=.*commits wait: .*locked/);
      child.kill('SIGTERM');
      await delay(1500);
      holder.kill();
      await once(child, 'close');
      assert.equal(child.exitCode, 0, log());
    });
  },
);

/** Another program that has the database for itself. */
async function hold(sandbox: TraceSandbox): Promise<ReturnType<typeof spawn>> {
  const program =
    'import sqlite3, sys, time\n' +
    'c = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)\n' +
    'c.execute("BEGIN IMMEDIATE")\nprint("held", flush=True)\ntime.sleep(60)';
  const child = spawn('/usr/bin/python3', ['-c', program, sandbox.database], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return child;
}
