/** The records of an archive in memory, by the reader of the image tools. */
import assert from 'node:assert/strict';
import type { ImageRecord } from '../../src/image/tools/record.ts';
import { RecordReader } from '../../src/image/tools/record-reader.ts';

/** Of plain archives that follow each other, with zeros between; fails for what the kernel would not take. */
export function recordsOf(bytes: Buffer): ImageRecord[] {
  const records: ImageRecord[] = [];
  const reader = new RecordReader({
    record(record) {
      records.push(record);
      return null;
    },
  });
  reader.member(0);
  for (let rest = bytes; rest.length > 0;) {
    reader.start();
    rest = rest.subarray(reader.push(rest));
    assert.equal(reader.stop, null);
  }
  assert.ok(reader.whole, 'it ends within a record');
  return records;
}
