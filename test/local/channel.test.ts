/** What a run hears of its world, and for how long it waits for others when there is none. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { LocalRun } from '../../src/capture/local/local-run.ts';
import { Context } from '../../src/cli/context.ts';
import { recordRun } from '../../src/cli/run-locally.ts';
import type { TraceError } from '../../src/common/errors.ts';
import { lacks } from '../capabilities.ts';
import { LocalRig, NEEDED, type Root } from './local-rig.ts';
import { processesOf } from './run-processes.ts';

const ENVIRONMENT = { PATH: '/bin' };

describe('a run and its world', { skip: lacks(...NEEDED, 'busybox') }, () => {
  let rig: LocalRig;
  let root: Root;
  before(() => {
    rig = new LocalRig();
    root = rig.makeBusybox('channel', ['sh']);
    writeFileSync(join(root.path, 'usr/bin/none'), '#!/nowhere\n', { mode: 0o755 });
  });
  after(() => rig.remove());

  for (const [what, command, expected] of [
    ['ends', ['sh', '-c', 'exit 7'], { code: 7, lost: 0, gone: 0, dropped: 0 }],
    ['cannot be started', ['/bin/none'], { code: 'command-failed' }],
  ] as const)
    test(`a signal that is passed on to a command that ${what} meanwhile`, async () => {
      const path = Buffer.from(root.path);
      const run = new LocalRun({ root: path, command, env: ENVIRONMENT });
      await run.start();
      run.begin();
      // Nothing that it tells is read meanwhile.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
      run.signal('SIGTERM');
      const end = await run.ended.catch((error: unknown) => ({ code: (error as TraceError).code }));
      assert.deepEqual(end, expected);
    });

  test(
    'a world that is killed while the daemon does not answer: told at once',
    { timeout: 60_000 },
    async () => {
      const server = createServer().listen(rig.sandbox.socket);
      const connected = once(server, 'connection') as Promise<[Socket]>;
      const { stateDir, socket } = rig.sandbox;
      const word = `run-${process.pid}-unanswered`;
      process.env['TERM'] = word;
      const recorded = recordRun(new Context({ stateDir, socket }), {
        root: Buffer.from(root.path),
        command: ['sh', '-c', ':'],
        label: null,
      });
      const [connection] = await connected;
      process.kill(processesOf(word).get('world') ?? assert.fail(), 'SIGKILL');
      await assert.rejects(recorded, { code: 'local-broken' });
      // Else it would keep the process.
      await once(connection.resume(), 'close');
      server.close();
    },
  );
});
