/** The small system calls. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as net from 'node:net';
import * as os from 'node:os';
import * as path from 'node:path';
import process from 'node:process';
import * as readline from 'node:readline';
import { describe, test } from 'node:test';
import { monotonicUs, peerCredentials, sdNotify, TraceError } from '../../src/fanotify-ts/index.ts';
import { lacks } from '../capabilities.ts';

describe('system', () => {
  test('monotonicUs is the clock of process.hrtime', () => {
    const before = Number(process.hrtime.bigint() / 1000n);
    const now = monotonicUs();
    const after = Number(process.hrtime.bigint() / 1000n) + 1;
    assert.ok(Number.isInteger(now) && before <= now && now <= after);
  });

  test('sdNotify without a service manager says so', () => {
    delete process.env['NOTIFY_SOCKET'];
    assert.equal(sdNotify('READY=1'), false);
  });

  test('sdNotify to a socket that is not there fails', () => {
    for (const socket of ['/nonexistent/notify', 'relative', '/' + 'x'.repeat(200)]) {
      process.env['NOTIFY_SOCKET'] = socket;
      assert.throws(
        () => sdNotify('READY=1'),
        (error) => error instanceof TraceError && error.code === 'notify-failed',
      );
    }
    delete process.env['NOTIFY_SOCKET'];
  });

  test('sdNotify reaches a path and an abstract name', { skip: lacks('python') }, async () => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'notify-test.'));
    for (const name of [path.join(dir, 'socket'), `@nfsroot-trace-test-${process.pid}`]) {
      const code =
        'import socket,sys; s=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM); n=sys.argv[1]; ' +
        's.bind("\\0"+n[1:] if n[0]=="@" else n); print("bound",flush=True); ' +
        'print(s.recv(4096).decode(),flush=True)';
      const child = spawn('python3', ['-c', code, name], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      const lines = readline.createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      assert.equal((await lines.next()).value, 'bound');
      process.env['NOTIFY_SOCKET'] = name;
      assert.equal(sdNotify('READY=1\nSTATUS=recording ü'), true);
      assert.equal((await lines.next()).value, 'READY=1');
      assert.equal((await lines.next()).value, 'STATUS=recording ü');
      delete process.env['NOTIFY_SOCKET'];
    }
    fs.rmSync(dir, { recursive: true });
  });

  test('peerCredentials tells who connected', async () => {
    const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'peer-test.'));
    const socket = path.join(dir, 'socket');
    const server = net.createServer();
    server.listen(socket);
    await once(server, 'listening');
    const client = net.connect(socket);
    const [connection] = (await once(server, 'connection')) as [net.Socket];
    const { fd } = (connection as unknown as { _handle: { fd: number } })._handle;
    assert.deepEqual(peerCredentials(fd), {
      pid: process.pid,
      uid: process.getuid?.(),
      gid: process.getgid?.(),
    });
    client.destroy();
    connection.destroy();
    server.close();
    fs.rmSync(dir, { recursive: true });
    assert.throws(
      () => peerCredentials(-1),
      (error) => error instanceof TraceError && error.code === 'peer-unknown',
    );
  });
});
