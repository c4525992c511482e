/** How a run gives its rows: in pieces, bounded, and without waiting for whoever takes none. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { lacks } from '../capabilities.ts';
import { Context } from '../../src/cli/context.ts';
import { recordRun, type RunOutcome } from '../../src/cli/run-locally.ts';
import { GivenStream } from '../../src/daemon/given-stream-client.ts';
import { NO_COUNTS } from '../../src/recording/given-types.ts';
import { LocalRig, NEEDED, type Root } from './local-rig.ts';

const FILES = 5000;
/** Nearly as long as a path may be: a few thousand of them are 16 MiB. */
const DEEP = Array.from({ length: 13 }, () => 'd'.repeat(250)).join('/');

describe('what a run gives', { skip: lacks(...NEEDED, 'busybox') }, () => {
  let rig: LocalRig;
  let root: Root;
  before(() => {
    rig = new LocalRig();
    root = rig.makeBusybox('many', ['sh', 'sleep']);
    mkdirSync(join(root.path, 'srv'));
    for (let at = 0; at < FILES; at++) writeFileSync(join(root.path, 'srv', `${at}`), '');
  });
  after(() => rig.remove());

  /** To a daemon of which only the stream is there. */
  async function recordTo(stream: Partial<GivenStream>): Promise<RunOutcome> {
    const context = new Context({ stateDir: rig.disk.path, socket: '/none' });
    const broken = new AbortController().signal;
    const given = Object.create(GivenStream.prototype) as GivenStream;
    Object.assign(given, { session: 'session-1', broken, ...stream });
    context.client.give = () => Promise.resolve(given);
    const command = ['sh', '-c', 'for file in /srv/*; do : < $file; done'];
    return recordRun(context, { root: Buffer.from(root.path), command, label: null });
  }

  test('comes in pieces of thousands', async () => {
    const sizes: number[] = [];
    const outcome = await recordTo({
      rows: ({ length }) => {
        sizes.push(length);
        return Promise.resolve();
      },
      end: () => Promise.resolve(NO_COUNTS),
    });
    assert.ok(outcome.whole);
    assert.ok(sizes.reduce((sum, size) => sum + size, 0) >= FILES);
    assert.ok(Math.max(...sizes) <= 4096, sizes.join(' '));
  });

  test('and cannot be given: the connection is closed, though it lives', async () => {
    let abandoned = 0;
    const outcome = await recordTo({
      rows: () => Promise.reject(new Error('no')),
      abandon: () => {
        abandoned++;
      },
    });
    assert.deepEqual([outcome.whole, outcome.exit, abandoned], [false, 0, 1]);
  });

  test('while trace stands still, has a bound; what is beyond is a loss', async () => {
    const deep = join(root.path, 'deep', DEEP);
    mkdirSync(deep, { recursive: true });
    for (let at = 0; at < 100; at++) writeFileSync(join(deep, `${at}`), '');
    const work = [
      'cd /deep/*/*/*/*/*/*/*/*/*/*/*/*/*',
      'echo > /tmp/begun',
      'until test -e /tmp/over; do for file in *; do : < $file; done; done',
      'echo > /tmp/done',
    ];
    const line = ['run', '--json', '--root', root.path, '--', 'sh', '-ec', work.join('\n')];
    const [program, ...args] = rig.sandbox.command(line);
    const env = rig.sandbox.env();
    const run = spawn(program, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const told = Promise.all([text(run.stdout), text(run.stderr), once(run, 'exit')]);
    const is = async (name: string): Promise<void> => {
      while (!existsSync(join(root.path, 'tmp', name))) await delay(20);
    };
    await is('begun');
    run.kill('SIGSTOP');
    await delay(6000);
    writeFileSync(join(root.path, 'tmp/over'), '');
    await is('done');
    run.kill('SIGCONT');
    const [result, talk] = await told;
    assert.equal(run.exitCode, 0, talk);
    const { session, dropped, lost } = JSON.parse(result) as RunOutcome;
    assert.ok(dropped > 0);
    assert.equal(lost, 0);
    assert.match(talk, new RegExp(`^warning: ${dropped} accesses were not taken in time$`, 'm'));
    const shown = await rig.sandbox.json<{ losses: unknown }>(['show', session]);
    assert.match(JSON.stringify(shown), /"run-report"/);
  });
});
