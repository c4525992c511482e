/** A short run of each fuzzer of native/ finds nothing. scripts/fuzz runs them for longer. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';

import { lacks } from '../capabilities.ts';
import { buildNative, fuzzNative, nativeTargets } from './native.ts';

describe('fuzzers of native code', { skip: lacks('fuzzer') }, () => {
  const out = mkdtempSync(join(tmpdir(), 'nfsroot-trace-fuzz-'));
  after(() => rmSync(out, { recursive: true, force: true }));

  it('are built', () => buildNative(out));
  for (const target of nativeTargets())
    it(target, async () => {
      const { text, turns } = await fuzzNative({ target, out, seed: 7, seconds: 1 });
      assert.equal(text, null, text ?? '');
      assert.ok(turns > 100, `${turns} inputs`);
    });
});
