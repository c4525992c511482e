/** The life of the NFS trace: tiers, starting, stopping, what is missing. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { test } from 'node:test';
import { decodeNfsBatch } from '../../src/capture/nfsd-decode.ts';
import { findTracefs, probeNfsd } from '../../src/capture/nfsd-probe.ts';
import { joined } from '../../src/capture/joined-batches.ts';
import { givesNoHashes, NfsdSource } from '../../src/capture/nfsd-source.ts';
import type { NfsBatch, NfsRow } from '../../src/common/batches.ts';
import { TraceError } from '../../src/common/errors.ts';
import { lacks } from '../capabilities.ts';
import { kernelFormats, sockaddr4 } from './kernel-records.ts';

function code(run: () => unknown): TraceError {
  try {
    run();
  } catch (error) {
    assert.ok(error instanceof TraceError);
    return error;
  }
  return assert.fail('nothing was thrown');
}

/** A folder that looks like a tracefs with the events of a 6.1 kernel, less some. */
function fakeTracefs(without: readonly string[] = []): string {
  const folder = mkdtempSync(join(tmpdir(), 'tracefs-'));
  for (const [event, text] of Object.entries(kernelFormats(without))) {
    const place = join(folder, 'events', event === 'svc_process' ? 'sunrpc' : 'nfsd', event);
    mkdirSync(place, { recursive: true });
    writeFileSync(join(place, 'format'), text);
  }
  return folder;
}

test('the tier follows from which events there are', () => {
  const cases: [string[], string | null][] = [
    [[], 'exact'],
    [['svc_process'], 'exact'],
    [['nfsd_read_io_done'], 'exact'],
    [['nfsd_read_io_done', 'nfsd_read_start'], null],
    [['nfsd_fh_verify', 'nfsd_fh_verify_err'], 'reads'],
    [['nfsd_fh_verify', 'svc_process'], null],
    [['nfsd_read_io_done', 'svc_process'], null],
  ];
  for (const [without, tier] of cases) {
    const folder = fakeTracefs(without);
    const probe = probeNfsd(folder);
    rmSync(folder, { recursive: true });
    assert.equal(probe.tier, tier, without.join(' '));
    assert.equal(probe.events['nfsd_read_io_done'], !without.includes('nfsd_read_io_done'));
    assert.equal(probe.events['nfsd_vfs_lookup'], false);
  }
});

test('without tracefs starting fails, and says what to do', () => {
  const error = code(() => new NfsdSource({ tracefs: '/nonexistent' }).start());
  assert.equal(error.code, 'no-tracefs');
  assert.equal(error.exitCode, 77);
  assert.match(error.hint ?? '', /mount -t tracefs/);
  assert.equal(probeNfsd('/nonexistent').tracefs, null);
  assert.match(probeNfsd('/nonexistent').perf.reason ?? '', /not mounted on \/nonexistent/);
});

test(
  'a tracefs that may not be read is not one that is not mounted',
  { skip: lacks('root', 'perf') },
  () => {
    const module = new URL('../../src/capture/nfsd-source.ts', import.meta.url).pathname;
    // Loads all it needs as root, then is nobody.
    const script = `
    const { NfsdSource } = await import(${JSON.stringify(module)});
    process.setgroups([]); process.setgid(65534); process.setuid(65534);
    try { new NfsdSource().start(); } catch ({ code, message, hint }) { console.log([code, message, hint].join('|')); }`;
    const { stdout } = spawnSync(
      process.execPath,
      ['--input-type=module-typescript', '-e', script],
      {
        encoding: 'utf8',
      },
    );
    assert.match(stdout, /^no-tracefs\|.*cannot be read\|give the daemon CAP_DAC_READ_SEARCH/);
  },
);

test('a source that was never started is empty and stops', async () => {
  const source = new NfsdSource();
  await source.sync();
  assert.deepEqual(source.drain().rows, []);
  assert.deepEqual((await source.stop()).rows, []);
  assert.equal(source.status().state, 'stopped');
});

/**
 * A tracefs whose nfsd events appear only with `load()`, under cover: nfsd_fh_verify is pread(2), the
 * handle's hash its descriptor, the client's sockaddr its position; and the read that there must be
 * is sync(2), which nobody calls here.
 */
