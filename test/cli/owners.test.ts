/** Root, the service's user and nobody, at one state folder, socket and configuration. */
import assert from 'node:assert/strict';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { TraceSandbox } from '../support/trace-sandbox.ts';

const NOBODY = 65534;

describe('whose things they are', { skip: lacks('root', 'mount') }, () => {
  let sandbox: TraceSandbox;
  beforeEach(() => {
    sandbox = new TraceSandbox();
  });
  afterEach(() => sandbox.remove());
  const ofNobody = (folder: string): void => {
    mkdirSync(folder);
    chownSync(folder, NOBODY, NOBODY);
  };

  test("root makes nothing in the service's folder, which could not write to it", async () => {
    ofNobody(sandbox.stateDir);
    for (const args of [['start', '--root', sandbox.folder], ['daemon']])
      await sandbox.fails(args, {
        code: 77,
        message: /state folder .* belongs to user 65534/,
        hint: /systemctl start nfsroot-trace.*--state-dir/,
      });
    assert.deepEqual(readdirSync(sandbox.stateDir), []);
    assert.equal(existsSync(sandbox.socket), false);
  });

  test('who repairs it as root leaves it to its owner', async () => {
    ofNobody(sandbox.stateDir);
    writeFileSync(sandbox.database, '');
    chownSync(sandbox.database, NOBODY, NOBODY);
    await sandbox.run(['doctor', '--repair']);
    for (const name of readdirSync(sandbox.stateDir))
      assert.equal(statSync(`${sandbox.stateDir}/${name}`).uid, NOBODY, name);
    assert.ok(existsSync(`${sandbox.database}.lock`));
  });

  test('a lock that may not be written to holds nobody off, so it is refused', async () => {
    ofNobody(sandbox.stateDir);
    ofNobody(sandbox.at('run'));
    writeFileSync(`${sandbox.database}.lock`, '');
    await sandbox.fails(
      ['daemon', '--socket', sandbox.at('run/socket')],
      { code: 77, message: /trace\.db\.lock may not be written to/, hint: /chown --reference/ },
      { prefix: sandbox.asNobody() },
    );
  });

  test("another user's socket is no dead one", async () => {
    ofNobody(sandbox.stateDir);
    ofNobody(sandbox.at('run'));
    const socket = sandbox.at('run/socket');
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(socket, resolve));
    try {
      chmodSync(socket, 0o600);
      await sandbox.fails(
        ['daemon', '--socket', socket],
        { code: 75, message: /another daemon already listens/, hint: /as root/ },
        { prefix: sandbox.asNobody() },
      );
      assert.ok(lstatSync(socket).isSocket());
    } finally {
      await new Promise((resolve) => other.close(resolve));
    }
  });

  test('the log is no link to somewhere else', async () => {
    mkdirSync(sandbox.stateDir);
    symlinkSync(sandbox.at('elsewhere'), `${sandbox.stateDir}/daemon.log`);
    await sandbox.fails(['start', '--root', sandbox.folder], {
      code: 73,
      message: /cannot write in .*ELOOP/,
    });
    assert.equal(existsSync(sandbox.at('elsewhere')), false);
  });

  test('the configuration moves the command line too; environment and options win', async () => {
    const configured = (config: object): string[] => {
      mkdirSync(sandbox.at('etc'), { recursive: true });
      writeFileSync(sandbox.at('etc/nfsroot-trace.json'), JSON.stringify(config));
      const script = `mount -t overlay -o lowerdir="$1":/etc none /etc && shift && exec "$@"`;
      return ['unshare', '--mount', 'sh', '-c', script, 'sh', sandbox.at('etc')];
    };
    const env = { NFSROOT_TRACE_STATE_DIR: undefined, NFSROOT_TRACE_SOCKET: undefined };
    const prefix = configured({ stateDir: '/configured', socket: '/configured.sock' });
    const missing = (folder: string) => ({
      code: 66,
      message: new RegExp(`no database ${folder}/trace\\.db`),
    });
    const noDaemon = (socket: string) => ({ code: 69, message: new RegExp(`on ${socket}$`) });
    await sandbox.fails(['sessions'], missing('/configured'), { prefix, env });
    await sandbox.fails(['status'], noDaemon('/configured.sock'), { prefix, env });
    const named = { NFSROOT_TRACE_STATE_DIR: '/named', NFSROOT_TRACE_SOCKET: '/named.sock' };
    await sandbox.fails(['sessions'], missing('/named'), { prefix, env: named });
    await sandbox.fails(['status', '--socket', '/told.sock'], noDaemon('/told.sock'), {
      prefix,
      env: named,
    });
    const wrong = { code: 78, message: /nfsroot-trace\.json: socket: is no absolute path/ };
    await sandbox.fails(['status'], wrong, { prefix: configured({ socket: 'x' }), env });
    await sandbox.fails(['status'], noDaemon('/told.sock'), {
      prefix,
      env: { ...env, NFSROOT_TRACE_SOCKET: '/told.sock', NFSROOT_TRACE_STATE_DIR: '/told' },
    });
  });

  test(
    'names that cannot be asked for are told, once',
    {
      skip: lacks('fanotify', 'python'),
    },
    async () => {
      const fence = join(import.meta.dirname, '../support/no_internet.py');
      const daemon = await sandbox.daemon(
        { reverseLookup: true },
        { prefix: ['/usr/bin/python3', fence] },
      );
      const told = (): number => daemon.log().split('no name server can be asked').length - 1;
      while (told() === 0) await delay(20);
      await sandbox.ok(['mark', 'x']);
      assert.equal(await daemon.stop(), 0);
      assert.equal(told(), 1);
      assert.match(daemon.log(), /\(EAFNOSUPPORT\)/);
      const free = await sandbox.daemon({ reverseLookup: true });
      await sandbox.ok(['mark', 'x']);
      assert.equal(await free.stop(), 0);
      assert.doesNotMatch(free.log(), /name server/);
    },
  );

  test('stop --daemon ends the daemon instead of the recordings', async () => {
    const { text } = await sandbox.ok(['stop', '--help']);
    assert.match(text, /end the daemon instead/);
  });
});
