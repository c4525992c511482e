/**
 * A recording of the lab's sensors as the parts of a replay. Owns the reading of the fixture.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import type { FileBatch, NfsBatch } from '../../src/common/batches.ts';
import {
  decodeLines,
  type RecordedExport,
  type RecordedLine,
  type RecordedTree,
} from '../../src/capture/recorded-batches.ts';

export interface Recorded {
  readonly begin: RecordedTree;
  readonly end: RecordedTree;
  readonly outside: readonly RecordedTree[];
  readonly exports: readonly RecordedExport[];
  readonly trace: readonly NfsBatch[];
  readonly files: readonly FileBatch[];
  /** When the flush began that drained each of them: at the drain of its trace, if it had any. */
  readonly filesFlushedUs: readonly number[];
  /** Before everything, and after everything. */
  readonly fromUs: number;
  readonly untilUs: number;
}

export const FIXTURE = join(import.meta.dirname, '../fixtures/replay/lab-6.1.jsonl.gz');

export function readRecorded(path: string): Recorded {
  const lines = decodeLines(gunzipSync(readFileSync(path)).toString());
  const trees = lines.filter((line) => line.kind === 'tree');
  const tree = (moment: RecordedTree['moment']): RecordedTree => {
    const found = trees.find((line) => line.moment === moment);
    if (found === undefined) throw new Error(`${path} has no tree of its ${moment}`);
    return found;
  };
  const trace = lines.flatMap((line) => (line.kind === 'nfs' ? [line.batch] : []));
  const files = lines.flatMap((line) => (line.kind === 'files' ? [line.batch] : []));
  const firsts = trace.flatMap(({ rows, markers }) => [
    ...rows.map(({ firstUs }) => firstUs),
    ...markers.map(({ atUs }) => atUs),
  ]);
  return {
    begin: tree('begin'),
    end: tree('end'),
    outside: trees.filter(({ moment }) => moment === 'outside'),
    exports: lines.findLast((line) => line.kind === 'exports')?.exports ?? [],
    trace,
    files,
    filesFlushedUs: flushesOf(lines),
    fromUs: Math.min(...firsts, ...files.map(({ untilUs }) => untilUs)) - 2_000_000,
    untilUs: Math.max(...trace.map(({ untilUs }) => untilUs), ...files.map((b) => b.untilUs)),
  };
}

function flushesOf(lines: readonly RecordedLine[]): number[] {
  const flushes: number[] = [];
  let [traceUs, fileUs] = [0, 0];
  for (const line of lines) {
    if (line.kind === 'nfs') traceUs = line.batch.untilUs;
    if (line.kind !== 'files') continue;
    flushes.push(traceUs > fileUs ? traceUs : line.batch.untilUs);
    fileUs = line.batch.untilUs;
  }
  return flushes;
}
