/** A command loads only what it needs. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';

const TRACE = join(import.meta.dirname, '../../dist/cli/bin.cjs');

/** Writes the address of each module that is loaded to the file that WHAT_LOADS names. */
const HOOK = `
import { appendFileSync } from 'node:fs';
import { registerHooks } from 'node:module';
registerHooks({
  load(url, context, next) {
    appendFileSync(process.env.WHAT_LOADS, url + '\\n');
    return next(url, context);
  },
});`;

/** Of the packages' schemas alone there are a hundred modules: half of such a command's time. */
test('a command that only reads an image loads no schemas, no database and no addon', () => {
  const folder = mkdtempSync(join(tmpdir(), 'nfsroot-trace-loads-'));
  try {
    const [image, loads] = [join(folder, 'zeros.cpio'), join(folder, 'loads')];
    writeFileSync(image, Buffer.alloc(512));
    const hook = `data:text/javascript,${encodeURIComponent(HOOK)}`;
    const { status, stderr } = spawnSync(
      process.execPath,
      ['--import', hook, TRACE, 'image', 'list', image],
      { encoding: 'utf8', env: { ...process.env, WHAT_LOADS: loads } },
    );
    assert.equal(stderr, '');
    assert.equal(status, 0);
    const loaded = readFileSync(loads, 'utf8').split('\n');
    assert.ok(loaded.some((url) => url.endsWith('/image/tools/walk-image.js')));
    const heavy = loaded.filter((url) => /zod|better-sqlite3|fanotify-ts|express/.test(url));
    assert.deepEqual(heavy, []);
  } finally {
    rmSync(folder, { recursive: true });
  }
});
