/** The daemon's side of the live view: it counts while somebody looks, and for nobody else. */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { describe, test } from 'node:test';
import { WatchFeed } from '../../src/daemon/watch-feed.ts';
import { lacks } from '../capabilities.ts';
import { TraceSandbox } from '../support/trace-sandbox.ts';
import { body } from './fixtures.ts';

test('begins with the first look, ends ten seconds after the last', (t) => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const calls: string[] = [];
  const feed = new WatchFeed({
    store: {
      tally: ({ most }) => {
        calls.push(`tally ${most}`);
        const none = { files: 0, accesses: 0, bytes: 0, loss: 0 };
        return {
          open: 0,
          clients: 0,
          uncounted: 0,
          total: none,
          seen: none,
          newFiles: [],
          sessions: [],
        };
      },
      endTally: () => calls.push('end'),
    },
  });
  const { status } = body();
  const first = feed.look(status, 5);
  t.mock.timers.tick(9000);
  assert.equal(feed.look(status, 6).feed, first.feed);
  t.mock.timers.tick(9999);
  assert.deepEqual(calls, ['tally 5', 'tally 6']);
  t.mock.timers.tick(1);
  assert.deepEqual(calls.splice(0), ['tally 5', 'tally 6', 'end']);
  assert.notEqual(feed.look(status, 7).feed, first.feed);
});

describe('watchers that ask and do not read', { skip: lacks('root', 'fanotify') }, () => {
  const CONNECTIONS = 20;
  const REQUESTS = 2000;

  test('cost the daemon nothing that grows, and are let go', async () => {
    const sandbox = new TraceSandbox();
    try {
      const { child } = await sandbox.daemon();
      const resident = (): number => {
        const status = readFileSync(`/proc/${child.pid ?? 0}/status`, 'latin1');
        return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024;
      };
      const before = resident();
      const ask = 'GET /v1/watch?most=1000 HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(REQUESTS);
      let closed = 0;
      const sockets = Array.from({ length: CONNECTIONS }, () => {
        const socket = connect(sandbox.socket);
        socket.pause();
        socket.on('error', () => undefined);
        socket.on('close', () => (closed += 1));
        socket.write(ask);
        return socket;
      });
      await delay(2000);
      const grown = resident() - before;
      assert.ok(grown < 64 * 1024 * 1024, `${grown} bytes for ${CONNECTIONS} stuck watchers`);
      await sandbox.ok(['status']);
      for (const end = Date.now() + 30_000; closed < CONNECTIONS;) {
        // A paused socket does not see its end.
        for (const socket of sockets) socket.write('x');
        assert.ok(Date.now() < end, `${closed} of ${CONNECTIONS} were let go`);
        await delay(500);
      }
    } finally {
      await sandbox.remove();
    }
  });

  test('a request that makes no sense', async () => {
    const sandbox = new TraceSandbox();
    try {
      await sandbox.daemon();
      for (const query of ['most=x', 'most=-1', 'most=1001', 'least=1']) {
        const { text } = await sandbox.execute([
          'sh',
          '-c',
          `curl -s --unix-socket '${sandbox.socket}' 'http://x/v1/watch?${query}'`,
        ]);
        assert.match(text, /bad-request/, query);
      }
    } finally {
      await sandbox.remove();
    }
  });
});
