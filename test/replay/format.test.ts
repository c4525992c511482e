/** What a file of recorded batches keeps, and what a replay makes of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeLines, encodeLine, type RecordedLine } from '../../src/capture/recorded-batches.ts';
import { ReplaySensors } from '../../src/capture/replay-source.ts';
import type { NfsBatch } from '../../src/common/batches.ts';
import { ExportTable } from '../../src/recording/export-table.ts';

const NONE = Buffer.alloc(0);
const batch = (unsigned: readonly (readonly [number, number])[], untilUs: number): NfsBatch => ({
  ...{ rows: [], markers: [], losses: [], lookups: [], lookupsDropped: [] },
  ...{ unsigned: new Map(unsigned), untilUs },
});

test('handles without their signatures come back from the file, and from a replay', () => {
  const lines: RecordedLine[] = [
    { kind: 'nfs', batch: batch([[1, 2]], 10) },
    { kind: 'nfs', batch: batch([[3, 4]], 20) },
  ];
  const back = decodeLines(lines.map(encodeLine).join(''));
  assert.deepEqual(back, lines);
  const trace = back.flatMap((line) =>
    line.kind === 'nfs'
      ? [{ arrivesUs: line.batch.untilUs, atUs: line.batch.untilUs, batch: line.batch }]
      : [],
  );
  const sensors = new ReplaySensors({ trace, files: [], tier: 'exact' });
  sensors.nowUs = 100;
  assert.deepEqual(
    [...(sensors.drainTrace().unsigned ?? [])],
    [
      [1, 2],
      [3, 4],
    ],
  );
});

test('which clients the kernel knows is the replayed machine’s, not this one’s', () => {
  const exports = new ExportTable({
    roots: new Map(),
    reader: {
      tables: () => ({ handles: NONE, options: NONE, etab: NONE }),
      domains: () => new Map([['10.0.0.7', '*']]),
      rootHandle: () => null,
      openIndex: () => null,
    },
  });
  assert.deepEqual([...exports.clients()], ['10.0.0.7']);
});
