/** Whatever is killed, at whatever moment: no process, no mount and no cgroup is left. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, readlinkSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { lacks } from '../capabilities.ts';
import type { Daemon } from '../support/trace-sandbox.ts';
import { LocalRig, NEEDED, type Root } from './local-rig.ts';
import { holdersOf, leftOf, mountersOf, processesOf, type Role } from './run-processes.ts';

const VICTIMS = ['tool', 'command', 'daemon', 'world', 'init'] as const;
const MOMENTS = 20;
/** Busy with short-lived processes, mounts and a background process that outlives its parent. */
const BUSY = 'sleep 1000 & mount -t tmpfs none /tmp; while :; do cat /etc/motd; ls /proc; done';
const PATIENCE_MS = 15_000;
const POLL_MS = 10;

type Way = 'run' | 'shell';

/** A run that was started. */
interface Started {
  readonly pid: number;
  readonly kill: (signal: NodeJS.Signals) => void;
  /** How it ended, once nothing has its standard error any more. Rejected if that takes too long. */
  readonly ended: () => Promise<Ended>;
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly told: string;
}

const seed = Number(process.env['NFSROOT_TRACE_SEED'] ?? Date.now() % 100_000);

describe(`killed at ${MOMENTS} random moments`, { skip: lacks(...NEEDED, 'busybox') }, () => {
  let rig: LocalRig;
  let root: Root;
  let daemon: Daemon;
  let judged = 0;
  const started = new Set<ChildProcess>();
  const random = randomOf(seed);
  before(async () => {
    rig = new LocalRig();
    root = rig.makeBusybox('killed', ['sh', 'cat', 'sleep', 'ls', 'mount']);
    daemon = await rig.sandbox.daemon();
  });
  // A test that failed leaves its run, which would be in the way of all others.
  afterEach(async () => {
    for (const run of started) {
      run.kill('SIGKILL');
      await once(run, 'close');
    }
  });
  after(() => rig.remove());

  for (let at = 0; at < 2 * MOMENTS; at++) {
    const victim = VICTIMS[at % VICTIMS.length] ?? 'tool';
    const way = at < MOMENTS ? 'run' : 'shell';
    const wait = Math.round(random() * 400);
    test(`${victim} of trace ${way} after ${wait} ms (seed ${seed})`, async () => {
      const word = `run-${process.pid}-${at}`;
      const run = start(word, { way });
      // The tool may be killed before there is a world; the others must be there first.
      const role = victim === 'daemon' ? 'command' : victim;
      const pid = role === 'tool' ? run.pid : await present(word, role);
      await delay(wait);
      if (victim === 'daemon') {
        await daemon.kill();
        await present(word, 'command');
        daemon = await rig.sandbox.daemon();
        run.kill('SIGTERM');
      } else process.kill(pid, 'SIGKILL');
      const { code, signal, told } = await run.ended();
      await nothingLeft(word);
      if (victim === 'tool') assert.equal(signal, 'SIGKILL');
      if (victim === 'command') assert.equal(code, 128 + 9, told);
      if (victim === 'daemon') {
        assert.equal(code, 128 + 15, told);
        assert.match(told, /recording stopped, the command goes on/);
      }
      if (victim === 'world' || victim === 'init') {
        assert.equal(code, 1, told);
        assert.match(told, /error: .* was killed, and the command with it/);
        assert.doesNotMatch(told, /goes on/);
      }
      await judge(victim === 'command');
    });
  }

  test('a command that ends well after the daemon was killed: 69', async () => {
    const word = `run-${process.pid}-last`;
    const run = start(word, { work: 'sleep 1; :' });
    await present(word, 'command');
    await daemon.kill();
    const { code, told } = await run.ended();
    assert.equal(code, 69, told);
    daemon = await rig.sandbox.daemon();
  });

  test('world while it starts init, which has not asked yet to end with it', async () => {
    for (let wait = 0; wait < 10; wait++) {
      const word = `run-${process.pid}-early-${wait}`;
      const run = start(word);
      const world = await present(word, 'world');
      await delay(wait);
      process.kill(world, 'SIGKILL');
      const { code, told } = await run.ended();
      assert.equal(code, 1, `${wait} ms: ${told}`);
      await nothingLeft(word);
    }
  });

  test('a run makes no cgroup', async () => {
    const word = `run-${process.pid}-cgroup`;
    const run = start(word);
    const of = (pid: number): string => readFileSync(`/proc/${pid}/cgroup`, 'latin1');
    // What the others look for in vain is to be seen now.
    for (const role of ['tool', 'world', 'init', 'command', 'other'] as const)
      assert.equal(of(await present(word, role)), of(process.pid));
    assert.ok(mountersOf(root.path, rig.disk.path).length > 0);
    run.kill('SIGTERM');
    await run.ended();
    await nothingLeft(word);
  });

  /** A shell does the work: it is its argument, or what it reads. */
  function start(
    word: string,
    { way = 'run', work = BUSY }: { way?: Way; work?: string } = {},
  ): Started {
    const line =
      way === 'run' ? ['run', '--root', root.path, '--', 'sh', '-c', work] : ['shell', root.path];
    // It must end with this process, however that ends.
    const [program, ...args] = rig.sandbox.command(line, ['setpriv', '--pdeathsig', 'KILL']);
    const env = { ...rig.sandbox.env(), TERM: word };
    const child = spawn(program, args, { env, stdio: ['pipe', 'ignore', 'pipe'] });
    child.stdin.on('error', () => undefined).end(`${work}\n`);
    started.add(child);
    child.once('close', () => started.delete(child));
    const pid = child.pid ?? assert.fail();
    const stderr = readlinkSync(`/proc/${pid}/fd/2`);
    const told = text(child.stderr);
    const closed = once(child, 'close');
    const ended = async (): Promise<Ended> => {
      const late = delay(PATIENCE_MS, 'late', { ref: false });
      if ((await Promise.race([closed, late])) === 'late') {
        const holders = holdersOf(stderr);
        for (const left of leftOf(word)) process.kill(left, 'SIGKILL');
        const { exitCode, signalCode } = child;
        assert.fail(`${exitCode ?? signalCode ?? 'it runs'}; still there:\n${holders.join('\n')}`);
      }
      return { code: child.exitCode, signal: child.signalCode, told: await told };
    };
    return { pid, kill: (signal) => child.kill(signal), ended };
  }

  /** Waits until the run has such a process. One that execs has no command line for a moment. */
  async function present(word: string, role: Role): Promise<number> {
    for (const end = Date.now() + PATIENCE_MS; ;) {
      const pid = processesOf(word).get(role);
      if (pid !== undefined) return pid;
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
