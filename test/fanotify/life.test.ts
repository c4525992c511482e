/** Start, watch, stop, their errors, and the ways an environment can end. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import * as path from 'node:path';
import process from 'node:process';
import { after, before, describe, test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { FanotifyGroup, TraceError } from '../../src/fanotify-ts/index.ts';
import { Actor, bitsOf, cannotRecord, Disk } from './support.ts';

const MODULE = path.join(import.meta.dirname, '../../src/fanotify-ts/index.ts');

function failsWith(code: string, exit: string) {
  return (error: unknown) => {
    assert.ok(error instanceof TraceError, String(error));
    assert.deepEqual([error.code, error.exit], [code, exit]);
    return true;
  };
}

/** Runs a module that has `FanotifyGroup` and `dir`, in a process of its own. */
function run(code: string, dir: string, ...prefix: string[]) {
  const source = `import { FanotifyGroup } from ${JSON.stringify(MODULE)};
    const dir = Buffer.from(${JSON.stringify(dir)});\n${code}`;
  const args = ['--input-type=module', '-e', source];
  const [program = '', ...rest] = [...prefix, process.execPath, ...args];
  return spawnSync(program, rest, { encoding: 'utf8', timeout: 20_000 });
}

describe('bad options', () => {
  test('are refused by the constructor, by name', () => {
    const make = (options: object) => () => new FanotifyGroup({ paths: [], ...options });
    for (const options of [
      { tableLimit: 0 },
      { tableLimit: 1.5 },
      { tableLimit: 1e9 },
      { keep: ['nsfd'] },
      { paths: [Buffer.alloc(0)] },
      { paths: [Buffer.from('a\0b')] },
    ])
      assert.throws(make(options), failsWith('bad-option', 'usage'));
  });
});

