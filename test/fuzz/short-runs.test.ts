/** A short run of each fuzzer of TypeScript finds nothing. scripts/fuzz runs them for longer. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';

import { fuzz } from './supervise.ts';
import { TARGETS } from './targets/all.ts';

/** Those that start programs are slow. */
const TURNS = { usual: 100, 'cpio-packed': 20 } as Readonly<Record<string, number>>;

for (const target of TARGETS)
  it(target.name, async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'nfsroot-trace-fuzz-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const turns = TURNS[target.name] ?? TURNS['usual'] ?? 0;
    const { said, find } = await fuzz({ target, seed: 7, seconds: 8, turns, folder });
    assert.equal(find, null, `${find?.kind ?? ''}\n${find?.text ?? ''}`);
    assert.ok((said?.turns ?? 0) > 0);
  });
