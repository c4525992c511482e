/** A daemon that gets on is waited for; one that hangs is not, nor one that never comes to an end. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { Patience } from '../../src/cli/patience.ts';

describe('patience', () => {
  let folder = '';
  let log = -1;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'patience-'));
    log = openSync(join(folder, 'log'), 'a+');
  });
  after(() => {
    closeSync(log);
    rmSync(folder, { recursive: true });
  });

  /** How long a process is waited for, at most 3 s; milliseconds. */
  const waited = async (
    child: ChildProcess,
    options: { readonly quietMs: number; readonly longestMs: number },
    each: () => void = () => undefined,
  ): Promise<number> => {
    const began = performance.now();
    const patience = new Patience(options);
    try {
      while (!patience.isOver && performance.now() - began < 3000) {
        patience.watch(child.pid ?? 0, log);
        each();
        await delay(20);
      }
      return performance.now() - began;
    } finally {
      child.kill('SIGKILL');
    }
  };
  const idle = (): ChildProcess => spawn('sleep', ['60']);
  const busy = (): ChildProcess => spawn('sh', ['-c', 'while :; do :; done']);

  test('with one that works, or says something', async () => {
    assert.ok((await waited(busy(), { quietMs: 1500, longestMs: 60_000 })) >= 3000);
    const says = (): void => void writeSync(log, 'x');
    assert.ok((await waited(idle(), { quietMs: 1500, longestMs: 60_000 }, says)) >= 3000);
  });

  test('not with one that does nothing, nor for ever', async () => {
    assert.ok((await waited(idle(), { quietMs: 500, longestMs: 60_000 })) < 3000);
    assert.ok((await waited(busy(), { quietMs: 1500, longestMs: 500 })) < 3000);
  });
});
