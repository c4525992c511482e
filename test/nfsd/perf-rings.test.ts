/**
 * The rings themselves, on this machine's kernel: close(2) of descriptors that do not exist is an
 * event that this test alone makes, and its number says which one it was.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { closeSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { nfsdAddon, type NativeTracepointReader } from '../../src/capture/nfsd-binding.ts';
import { findTracefs } from '../../src/capture/nfsd-probe.ts';
import { lacks } from '../capabilities.ts';

const BASE = 900_000_000;

interface ClosedRecord {
  readonly timeNs: bigint;
  readonly cpu: number;
  readonly tid: number;
  readonly descriptor: number;
}

const skip = lacks('perf');

function closeFormat(): string {
  return readFileSync(`${findTracefs() ?? ''}/events/syscalls/sys_enter_close/format`, 'utf8');
}

function open(format: string, ringBytes: number, useCounters = true): NativeTracepointReader {
  const { id } = nfsdAddon.parseTraceFormat(format);
  return new nfsdAddon.TracepointReader(
    [{ id, filter: `fd >= ${BASE} && fd < ${BASE + 10_000_000}` }],
    ringBytes,
    useCounters,
  );
}

function closeMany(count: number, first = 0): void {
  for (let i = 0; i < count; i++) {
    try {
      closeSync(BASE + first + i);
    } catch {
      // EBADF is what is wanted
    }
  }
}

function unpack(format: string, packed: Buffer): ClosedRecord[] {
  const fields = nfsdAddon.parseTraceFormat(format).fields;
  const at = (name: string): number =>
    fields.find((field) => field.name === name)?.offset ?? assert.fail(name);
  const out: ClosedRecord[] = [];
  for (let offset = 0; offset < packed.length;) {
    const size = packed.readUInt32LE(offset);
    const raw = packed.subarray(offset + 16, offset + 16 + size);
    out.push({
      cpu: packed.readUInt32LE(offset + 4),
      timeNs: packed.readBigUInt64LE(offset + 8),
      tid: raw.readInt32LE(at('common_pid')),
      descriptor: Number(raw.readBigUInt64LE(at('fd'))),
    });
    offset += 16 + size;
  }
  return out;
}

test('every event arrives once, in order, through many turns of the ring', { skip }, () => {
  const format = closeFormat();
  const reader = open(format, 16384);
  assert.equal(reader.start(), 16384);
  const seen: ClosedRecord[] = [];
  for (let round = 0; round < 100; round++) {
    closeMany(100, round * 100);
    seen.push(...unpack(format, reader.read()));
  }
  assert.deepEqual(
    seen.map(({ descriptor }) => descriptor - BASE),
    Array.from({ length: 10_000 }, (_, index) => index),
  );
  assert.deepEqual(reader.losses(true), []);
  reader.close();
});

test('what a full ring drops is counted to the last record', { skip }, () => {
  const format = closeFormat();
  const reader = open(format, 4096);
  assert.equal(reader.start(), 4096);
  closeMany(1000);
  const before = unpack(format, reader.read());
  closeMany(1);
  const after = unpack(format, reader.read());
  reader.disable();
  const losses = reader.losses(true);
  reader.close();
  assert.ok(before.length < 500);
  assert.equal(after.at(-1)?.descriptor, BASE);
  assert.equal(
    losses.reduce((sum, { count }) => sum + count, 0),
    1001 - before.length - after.length,
  );
  for (const loss of losses) {
    assert.equal(loss.where, 'trace-ring');
    assert.ok(loss.fromUs > 0 && loss.fromUs <= loss.toUs);
  }
});

test('a loss that no later record reports is found at the end', { skip }, () => {
  const format = closeFormat();
  for (const useCounters of [true, false]) {
    const reader = open(format, 4096, useCounters);
    reader.start();
    closeMany(1000);
    reader.disable();
    const kept: number = unpack(format, reader.read()).length;
    const lost = reader.losses(true).reduce((sum, { count }) => sum + count, 0);
    reader.close();
    if (useCounters) assert.equal(kept + lost, 1000, 'kernels since 6.0 count for each event');
    else assert.ok(lost >= 1 && kept < 1000, 'older ones: at least known to be incomplete');
  }
});

test(
  'a ring that was never full has no loss, with and without the kernel’s counters',
  { skip },
  () => {
    const format = closeFormat();
    for (const useCounters of [true, false]) {
      const reader = open(format, 65536 * 4, useCounters);
      reader.start();
      closeMany(1000);
      reader.disable();
      assert.equal(unpack(format, reader.read()).length, 1000);
      assert.deepEqual(reader.losses(true), []);
      reader.close();
    }
  },
);

test(
  'events of all CPUs come in the order of their time, each thread’s in its own',
  { skip },
  async (t) => {
    const format = closeFormat();
    const reader = open(format, 1 << 20);
    reader.start();
    const threads = 2 * Math.min(4, availableParallelism());
    const done = Array.from({ length: threads }, (_, thread) => {
      const code = `
      const { closeSync } = require('node:fs');
      for (let i = 0; i < 5000; i++) try { closeSync(${BASE + thread * 10_000} + i); } catch {}`;
      return new Promise((resolve) =>
        new Worker(code, { eval: true, trackUnmanagedFds: false }).on('exit', resolve),
      );
    });
    const seen: ClosedRecord[] = [];
    let running = true;
    const finished = Promise.all(done).then(() => (running = false));
    // eslint-disable-next-line @typescript-eslint/no-unnecessary-condition -- changed by the promise
    while (running) {
      const some = unpack(format, reader.read());
      assert.ok(some.every(({ timeNs }, index) => timeNs >= (some[index - 1]?.timeNs ?? 0n)));
      seen.push(...some);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    await finished;
    reader.disable();
    seen.push(...unpack(format, reader.read()));
    assert.deepEqual(reader.losses(true), []);
    reader.close();
    assert.equal(seen.length, threads * 5000);
    for (let thread = 0; thread < threads; thread++) {
      const own = seen
        .map(({ descriptor }) => descriptor - BASE - thread * 10_000)
        .filter((index) => index >= 0 && index < 5000);
      assert.deepEqual(
        own,
        Array.from({ length: 5000 }, (_, index) => index),
      );
    }
    const cpus = new Set(seen.map(({ cpu }) => cpu)).size;
    t.diagnostic(`${seen.length} events on ${cpus} CPUs`);
  },
);

/** Runs a script as an ordinary user with nothing but the given capabilities. */
function runWith(capabilities: string, lockedKiB: string, script: string): string {
  const caps = `-all${capabilities}`;
  const result = spawnSync(
    'sh',
    [
      '-c',
      `ulimit -l ${lockedKiB} && exec setpriv --reuid 65534 --regid 65534 --clear-groups ` +
        `--inh-caps=${caps} --ambient-caps=${caps} --bounding-set=${caps} "$0" --input-type=module-typescript -e "$1"`,
      process.execPath,
      script,
    ],
    { encoding: 'utf8', cwd: process.cwd() },
  );
  return result.stdout.trim() + result.stderr.trim();
}

test(
  'CAP_SYS_ADMIN and CAP_DAC_READ_SEARCH are enough; rings shrink to what may be locked',
  { skip: lacks('root', 'perf') },
  (t) => {
    const format = closeFormat();
    const module = new URL('../../src/capture/nfsd-binding.ts', import.meta.url).pathname;
    const { id } = nfsdAddon.parseTraceFormat(format);
    const script = `
    const { nfsdAddon } = await import(${JSON.stringify(module)});
    const reader = new nfsdAddon.TracepointReader([{ id: ${id} }], 8 << 20, true);
    try { console.log(reader.start()); } catch (error) { console.log(error.message); }
    reader.close();`;
    const both = ',+sys_admin,+dac_read_search';
    assert.equal(runWith(`${both},+ipc_lock`, '64', script), String(8 << 20));
    const small = Number(runWith(both, '64', script));
    assert.ok(small >= 4096 && small < 8 << 20, `${small}`);
    t.diagnostic(`with RLIMIT_MEMLOCK 64 KiB: rings of ${small} bytes`);
    assert.match(runWith(',+dac_read_search', '64', script), /perf_event_open: Permission denied/);
  },
);
