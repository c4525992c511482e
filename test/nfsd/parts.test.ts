/** A drained batch in parts is the whole. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nfsdAddon } from '../../src/capture/nfsd-binding.ts';
import { decodeNfsBatch, partsOfNfsBatch } from '../../src/capture/nfsd-decode.ts';
import type { NfsBatch } from '../../src/common/batches.ts';
import { kernelFormats, recorded } from './kernel-records.ts';

const PLAN = { best: 'exact+names', probe: '', preferProbe: false, noHashes: false } as const;
const [ENCODED = Buffer.alloc(0)] = nfsdAddon.interpretNfsdRecords(
  kernelFormats(),
  [recorded('v4.2')],
  65536,
  0,
  PLAN,
);
const WHOLE = decodeNfsBatch(ENCODED);

/** Rows and markers as attribution goes through them. */
function inOrder({ rows, markers }: Pick<NfsBatch, 'rows' | 'markers'>): string[] {
  return [
    ...markers.map((marker) => ({ ...marker, order: -1 })),
    ...rows.map((row) => ({ ...row })),
  ]
    .sort((a, b) => a.epoch - b.epoch || a.order - b.order)
    .map((one) => JSON.stringify(one));
}

test('the recording has what the parts are about', () => {
  assert.ok(WHOLE.rows.length > 20 && WHOLE.markers.length > 2);
});

for (const most of [1, 7, WHOLE.rows.length - 1, WHOLE.rows.length, WHOLE.rows.length + 1])
  test(`parts of ${most} rows, one after the other, are the whole`, () => {
    const parts = [...partsOfNfsBatch(ENCODED, undefined, most)];
    assert.equal(parts.length, Math.ceil(WHOLE.rows.length / most));
    assert.deepEqual(parts.flatMap(inOrder), inOrder(WHOLE));
    assert.deepEqual(
      parts.flatMap(({ losses }) => losses),
      WHOLE.losses,
    );
    assert.deepEqual(
      parts.map(({ more }) => more === true),
      parts.map((_, i) => i < parts.length - 1),
    );
    for (const part of parts) assert.ok(part.rows.length <= most && part.untilUs === WHOLE.untilUs);
  });

test('of an empty batch there is one part', () => {
  const [empty = Buffer.alloc(0)] = nfsdAddon.interpretNfsdRecords(
    kernelFormats(),
    [Buffer.alloc(0)],
    65536,
    0,
    PLAN,
  );
  const parts = [...partsOfNfsBatch(empty, undefined, 4)];
  assert.deepEqual(
    parts.map(({ rows, more }) => [rows, more]),
    [[[], undefined]],
  );
});