function pretendTracefs(): {
  folder: string;
  load: () => void;
  remove: () => void;
} {
  const real = findTracefs() ?? '';
  const idOf = (event: string): string =>
    readFileSync(`${real}/events/${event}/id`, 'latin1').trim();
  const folder = mkdtempSync(join(tmpdir(), 'tracefs-'));
  const write = (place: string, event: string, content: string): void => {
    mkdirSync(join(folder, place, event), { recursive: true });
    writeFileSync(join(folder, place, event, 'format'), content);
  };
  const common =
    '\tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n' +
    '\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n' +
    '\tfield:u32 xid;\toffset:8;\tsize:4;\tsigned:0;\n' +
    '\tfield:u8 client[8];\toffset:40;\tsize:8;\tsigned:0;\n' +
    '\tfield:u32 fh_hash;\toffset:16;\tsize:4;\tsigned:0;\n';
  const exit = 'sched/sched_process_exit';
  mkdirSync(join(folder, 'events', exit), { recursive: true });
  writeFileSync(join(folder, 'events', exit, 'id'), idOf(exit));
  const staged = 'staged';
  const head = (name: string, event: string): string =>
    `name: ${name}\nID: ${idOf(event)}\nformat:\n${common}`;
  write(staged, 'nfsd_fh_verify', head('nfsd_fh_verify', 'syscalls/sys_enter_pread64'));
  write(staged, 'nfsd_read_io_done', head('nfsd_read_io_done', 'syscalls/sys_enter_sync'));
  return {
    folder,
    load: () => renameSync(join(folder, staged), join(folder, 'events', 'nfsd')),
    remove: () => rmSync(folder, { recursive: true }),
  };
}

const BASE = 910_000_000;
const CLIENT = '10.0.0.7';
/** AF_INET, port 0, 10.0.0.7, as the little-endian number that a position is. */
const POSITION = sockaddr4(CLIENT, 0).readBigUInt64LE();

/** Makes `count` events that no other process makes; from where counting begins. */
function readMany(first: number, count: number): void {
  const byte = Buffer.alloc(1);
  for (let i = 0; i < count; i++) {
    try {
      readSync(BASE + first + i, byte, 0, 1, POSITION);
    } catch {
      // EBADF is what is wanted
    }
  }
}

function ownRows(batch: NfsBatch): number[] {
  return batch.rows.filter(({ client }) => client === CLIENT).map(({ hash }) => hash - BASE);
}

const skip = lacks('perf');

test(
  'before the nfsd module is loaded it waits, syncs, drains and stops twice',
  { skip },
  async (t) => {
    const { folder, remove } = pretendTracefs();
    const source = new NfsdSource({ tracefs: folder });
    source.start();
    assert.equal(source.status().state, 'waiting');
    assert.equal(code(() => source.start()).code, 'already-started');
    const before = source.drain().untilUs;
    await source.sync();
    const batch = source.drain();
    assert.ok(batch.untilUs >= before);
    assert.deepEqual([batch.rows, batch.markers, batch.losses], [[], [], []]);
    await Promise.all([source.sync(), source.sync()]);
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const [first, second] = await Promise.all([source.stop(), source.stop()]);
    assert.deepEqual([first.rows, second.rows], [[], []]);
    const { state, threadCpuUs } = source.status();
    assert.equal(state, 'stopped');
    t.diagnostic(`${threadCpuUs} us of CPU in a second of waiting`);
    assert.ok(threadCpuUs < 50_000);
    await source.sync();
    remove();
  },
);

test('once the module is there it runs, and misses nothing from then on', { skip }, async () => {
  const { folder, load, remove } = pretendTracefs();
  const source = new NfsdSource({ tracefs: folder });
  source.start();
  readMany(500_000, 100);
  load();
  while (source.status().state === 'waiting')
    await new Promise((resolve) => setTimeout(resolve, 5));
  const { state, tier, runningSinceUs, ringBytesPerCpu } = source.status();
  assert.equal(state, 'running');
  assert.equal(tier, 'exact');
  assert.ok(runningSinceUs !== null && ringBytesPerCpu >= 65536);

  for (let round = 0; round < 20; round++) {
    readMany(round * 1000, 1000);
    await source.sync();
    const batch = source.drain();
    assert.deepEqual(
      ownRows(batch),
      Array.from({ length: 1000 }, (_, n) => round * 1000 + n),
      'what was made before a sync is in the next drain, in its order',
    );
    assert.ok(batch.rows.every(({ firstUs }) => firstUs <= batch.untilUs));
  }
  readMany(100_000, 1000);
  const last = await source.stop();
  assert.equal(ownRows(last).length, 1000, 'what was made before the stop is in its batch');
  readMany(200_000, 10);
  assert.deepEqual((await source.stop()).rows, []);
  assert.equal(source.status().lost, 0);
  remove();
});

