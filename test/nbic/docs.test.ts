/** docs/nbic.md says what is so: every option of the old command lines, and no others. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { TraceSandbox } from '../support/trace-sandbox.ts';

const sandbox = new TraceSandbox();
after(() => sandbox.remove());
const page = readFileSync(join(import.meta.dirname, '../../docs/nbic.md'), 'utf8');
const OPTION = /(?<![\w-])(--[a-z-]+|-[0-9a-zA-Z])(?![\w-])/g;
const SHARED = ['-h', '--help', '-V', '--version'];

/** Options in the table of a section, and in the list that may follow it. */
function told(heading: string): Set<string> {
  const section = page.split(/^## /m).find((text) => text.startsWith(`${heading}\n`)) ?? '';
  const rows = section.split('\n').filter((line) => line.startsWith('| `-'));
  const [, more = ''] = /^And these of .*?: `(.*?)`\.$/ms.exec(section) ?? [];
  return new Set([...rows.map((row) => row.split('|')[1] ?? ''), more].join('\n').match(OPTION));
}

for (const [program, heading] of [
  ['nbic', 'List mode'],
  ['trace-files', 'NFS tracing with TIMESTAMP'],
] as const)
  test(`${program}: its options, all of them, and no others`, async () => {
    const { text } = await sandbox.script(sandbox.folder, `${program} --help`);
    const flags = text.split('\n').flatMap((line) => /^ {2}(-.*?)(?: {2}|$)/.exec(line)?.[1] ?? []);
    const real = new Set(flags.join('\n').match(OPTION));
    for (const option of SHARED) assert.ok(real.delete(option), option);
    assert.deepEqual([...told(heading)].sort(), [...real].sort());
    for (const [line] of page.matchAll(new RegExp(`^${program} .*$`, 'gm')))
      for (const option of line.match(OPTION) ?? []) assert.ok(real.has(option), line);
  });