describe('life of a group', { skip: cannotRecord }, () => {
  let disk: Disk;
  let actor: Actor;

  before(async () => {
    disk = Disk.ext4();
    actor = await Actor.start();
    fs.writeFileSync(disk.at('file'), 'x');
  });
  after(() => {
    actor.stop();
    disk.remove();
  });

  test('before start and after stop there is nothing to drain, and no thread', async () => {
    const threads = () => fs.readdirSync('/proc/self/task').length;
    const descriptors = () => fs.readdirSync('/proc/self/fd').length;
    const group = new FanotifyGroup({ paths: [disk.root] });
    assert.deepEqual(group.drain().events, []);
    await assert.rejects(group.sync(), failsWith('fanotify-not-running', 'bug'));
    // Node's own pool starts its threads with the first asynchronous call, stop()'s for one.
    await fs.promises.stat('/');
    const before = [threads(), descriptors()];
    group.start();
    assert.equal(threads(), (before[0] ?? 0) + 1);
    await group.stop();
    assert.deepEqual([threads(), descriptors()], before);
    assert.deepEqual(group.drain().events, []);
    assert.throws(() => group.start(), failsWith('fanotify-started', 'bug'));
    assert.throws(() => group.watch(disk.root), failsWith('fanotify-not-running', 'bug'));
    await assert.rejects(group.sync(), failsWith('fanotify-not-running', 'bug'));
  });

  test('stop gives what came last, once', async () => {
    const group = new FanotifyGroup({ paths: [disk.root] });
    group.start();
    await actor.do({ op: 'read', path: disk.at('file') });
    const [first, second] = await Promise.all([group.stop(), group.stop()]);
    assert.ok(bitsOf(first.events, 'file').has('access'));
    assert.deepEqual([second.events, second.losses], [[], []]);
    assert.deepEqual((await group.stop()).events, []);
    assert.ok(group.stats().threadCpuUs > 0);
    const never = new FanotifyGroup({ paths: [disk.root] });
    assert.deepEqual((await never.stop()).events, []);
  });

  test('a sync that waits is told of a stop', async () => {
    const group = new FanotifyGroup({ paths: [disk.root] });
    group.start();
    group.hold(true);
    const waiting = assert.rejects(group.sync(), failsWith('fanotify-not-running', 'bug'));
    await group.stop({ timeoutMs: 20 });
    await waiting;
  });

  test('watch and unwatch while running; two paths on one file system are one mark', async () => {
    const other = Disk.tmpfs();
    fs.mkdirSync(other.at('sub'));
    fs.writeFileSync(other.at('there'), 'x');
    const group = new FanotifyGroup({ paths: [disk.root] });
    group.start();
    const sees = async () => {
      await actor.do({ op: 'read', path: other.at('there') });
      await group.sync();
      return bitsOf(group.drain().events, 'there').has('access');
    };
    assert.equal(await sees(), false);
    group.watch(other.root);
    group.watch(other.at('sub'));
    assert.equal(await sees(), true);
    group.unwatch(other.root);
    assert.equal(await sees(), true);
    group.unwatch(other.at('sub'));
    assert.equal(await sees(), false);
    assert.throws(() => group.unwatch(other.at('sub')), failsWith('not-watched', 'notFound'));
    group.watch(other.root);
    assert.equal(await sees(), true);
    assert.deepEqual((await group.stop()).losses, []);
    other.remove();
  });

  test('paths that cannot be watched', async () => {
    const noFsid = Disk.ext4('-U', 'clear');
    const start = (given: Buffer | string) => () =>
      new FanotifyGroup({ paths: [disk.root, Buffer.from(given as string)] }).start();
    assert.throws(start(disk.at('nothing')), failsWith('not-found', 'notFound'));
    assert.throws(start(disk.at('file')), failsWith('not-a-directory', 'notFound'));
    assert.throws(start(noFsid.root), failsWith('fanotify-unsupported-fs', 'unavailable'));
    assert.throws(start('/proc'), failsWith('fanotify-unsupported-fs', 'unavailable'));
    const group = new FanotifyGroup({ paths: [disk.at('late')] });
    assert.throws(() => group.start(), failsWith('not-found', 'notFound'));
    fs.mkdirSync(disk.at('late'));
    group.start();
    assert.throws(
      () => group.watch(disk.at('nothing')),
      (error) => error instanceof TraceError && error.message.includes(disk.dir),
    );
    await group.sync();
    await group.stop();
    noFsid.remove();
  });

  test('without the capability: one clear error', () => {
    const code = `try { new FanotifyGroup({ paths: [dir] }).start(); }
      catch (error) { console.log(error.code, error.exit, error.hint.includes('CAP_SYS_ADMIN')); }`;
    // Another user may be unable to read the module, so it is loaded before the change of user.
    for (const { stdout, stderr } of [
      run(code, disk.dir, 'setpriv', '--bounding-set=-sys_admin', '--inh-caps=-sys_admin'),
      run(`process.seteuid(65534); ${code}`, disk.dir),
    ])
      assert.equal(stdout, 'fanotify-permission permission true\n', stderr);
  });

  test('with CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH alone it records', () => {
    const caps = '+sys_admin,+dac_read_search';
    fs.chmodSync(disk.root, 0o700);
    const code = `const group = new FanotifyGroup({ paths: [dir], keep: ['self'] });
      group.start();
      (await import('node:fs')).readFileSync(dir + '/file');
      const { events, losses } = await group.stop();
      console.log(process.getuid(), events.length > 0, losses.length);`;
    const { stdout, stderr } = run(
      code,
      disk.dir,
      ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
      ...[`--inh-caps=-all,${caps}`, `--ambient-caps=-all,${caps}`],
    );
    assert.equal(stdout, '65534 true 0\n', stderr);
  });

  test('the process may end while a group runs, waits or is forgotten', () => {
    const begin = 'const group = new FanotifyGroup({ paths: [dir] }); group.start();';
    for (const end of [
      '',
      'process.exit(0);',
      'group.hold(true); void group.sync(); setTimeout(() => process.exit(0), 50);',
      'void group.stop(); process.exit(0);',
      'await group.sync(); void group.sync();',
    ]) {
      const { status, signal, stderr } = run(begin + end, disk.dir);
      assert.deepEqual([status, signal, stderr], [0, null, ''], end);
    }
  });

  test('a group that nobody holds any more is stopped by the collector', () => {
    const code = `
      const fs = await import('node:fs');
      const threads = () => fs.readdirSync('/proc/self/task').length;
      const before = threads();
      for (let n = 0; n < 20; n++) new FanotifyGroup({ paths: [dir] }).start();
      const during = threads();
      for (let n = 0; n < 20 && threads() > before; n++) {
        gc();
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      console.log(during - before, threads() - before);`;
    const source = `import { FanotifyGroup } from ${JSON.stringify(MODULE)};
      const dir = Buffer.from(${JSON.stringify(disk.dir)});${code}`;
    const out = execFileSync(process.execPath, [
      '--expose-gc',
      '--input-type=module',
      '-e',
      source,
    ]);
    assert.equal(out.toString(), '20 0\n');
  });

  test('worker threads: each with a group, ended in their own ways', async () => {
    const code = `
      const { workerData, parentPort } = require('node:worker_threads');
      import(workerData.module).then(async ({ FanotifyGroup }) => {
        const group = new FanotifyGroup({ paths: [Buffer.from(workerData.dir)] });
        group.start();
        parentPort.postMessage('ready');
        if (workerData.how === 'forget') return;
        await new Promise((resolve) => parentPort.once('message', resolve));
        if (workerData.how === 'exit') process.exit();
        if (workerData.how === 'wait') {
          group.hold(true);
          void group.sync();
          parentPort.postMessage('waiting');
          return;
        }
        const { events } = await group.stop();
        parentPort.postMessage(events.map(({ name }) => String(name)));
        parentPort.close();
      });`;
    for (let round = 0; round < 3; round++) {
      const start = async (how: string) => {
        const workerData = { module: MODULE, dir: disk.dir, how };
        const worker = new Worker(code, { eval: true, workerData });
        await once(worker, 'message');
        return worker;
      };
      const [stopped, exited, waiting, terminated, forgotten] = await Promise.all(
        ['stop', 'exit', 'wait', 'terminate', 'forget'].map(start),
      );
      assert.ok(stopped && exited && waiting && terminated && forgotten);
      await actor.do({ op: 'read', path: disk.at('file') });
      stopped.postMessage('end');
      const [names] = (await once(stopped, 'message')) as [string[]];
      assert.ok(names.includes('file'));
      exited.postMessage('end');
      await once(exited, 'exit');
      waiting.postMessage('end');
      await once(waiting, 'message');
      const startedAt = Date.now();
      await Promise.all([waiting.terminate(), terminated.terminate(), forgotten.terminate()]);
      assert.ok(Date.now() - startedAt < 5000);
    }
  });
});
