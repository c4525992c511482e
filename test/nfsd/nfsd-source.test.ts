import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { decodeNfsBatch } from '../../src/capture/nfsd-decode.ts';
import { findTracefs, probeNfsd } from '../../src/capture/nfsd-probe.ts';
import { NfsdSource } from '../../src/capture/nfsd-source.ts';
import { TraceError } from '../../src/common/errors.ts';
import { kernelFormats } from './kernel-records.ts';

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
});

test('a source that was never started is empty and stops', async () => {
  const source = new NfsdSource();
  await source.sync();
  assert.deepEqual(source.drain().rows, []);
  assert.deepEqual((await source.stop()).rows, []);
  assert.equal(source.status().state, 'stopped');
});

test('before the nfsd module is loaded it waits, syncs, drains and stops twice', async (t) => {
  const probe = probeNfsd();
  if (findTracefs() === null || !probe.perf.ok) {
    t.skip('tracepoints cannot be opened');
    return;
  }
  if (probe.moduleLoaded) {
    t.skip('this machine has nfsd loaded');
    return;
  }
  const source = new NfsdSource();
  source.start();
  assert.equal(source.status().state, 'waiting');
  assert.equal(code(() => source.start()).code, 'already-started');
  const before = source.drain().untilUs;
  await source.sync();
  const batch = source.drain();
  assert.ok(batch.untilUs >= before);
  assert.deepEqual([batch.rows, batch.markers, batch.losses], [[], [], []]);
  await Promise.all([source.sync(), source.sync()]);
  const [first, second] = await Promise.all([source.stop(), source.stop()]);
  assert.deepEqual([first.rows, second.rows], [[], []]);
  assert.equal(source.status().state, 'stopped');
  await source.sync();
});

test('waiting costs next to nothing', async (t) => {
  const probe = probeNfsd();
  if (!probe.perf.ok || probe.moduleLoaded) {
    t.skip('needs tracepoints and no nfsd');
    return;
  }
  const source = new NfsdSource();
  source.start();
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await source.stop();
  const used = source.status().threadCpuUs;
  t.diagnostic(`${used} us of CPU in a second`);
  assert.ok(used < 50_000);
});

test('a batch of another version is refused', () => {
  assert.throws(() => decodeNfsBatch(Buffer.alloc(64)), TraceError);
});
