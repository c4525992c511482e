/** What an export that was killed leaves beside its target, and who removes it. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { replaceFile } from '../../src/image/replace-file.ts';

const MODULE = join(import.meta.dirname, '../../src/image/replace-file.ts');

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'replace-file-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (): Promise<unknown> =>
  replaceFile(join(folder, 'image'), (file) => file.writeFile('whole'));

/** A process that writes to the target and never ends. */
async function writer(): Promise<{ readonly left: string; readonly kill: () => Promise<void> }> {
  const script = `
    import { replaceFile } from ${JSON.stringify(MODULE)};
    await replaceFile(${JSON.stringify(join(folder, 'image'))}, async (file) => {
      await file.write('a part');
      console.log('writing');
      await new Promise((resolve) => setTimeout(resolve, 600_000));
    });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  const [left = ''] = readdirSync(folder).filter((name) => name.endsWith('.partial'));
  const kill = async (): Promise<void> => {
    child.kill('SIGKILL');
    await once(child, 'close');
  };
  return { left, kill };
}

test('killed: its part is swept by the next, at once; one that still writes is let be', async () => {
  const { left, kill } = await writer();
  await write();
  assert.deepEqual(readdirSync(folder).sort(), [left, 'image']);
  await kill();
  await write();
  assert.deepEqual(readdirSync(folder), ['image']);
});

test("another machine's, whose processes nobody here knows, when it is not touched any more", async () => {
  const name = '.nfsroot-trace-00000000-1-0123456789abcdef.partial';
  writeFileSync(join(folder, name), 'a part');
  const touched = (minutes: number): void =>
    utimesSync(join(folder, name), new Date(), new Date(Date.now() - minutes * 60_000));
  touched(50);
  await write();
  assert.deepEqual(readdirSync(folder).sort(), [name, 'image']);
  touched(70);
  await write();
  assert.deepEqual(readdirSync(folder), ['image']);
});

test('a part is touched each minute, however long nothing is written', async (t) => {
  t.mock.timers.enable({ apis: ['setInterval'] });
  await replaceFile(join(folder, 'image'), async () => {
    const [name = ''] = readdirSync(folder);
    const path = join(folder, name);
    utimesSync(path, 0, 0);
    t.mock.timers.tick(60_000);
    const end = performance.now() + 10_000;
    while (statSync(path).mtimeMs === 0) {
      assert.ok(performance.now() < end, 'it is as old as before');
      await setImmediate();
    }
  });
});
