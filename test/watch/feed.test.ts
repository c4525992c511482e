/** The daemon's side of the live view: it counts while somebody looks, and for nobody else. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { get, type IncomingMessage } from 'node:http';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { after, before, describe, test } from 'node:test';
import { ControlClient } from '../../src/daemon/control-client.ts';
import { WatchFeed } from '../../src/daemon/watch-feed.ts';
import { Store } from '../../src/store/store.ts';
import { lacks } from '../capabilities.ts';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { access, file, opened } from '../store/fixtures.ts';
import { TraceSandbox, type Daemon } from '../support/trace-sandbox.ts';
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
      called: () => ({ label: null, name: null }),
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

describe('a thousand sessions', { skip: lacks('root', 'loop', 'fanotify', 'handles') }, () => {
  const SESSIONS = 1000;
  const FILES_EACH = 100;
  let disk: MountedFileSystem;
  let sandbox: TraceSandbox;
  let daemon: Daemon;
  before(async () => {
    disk = makeFileSystem('ext4');
    sandbox = new TraceSandbox();
    const root = `${disk.path}/root`;
    mkdirSync(root);
    const store = Store.open({ path: sandbox.database });
    const atUs = Date.now() * 1000;
    const rootId = store.ensureRoot(Buffer.from(root));
    const recordingId = store.startRecording({
      rootId,
      label: null,
      clients: [],
      tier: 'exact',
      atUs,
    });
    const ids = Array.from({ length: SESSIONS }, (_, index) => index + 1);
    const fileIds = Array.from({ length: FILES_EACH }, (_, index) => index + 1);
    store.ingest({
      atUs,
      opened: ids.map((id) => ({
        ...opened({ store, path: '', rootId, recordingId }, { id, openedUs: atUs }),
        client: `2001:db8:1111:2222:3333:4444:5555:${id.toString(16)}`,
      })),
      files: fileIds.map((id) => ({ ...file(id, `f${id}`), rootId })),
      accesses: ids.flatMap((id) =>
        fileIds.map((fileId) => access(id, fileId, { firstUs: atUs, lastUs: atUs })),
      ),
    });
    store.close();
    daemon = await sandbox.daemon();
  });
  after(async () => {
    await sandbox.remove();
    disk.remove();
  });
  const resident = (): number => {
    const status = readFileSync(`/proc/${daemon.child.pid ?? 0}/status`, 'latin1');
    return Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1]) * 1024;
  };
  const descriptors = (): number => readdirSync(`/proc/${daemon.child.pid ?? 0}/fd`).length;
  /** A client that does not read hears nothing of its connection's end: only the daemon knows. */
  const letGo = async (before: number): Promise<void> => {
    for (const end = Date.now() + 40_000; descriptors() > before + 5;) {
      assert.ok(Date.now() < end, `${descriptors() - before} are still connected`);
      await delay(100);
    }
  };

  test('are counted within some looks, none of which takes long', async (t) => {
    const client = new ControlClient({ socket: sandbox.socket });
    let looks = 0;
    let longest = 0;
    for (let uncounted = -1; uncounted !== 0; looks += 1) {
      const began = performance.now();
      const look = await client.watch({ most: SESSIONS });
      longest = Math.max(longest, performance.now() - began);
      ({ uncounted } = look);
      assert.deepEqual([look.open_sessions, look.clients], [SESSIONS, SESSIONS]);
      assert.equal(look.sessions.length, SESSIONS - uncounted);
      assert.equal(look.total.files, FILES_EACH * (SESSIONS - uncounted));
      assert.ok(looks < 200, `${uncounted} are not counted`);
    }
    t.diagnostic(`${looks} looks, the longest ${longest.toFixed(0)} ms`);
    const began = performance.now();
    assert.equal((await client.watch({ most: 3 })).sessions.length, 3);
    t.diagnostic(`then ${(performance.now() - began).toFixed(0)} ms`);
  });

  test('who asks for a lot at once and reads nothing costs nothing', async () => {
    const ask = 'GET /v1/watch?most=1000 HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(5000);
    const before = descriptors();
    const burst = async (): Promise<void> => {
      const sockets = Array.from({ length: 20 }, () => deaf(sandbox.socket, ask));
      for (const socket of sockets) if (socket.connecting) await once(socket, 'connect');
      await letGo(before);
      for (const socket of sockets) socket.destroy();
    };
    await burst();
    const resided = resident();
    for (let round = 0; round < 2; round += 1) await burst();
    const grown = resident() - resided;
    // What nobody reads would be 25 GB; what is left is garbage that is not collected yet.
    assert.ok(grown < 256 * 1024 * 1024, `${grown} bytes`);
    await sandbox.ok(['status']);
  });

  test('who asks once and does not read is let go', async () => {
    const before = descriptors();
    const sockets = Array.from({ length: 20 }, () =>
      deaf(sandbox.socket, 'GET /v1/watch?most=1000 HTTP/1.1\r\nHost: x\r\n\r\n'),
    );
    // Some of an earlier test's may have ended since `before`.
    for (const end = Date.now() + 8000; descriptors() < before + 15;) {
      assert.ok(Date.now() < end, `${descriptors() - before} are connected`);
      await delay(50);
    }
    await sandbox.ok(['watch', '--once']);
    await letGo(before);
    for (const socket of sockets) socket.destroy();
  });

  test('a request that makes no sense', async () => {
    for (const query of ['most=x', 'most=-1', 'most=1001', 'least=1'])
      assert.match(await answerTo(sandbox.socket, `/v1/watch?${query}`), /bad-request/, query);
  });
});

/** Says what it has to say, and never reads. */
function deaf(path: string, says: string): Socket {
  const socket = connect(path);
  socket.pause();
  socket.on('error', () => undefined);
  socket.write(says);
  return socket;
}

async function answerTo(socketPath: string, path: string): Promise<string> {
  const asked = get({ socketPath, path });
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  return response.setEncoding('utf8').reduce((text, part) => text + String(part), '');
}
