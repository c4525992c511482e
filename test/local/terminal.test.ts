/** `trace shell` on a terminal: job control, keys, window size, and the terminal back in order. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { lacks } from '../capabilities.ts';
import { Pty } from '../support/pty.ts';
import { LocalRig, NEEDED, type Root } from './local-rig.ts';

const PATIENCE_MS = 20_000;
const POLL_MS = 20;
/** Says when it runs. */
const SLEEP = `bash -c 'echo awake; exec sleep 1000'`;

describe('trace shell on a terminal', { skip: lacks(...NEEDED, 'busybox') }, () => {
  let rig: LocalRig;
  let root: Root;
  before(() => {
    rig = new LocalRig();
    root = rig.makeRoot('terminal', ['bash', 'sleep', 'stty', 'cat']);
  });
  after(() => rig.remove());

  test('a shell with jobs, Ctrl-C, Ctrl-Z and a window that changes', async (t) => {
    const pty = open(['shell', root.path]);
    t.after(() => pty.close());
    await seen(pty, /bash-[\d.]+# $/);
    await typed(pty, SLEEP, /awake\r\n/);
    pty.press('\u0003');
    await typed(pty, 'echo "after=$?"', /after=130\r\n/);
    await typed(pty, SLEEP, /awake\r\n/);
    pty.press('\u001a');
    await seen(pty, /Stopped /);
    await typed(pty, 'kill %1; fg', /Terminated/);
    await typed(pty, 'stty size', /\r\n24 80\r\n/);
    pty.resize(100, 30);
    await typed(pty, 'stty size', /\r\n30 100\r\n/);
    await typed(pty, 'echo in $HOME as $TERM', /in \/root as dumb\r\n/);
    pty.press('exit 5\r');
    assert.deepEqual(await pty.end(), { status: 5, same: true });
    assert.match(pty.output, /recorded session-\d+\r\n$/);
  });

  test('Ctrl-C ends a plain command, and trace after it; the session is whole', async (t) => {
    const pty = open(['run', '--root', root.path, '--', 'cat']);
    t.after(() => pty.close());
    await typed(pty, 'line', /line\r\nline\r\n/);
    pty.press('\u0003');
    assert.deepEqual(await pty.end(), { status: 130, same: true });
    assert.match(pty.output, /recorded session-\d+\r\n$/);
  });

  test('after it a script has its terminal back', async (t) => {
    const busybox = rig.makeBusybox('small', ['sh', 'sleep']);
    const line = rig.sandbox.command(['shell', busybox.path]).map((word) => `'${word}'`);
    const pty = open(null, ['sh', '-c', `${line.join(' ')}; read answer; echo "has <$answer>"`]);
    t.after(() => pty.close());
    await seen(pty, /# /);
    await typed(pty, 'sleep 0.1; echo slept', /\r\nslept\r\n/);
    pty.press('exit\r');
    await seen(pty, /recorded session-\d+\r\n/);
    await typed(pty, 'it', /has <it>\r\n/);
    assert.equal((await pty.end()).status, 0);
  });

  function open(args: readonly string[] | null, command?: [string, ...string[]]): Pty {
    const env = { ...rig.sandbox.env(), TERM: 'dumb' };
    return Pty.start(command ?? rig.sandbox.command(args ?? []), { columns: 80, rows: 24, env });
  }
});

/** What has come since the last look ends with, or has, this. */
const looked = new WeakMap<Pty, number>();

async function seen(pty: Pty, what: RegExp): Promise<void> {
  const from = looked.get(pty) ?? 0;
  for (const end = Date.now() + PATIENCE_MS; !what.test(pty.output.slice(from));) {
    assert.ok(Date.now() < end, `${String(what)} is not in\n${pty.output.slice(from)}`);
    await delay(POLL_MS);
  }
  looked.set(pty, pty.output.length);
}

async function typed(pty: Pty, line: string, what: RegExp): Promise<void> {
  pty.press(`${line}\r`);
  await seen(pty, what);
}
