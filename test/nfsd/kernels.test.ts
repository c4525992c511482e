/**
 * What real kernels' rings held (test/fixtures/nfsd-*, made by test/lab/record-fixture.ts) comes out
 * as the same kernels' text form of the same events says, by tracepoint and by kprobe.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import type { NfsBatch } from '../../src/common/batches.ts';
import type { NativePlan } from '../../src/capture/nfsd-binding.ts';
import { interpret, kernelFormats, type FixtureKernel } from './kernel-records.ts';
import type { TextCount, TextCounts, TextLookup } from './text-trace.ts';

const FIXTURES = new URL('../fixtures/', import.meta.url);
const STEPS = ['v3', 'v4.2', 'stale'];

function batchesOf(kernel: FixtureKernel, plan: Partial<NativePlan>): NfsBatch[] {
  const records = STEPS.map((step) =>
    readFileSync(new URL(`nfsd-${kernel}/${step}.records`, FIXTURES)),
  );
  return interpret(records, { formats: kernelFormats([], kernel), plan });
}

function told(kernel: string, checks: string): TextCounts {
  const text = readFileSync(new URL(`nfsd-${kernel}/text-${checks}.json`, FIXTURES), 'utf8');
  return JSON.parse(text) as TextCounts;
}

function counted(batches: readonly NfsBatch[]): TextCount[] {
  const counts = new Map<string, TextCount>();
  for (const { client, hash, kind, type, count, bytes } of batches.flatMap(({ rows }) => rows)) {
    if (kind === 'verify-error' || kind === 'write') continue;
    const key = `${client} ${hash}`;
    const sum = counts.get(key) ?? [client, hash, 0, 0, 0, 0];
    counts.set(key, sum);
    if (kind === 'read') sum[4] += count;
    else sum[2] += count;
    if (kind === 'verify' && type === 0o120000) sum[3] += count;
    sum[5] += bytes;
  }
  return [...counts.values()].sort(byText);
}

function lookedUp(batches: readonly NfsBatch[]): TextLookup[] {
  const lookups = new Map<string, TextLookup>();
  for (const { client, directory, name, count } of batches.flatMap(({ lookups = [] }) => lookups)) {
    const key = `${client} ${directory} ${name.toString()}`;
    const sum = lookups.get(key) ?? [client, directory, name.toString(), 0];
    lookups.set(key, sum);
    sum[3] += count;
  }
  return [...lookups.values()].sort(byText);
}

const byText = (a: unknown, b: unknown): number => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1);
const losses = (batches: readonly NfsBatch[]): unknown[] =>
  batches.flatMap((batch) => [...batch.losses]);

const BY_PROBE = { probe: 'fhv', preferProbe: true };

for (const kernel of ['5.10', '6.12', '7.x'] as const)
  describe(`Linux ${kernel}`, () => {
    const formats = kernelFormats([], kernel);

    test('by the kprobe: every check that held, every read, nothing of a stale handle', () => {
      const batches = batchesOf(kernel, BY_PROBE);
      assert.deepEqual(counted(batches), told(kernel, 'fhv').counts);
      assert.deepEqual(losses(batches), []);
      assert.deepEqual(
        [...new Set(batches.flatMap(({ rows }) => rows.map(({ client }) => client)))].sort(),
        ['10.77.0.21', '10.77.0.22'],
      );
    });

    if (formats['nfsd_fh_verify'] !== undefined)
      test('by the tracepoint: the same', () => {
        const batches = batchesOf(kernel, {});
        const { counts, lookups } = told(kernel, 'nfsd_fh_verify');
        assert.deepEqual(counted(batches), counts);
        assert.deepEqual(lookedUp(batches), lookups);
        assert.deepEqual(counts, told(kernel, 'fhv').counts);
      });

    test('lookups, where the kernel tells them, by either route; none below exact+names', () => {
      const { lookups } = told(kernel, 'fhv');
      assert.equal(lookups.length > 0, formats['nfsd_vfs_lookup'] !== undefined);
      assert.deepEqual(lookedUp(batchesOf(kernel, BY_PROBE)), lookups);
      assert.deepEqual(lookedUp(batchesOf(kernel, { ...BY_PROBE, best: 'exact' })), []);
    });

    test('reads alone: the same reads of the same clients', () => {
      const batches = batchesOf(kernel, { ...BY_PROBE, best: 'reads' });
      const reads = told(kernel, 'fhv').counts.filter((row) => row[4] > 0);
      assert.deepEqual(
        counted(batches),
        reads.map(([client, hash, , , count, bytes]) => [client, hash, 0, 0, count, bytes]),
      );
      assert.deepEqual(losses(batches), []);
    });

    test('a kernel without hashes: reads have that of the check before them', () => {
      const batches = batchesOf(kernel, { ...BY_PROBE, noHashes: true });
      assert.deepEqual(counted(batches), told(kernel, 'fhv').counts);
    });

    test('mounts', () => {
      const [v3, v4] = batchesOf(kernel, BY_PROBE);
      const kinds = v3?.markers.map(({ kind, client }) => `${kind} ${client}`);
      assert.deepEqual(kinds, [
        'fsinfo 10.77.0.21',
        'fsinfo 10.77.0.21',
        'fsinfo 10.77.0.22',
        'fsinfo 10.77.0.22',
      ]);
      assert.ok(v3?.markers.every(({ hash }) => hash !== 0));
      assert.equal(v4?.markers.filter(({ kind }) => kind === 'fresh').length, 4);
    });
  });