test('events that are there and cannot be opened are tried ever less often', { skip }, async () => {
  for (const [troubleMs, state] of [
    [0, 'running'],
    [2000, 'waiting'],
  ] as const) {
    const { folder, load, remove } = pretendTracefs();
    const source = new NfsdSource({ tracefs: folder });
    source.start();
    const format = join(folder, 'staged', 'nfsd_fh_verify', 'format');
    const text = readFileSync(format, 'latin1');
    writeFileSync(format, text.replace(/^ID: .*$/m, 'ID: 999999'));
    load();
    while (source.status().problem === null) await delay(5);
    await delay(troubleMs);
    writeFileSync(join(folder, 'events', 'nfsd', 'nfsd_fh_verify', 'format'), text);
    await source.sync();
    // Tried after 0.1 s of trouble, 0.3, 0.7, 1.5 and 3.1.
    await delay(500);
    assert.equal(source.status().state, state, `after ${troubleMs} ms of trouble`);
    await source.stop();
    remove();
  }
});

test(
  'a ring that is too small is a loss with its time, and the count is right',
  { skip },
  async () => {
    const { folder, load, remove } = pretendTracefs();
    load();
    const source = new NfsdSource({ tracefs: folder, ringBytes: 4096 });
    source.start();
    const fromUs = Number(process.hrtime.bigint() / 1000n);
    readMany(0, 5000);
    const batch = await source.stop();
    remove();
    const ring = batch.losses.filter(({ where }) => where === 'trace-ring');
    assert.ok(ring.length > 0);
    assert.equal(
      source.status().lost,
      ring.reduce((sum, { count }) => sum + count, 0),
    );
    for (const loss of ring) {
      assert.ok(loss.fromUs <= loss.toUs && loss.toUs >= fromUs);
      assert.ok(loss.toUs <= Number(process.hrtime.bigint() / 1000n));
    }
    assert.ok(ownRows(batch).length + source.status().lost >= 5000, 'others read files too');
  },
);

test('a hash of 0 is a hash, unless there are only those, and many', () => {
  assert.equal(givesNoHashes({ hashes: 0, zeroHashes: 99 }), false);
  assert.equal(givesNoHashes({ hashes: 0, zeroHashes: 100 }), true);
  assert.equal(givesNoHashes({ hashes: 1, zeroHashes: 1_000_000 }), false);
});

test(
  'handles without hashes, and no kprobe to be had: what is read goes on',
  { skip },
  async () => {
    const { folder, load, remove } = pretendTracefs();
    load();
    const source = new NfsdSource({ tracefs: folder });
    source.start();
    readMany(-BASE, 1);
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 100; i++) readMany(-BASE, 1);
      await source.sync();
      const { rows, untilUs } = source.drain();
      assert.ok(untilUs > 0);
      const zeros = rows.filter(({ client, hash }) => client === CLIENT && hash === 0);
      assert.ok(zeros.length > 0, 'they will be losses, but they are seen');
    }
    const { state, tier, hashes, zeroHashes } = source.status();
    assert.deepEqual([state, tier], ['running', 'exact']);
    assert.ok(zeroHashes >= 300 && hashes >= 0);
    await source.stop();
    remove();
  },
);

test('what two readers saw of one stream is one batch, in its order', () => {
  const row = (epoch: number, order: number, hash: number): NfsRow => ({
    ...{ epoch, order, hash, client: CLIENT, kind: 'read', type: 0, access: 0, count: 1 },
    ...{ bytes: 0, minOffset: 0, firstUs: 0, lastUs: 0 },
  });
  const loss = { where: 'trace-ring', count: 1, fromUs: 0, toUs: 1 };
  const empty = { markers: [], losses: [loss], untilUs: 5 };
  const before = { ...empty, rows: [row(4, 70, 1), row(6, 90, 2)], unsigned: new Map([[1, 2]]) };
  const name = { ...{ epoch: 1, order: 8, client: CLIENT, directory: 3 }, name: Buffer.from('x') };
  const lookup = { ...name, count: 1, firstUs: 0, lastUs: 0 };
  const after = { ...empty, rows: [row(0, 1, 3), row(1, 7, 4)], lookups: [lookup], untilUs: 9 };
  const { rows, lookups, losses, unsigned, untilUs } = joined(before, after);
  assert.deepEqual(
    rows.map(({ epoch, order, hash }) => [epoch, order, hash]),
    [
      [4, 70, 1],
      [6, 90, 2],
      [7, 92, 3],
      [8, 98, 4],
    ],
  );
  assert.deepEqual([lookups?.[0]?.epoch, lookups?.[0]?.order], [8, 99]);
  assert.deepEqual([losses.length, unsigned?.get(1), untilUs], [2, 2, 9]);
  assert.deepEqual(joined({ ...empty, rows: [] }, after).rows, after.rows);
});

test('a batch of another version is refused', () => {
  assert.throws(() => decodeNfsBatch(Buffer.alloc(64)), TraceError);
});
