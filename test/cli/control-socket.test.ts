/**
 * The control socket as a program uses it that is not ours: every request has an answer that says
 * whose fault it was, and none of them stops the daemon or leaves anything behind.
 */
import assert from 'node:assert/strict';
import { mkdirSync, statSync, symlinkSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { makeFileSystem, type MountedFileSystem } from '../index/file-systems.ts';
import { TraceSandbox, type Daemon } from '../support/trace-sandbox.ts';

interface Answer {
  readonly recording?: { readonly root: { readonly path: string } };
  readonly error?: { readonly code: string; readonly exit: string };
}

describe('the control socket', { skip: lacks('root', 'mount', 'fanotify', 'handles') }, () => {
  let disk: MountedFileSystem;
  let sandbox: TraceSandbox;
  let daemon: Daemon;
  before(async () => {
    disk = makeFileSystem('tmpfs');
    sandbox = new TraceSandbox();
    daemon = await sandbox.daemon({}, { prefix: ['sh', '-c', 'umask 000; exec "$@"', 'sh'] });
  });
  after(async () => {
    await sandbox.remove();
    disk.remove();
  });

  const post = (path: string, body: string | Buffer): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const headers = { 'Content-Type': 'application/json' };
      const sent = request(
        { socketPath: sandbox.socket, method: 'POST', path, headers },
        (answer) => {
          const parts: Buffer[] = [];
          answer.on('data', (part: Buffer) => parts.push(part));
          answer.on('end', () => resolve(JSON.parse(Buffer.concat(parts).toString()) as Answer));
        },
      );
      sent.on('error', reject);
      sent.end(body);
    });
  const start = (root: string): Promise<Answer> =>
    post(
      '/v1/start',
      JSON.stringify({ root: Buffer.from(root).toString('base64'), label: null, clients: [] }),
    );

  test('others may not open it, whatever the umask', () => {
    assert.equal(statSync(sandbox.socket).mode & 0o777, 0o660);
    assert.equal(statSync(sandbox.stateDir).mode & 0o007, 0);
  });

  test('a body that is no request is the asker’s fault, not a bug', async () => {
    for (const body of ['{bad', '[]', '"text"', '{"text":5}', 'x'.repeat(400_000)])
      assert.equal((await post('/v1/mark', body)).error?.code, 'bad-request', body.slice(0, 20));
  });

  test('a root has one path, absolute; nothing else is recorded', async () => {
    const root = `${disk.path}/root`;
    mkdirSync(root);
    symlinkSync(root, `${disk.path}/link`);
    for (const bad of ['', 'etc', '../etc', `${root}\0/x`])
      assert.equal((await start(bad)).error?.code, 'root-not-absolute', bad);
    assert.equal((await start(`${disk.path}/${'x'.repeat(300)}`)).error?.exit, 'notFound');
    symlinkSync('loop', `${disk.path}/loop`);
    assert.equal((await start(`${disk.path}/loop`)).error?.exit, 'notFound');
    assert.equal((await start(`${disk.path}/link/../root//`)).recording?.root.path, root);
    assert.equal((await start(`${disk.path}/link`)).error?.code, 'already-recorded');
    await sandbox.ok(['stop']);
  });

  test('a request that is never finished does not keep the daemon from ending', async () => {
    const stuck = connect(sandbox.socket);
    stuck.on('error', () => undefined);
    stuck.write('POST /v1/mark HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"te');
    await sandbox.ok(['status']);
    assert.equal(await daemon.stop(), 0, daemon.log());
    stuck.destroy();
  });
});
