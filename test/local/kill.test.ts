/** Whatever is killed, at whatever moment: no process, no mount and no cgroup is left. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { lacks } from '../capabilities.ts';
import type { Daemon } from '../support/trace-sandbox.ts';
import { LocalRig, NEEDED, type Root } from './local-rig.ts';
import { leftOf, mountersOf, processesOf, type Role } from './run-processes.ts';

const VICTIMS = ['tool', 'command', 'daemon', 'world', 'init'] as const;
const MOMENTS = 20;
const PATIENCE_MS = 15_000;
const POLL_MS = 10;

const seed = Number(process.env['NFSROOT_TRACE_SEED'] ?? Date.now() % 100_000);

describe(`killed at ${MOMENTS} random moments`, { skip: lacks(...NEEDED, 'busybox') }, () => {
  let rig: LocalRig;
  let root: Root;
  let daemon: Daemon;
  let judged = 0;
  const random = randomOf(seed);
  before(async () => {
    rig = new LocalRig();
    root = rig.makeBusybox('killed', ['sh', 'cat', 'sleep', 'ls', 'mount']);
    daemon = await rig.sandbox.daemon();
  });
  after(() => rig.remove());

  for (let at = 0; at < MOMENTS; at++) {
    const victim = VICTIMS[at % VICTIMS.length] ?? 'tool';
    const wait = Math.round(random() * 400);
    test(`${victim} after ${wait} ms (seed ${seed})`, async () => {
      const word = `run-${process.pid}-${at}`;
      const run = start(word);
      const stderr = text(run.stderr ?? assert.fail());
      const ended = once(run, 'exit') as Promise<[number | null, NodeJS.Signals | null]>;
      // The tool may be killed before there is a world; the others must be there first.
      if (victim !== 'tool') await present(word, victim === 'daemon' ? 'command' : victim);
      await delay(wait);
      if (victim === 'daemon') {
        await daemon.kill();
        assert.ok(processesOf(word).has('command'), 'the command goes on');
        daemon = await rig.sandbox.daemon();
        run.kill('SIGTERM');
      } else {
        const pid = victim === 'tool' ? run.pid : processesOf(word).get(victim);
        process.kill(pid ?? assert.fail(`no ${victim}`), 'SIGKILL');
      }
      const [code, signal] = await ended;
      await nothingLeft(word);
      const told = await stderr;
      if (victim === 'tool') assert.equal(signal, 'SIGKILL');
      if (victim === 'command') assert.equal(code, 128 + 9, told);
      if (victim === 'daemon') {
        assert.equal(code, 128 + 15, told);
        assert.match(told, /recording stopped, the command goes on/);
      }
      if (victim === 'world' || victim === 'init') {
        assert.equal(code, 1, told);
        assert.match(told, /error: .* was killed, and the command with it/);
      }
      await judge(victim === 'command');
    });
  }

  test('a command that ends well after the daemon was killed: 69', async () => {
    const word = `run-${process.pid}-last`;
    const run = start(word, 'sleep 1; : "$0"');
    const stderr = text(run.stderr ?? assert.fail());
    const ended = once(run, 'exit');
    await present(word, 'command');
    await daemon.kill();
    assert.deepEqual(await ended, [69, null], await stderr);
    daemon = await rig.sandbox.daemon();
  });

  test('world while it starts init, which has not asked yet to end with it', async () => {
    for (let wait = 0; wait < 10; wait++) {
      const word = `run-${process.pid}-early-${wait}`;
      const run = start(word);
      const stderr = text(run.stderr ?? assert.fail());
      const ended = once(run, 'exit');
      await present(word, 'world');
      await delay(wait);
      process.kill(processesOf(word).get('world') ?? assert.fail(), 'SIGKILL');
      const late = delay(PATIENCE_MS, null, { ref: false }).then(() => run.kill('SIGKILL'));
      await Promise.race([ended, late]);
      assert.deepEqual(await ended, [1, null], `${wait} ms: ${await stderr}`);
      await nothingLeft(word);
    }
  });

  test('a run makes no cgroup', async () => {
    const word = `run-${process.pid}-cgroup`;
    const run = start(word);
    await present(word, 'command');
    const of = (pid: number | undefined): string => readFileSync(`/proc/${pid}/cgroup`, 'latin1');
    for (const [, pid] of processesOf(word)) assert.equal(of(pid), of(process.pid));
    // What the others look for in vain is to be seen now.
    assert.equal(processesOf(word).size, 4);
    assert.ok(mountersOf(root.path, rig.disk.path).length > 0);
    run.kill('SIGTERM');
    await once(run, 'exit');
    await nothingLeft(word);
  });

  /** Busy with short-lived processes, mounts and a background process that outlives its parent. */
  function start(
    word: string,
    work = 'sleep 1000 & mount -t tmpfs none /tmp; while :; do cat /etc/motd; ls /proc; done',
  ): ChildProcess {
    const line = ['run', '--root', root.path, '--', 'sh', '-c', work, word];
    const [program, ...args] = rig.sandbox.command(line);
    return spawn(program, args, { env: rig.sandbox.env(), stdio: ['ignore', 'ignore', 'pipe'] });
  }

  /** Waits until the run has such a process. */
  async function present(word: string, role: Role): Promise<void> {
    for (const end = Date.now() + PATIENCE_MS; !processesOf(word).has(role);) {
      assert.ok(Date.now() < end, `no ${role}`);
      await delay(POLL_MS);
    }
  }

  async function nothingLeft(word: string): Promise<void> {
    const left = (): unknown[] => [leftOf(word), mountersOf(root.path, rig.disk.path)];
    for (const end = Date.now() + PATIENCE_MS; left().flat(2).length > 0;) {
      assert.ok(Date.now() < end, `left: ${JSON.stringify(left())}`);
      await delay(POLL_MS);
    }
  }

  /** No session stays open; that of this run, if it came so far, is whole or says that it is not. */
  async function judge(whole: boolean): Promise<void> {
    type Told = { sessions: { open: boolean; loss: number }[] };
    for (const end = Date.now() + PATIENCE_MS; ;) {
      const { sessions } = await rig.sandbox.json<Told>(['sessions']);
      if (sessions.every(({ open }) => !open)) {
        for (const { loss } of sessions.slice(judged))
          assert.equal(loss === 0, whole, `a loss of ${loss}`);
        assert.ok(sessions.length > judged || !whole, 'no session');
        judged = sessions.length;
        return;
      }
      assert.ok(Date.now() < end, 'a session stays open');
      await delay(POLL_MS);
    }
  }
});

/** Numbers in [0, 1), the same for the same seed (mulberry32). */
function randomOf(start: number): () => number {
  let state = start;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
