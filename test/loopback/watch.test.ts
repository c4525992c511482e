/** `trace watch` on a terminal of its own, while a client reads: what is seen, and what is left. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { CLIENTS, GANESHA_NEEDS } from '../support/ganesha.ts';
import { Loopback } from '../support/loopback.ts';
import type { NfsClient } from '../support/nfs-client.ts';
import { Pty } from '../support/pty.ts';

const FILES = 40;
const FILE_BYTES = 1000;
const OTHER_SCREEN = '\u001b[?1049h';
const BACK = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const HOSTILE = 'a\u001b[2Jlabel\n\u202e';

interface Look {
  readonly feed: string;
  readonly total: { readonly files: number };
  readonly seen: { readonly files: number };
  readonly new_files: readonly number[];
  readonly sessions: readonly { client: string; files: number; image_bytes: number }[];
  readonly per_second: { readonly files: number | null };
}

describe('watch', { skip: lacks(...GANESHA_NEEDS, 'python') }, () => {
  let loop: Loopback;
  let client: NfsClient;
  let root: string;
  before(async () => {
    loop = await Loopback.start({ others: ['many'] });
    root = loop.roots[1] ?? '';
    for (let index = 0; index < FILES; index += 1)
      writeFileSync(`${root}/file-${index}`, 'x'.repeat(FILE_BYTES));
    await loop.sandbox.ok(['start', '--root', root, '--client', CLIENTS[0], '--label', HOSTILE]);
    client = await loop.ganesha.client({ directory: root, version: 3 });
  });
  after(() => loop.stop());

  const watch = (columns = 100, rows = 24, env: NodeJS.ProcessEnv = {}): Pty =>
    Pty.start(loop.sandbox.command(['watch']), {
      columns,
      rows,
      env: { ...loop.sandbox.env(), LANG: 'C.UTF-8', TERM: 'xterm-256color', ...env },
    });
  /** It left the terminal as it had found it. */
  const leftWell = async (pty: Pty, status: number): Promise<void> => {
    assert.deepEqual(await pty.end(), { status, same: true });
    assert.equal(pty.output.split(OTHER_SCREEN).length, 2);
    assert.ok(pty.output.endsWith(BACK), JSON.stringify(pty.output.slice(-60)));
  };
  const read = async (from: number, to: number): Promise<void> => {
    for (let index = from; index < to; index += 1) await client.read(`/file-${index}`);
    await loop.flush();
  };

  test('what a client reads shows, each file once, with the size of its image', async () => {
    const pty = watch();
    await pty.shows(/no client has touched a recorded root/);
    await read(0, 25);
    await pty.shows(/^127\.0\.0\.1 +session-1 +2[5-7] +/m);
    await pty.shows(/clients 1 {2}sessions 1 {2}files 2[5-7] {2}/);
    await pty.shows(/ 25 kB /);
    await pty.shows(/new files a second, .*\n.*[▁▂▃▄▅▆▇█]/);
    const { screen } = pty;
    assert.ok(screen.includes(`${root} (a\\x1b[2Jlabel\\x0a\\u202e)`), screen);
    await read(0, 25);
    await delay(1500);
    assert.match(pty.screen, /^127\.0\.0\.1 +session-1 +2[5-7] +/m);
    pty.press('q');
    await leftWell(pty, 0);
  });

  test('who begins late sees what was before, too', async () => {
    await read(25, 30);
    const { text } = await loop.sandbox.ok(['watch', '--once', '--json']);
    const { sessions, new_files: counts, per_second: rates } = JSON.parse(text) as Look;
    assert.ok((sessions[0]?.files ?? 0) >= 30);
    assert.equal(sessions[0]?.image_bytes, 30 * FILE_BYTES);
    assert.ok(counts.reduce((sum, count) => sum + count, 0) >= 30);
    assert.equal(rates.files, null);
    const once = await loop.sandbox.ok(['watch', '--once']);
    assert.match(once.text, /^127\.0\.0\.1 +session-1 +3\d /m);
  });

  test('the size follows; arrows are no keys; Ctrl-C leaves', async () => {
    const pty = watch(120, 30);
    await pty.shows(/session-1/);
    pty.resize(30, 8);
    await pty.shows(/^CLIENT +FILES/m);
    assert.ok(pty.lines.length <= 8 && pty.lines.every((line) => line.length <= 30), pty.screen);
    pty.resize(120, 40);
    await pty.shows(/^CLIENT +SESSION +FILES/m);
    pty.press('\u001b[Aq');
    pty.press('x');
    await delay(300);
    pty.press('\u0003');
    await leftWell(pty, 0);
  });

  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const)
    test(`${signal}: the terminal is given back first`, async () => {
      const pty = watch();
      await pty.shows(/session-1/);
      pty.signal(constants.signals[signal]);
      await leftWell(pty, -constants.signals[signal]);
    });

  test('stopped and continued: each time the right screen', async () => {
    const pty = watch();
    await pty.shows(/session-1/);
    pty.press('\u001a');
    for (const end = Date.now() + 10_000; !pty.output.endsWith(BACK);) {
      assert.ok(Date.now() < end, JSON.stringify(pty.output.slice(-60)));
      await delay(20);
    }
    pty.signal(constants.signals.SIGCONT);
    for (const end = Date.now() + 10_000; pty.output.split(OTHER_SCREEN).length < 3;) {
      assert.ok(Date.now() < end);
      await delay(20);
    }
    pty.press('q');
    assert.deepEqual(await pty.end(), { status: 0, same: true });
  });

  test('a terminal that takes nothing: it still ends, and holds up nobody', async () => {
    const pty = watch(200, 60);
    await pty.shows(/session-1/);
    pty.hold();
    await loop.sandbox.ok(['mark', 'still here']);
    await delay(1500);
    pty.signal(constants.signals.SIGTERM);
    assert.equal((await pty.end()).status, -constants.signals.SIGTERM);
  });

  test('colours only where they are wanted', async () => {
    for (const [env, coloured] of [
      [{}, true],
      [{ NO_COLOR: '1' }, false],
    ] as const) {
      const pty = watch(100, 24, env);
      await pty.shows(/session-1/);
      assert.equal(/\u001b\[\d+m/.test(pty.output), coloured);
      pty.press('q');
      await pty.end();
    }
  });

  test('a dumb terminal gets lines', async () => {
    const pty = watch(100, 24, { TERM: 'dumb' });
    for (const end = Date.now() + 10_000; !/clients 1 /.test(pty.output);) {
      assert.ok(Date.now() < end, pty.output);
      await delay(20);
    }
    assert.ok(!pty.output.includes('\u001b'));
    pty.press('\u0003');
    assert.equal((await pty.end()).status, -constants.signals.SIGINT);
  });

  test('into a pipe: a line a second, as text and as JSON', async () => {
    const lines = async (args: readonly string[], count: number): Promise<string[]> => {
      const [program, ...rest] = loop.sandbox.command(['watch', ...args]);
      const child = spawn(program, rest, {
        env: loop.sandbox.env(),
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const ended = once(child, 'exit');
      const got: string[] = [];
      for await (const line of createInterface(child.stdout)) {
        got.push(line);
        if (got.length === count) break;
      }
      // The reader has gone; that is no failure.
      child.stdout.destroy();
      assert.deepEqual(await ended, [0, null]);
      return got;
    };
    for (const line of await lines([], 2))
      assert.match(
        line,
        /^\d{4}-\S+Z {2}tier \S+ {2}clients 1 {2}sessions 1 {2}files 3\d {2}new\/s (-|\d+) {2}events\/s (-|\d+) {2}bytes \d+ {2}lost 0 {2}image 30000$/,
      );
    const looks = (await lines(['--json'], 3)).map((line) => JSON.parse(line) as Look);
    assert.deepEqual(
      looks.map(({ per_second: { files } }) => files),
      [null, 0, 0],
    );
    assert.equal(new Set(looks.map(({ feed }) => feed)).size, 1);
  });

  test('the daemon goes away: it is said and waited for, and the next one is watched', async () => {
    const pty = watch();
    await pty.shows(/session-1/);
    await loop.daemon.kill();
    await pty.shows(/^since \d\d:\d\d:\d\dZ .*; waiting/m);
    assert.match(pty.screen, /session-1/);
    await loop.restart();
    await pty.shows(/^(?![\s\S]*waiting;)[\s\S]*session-1/);
    await read(30, FILES);
    await pty.shows(/ 40 kB /);
    assert.doesNotMatch(pty.screen, /^since /m);
    assert.match(pty.screen, /lost 1 in open sessions/);
    await loop.daemon.stop();
    await pty.shows(/^since /m);
    pty.press('q');
    await leftWell(pty, 0);
  });

  test('no daemon at all: an error as usual, on the usual screen', async () => {
    const pty = watch();
    assert.deepEqual(await pty.end(), { status: 69, same: true });
    assert.match(pty.output, /error:.* no daemon listens on/);
    assert.ok(!pty.output.includes(OTHER_SCREEN));
    await loop.sandbox.fails(['watch', '--once'], { code: 69, message: /no daemon listens/ });
  });
});
