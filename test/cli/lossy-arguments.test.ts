/** Arguments that are not UTF-8: roots and images are what was named, nothing else is touched. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { TraceSandbox } from '../support/trace-sandbox.ts';

/** For printf(1). */
const ODD = String.raw`$(printf 'r\351')`;

describe('arguments that are not UTF-8', () => {
  const sandbox = new TraceSandbox();
  const folder = sandbox.at('odd');
  before(() => {
    mkdirSync(folder);
    const root = Buffer.concat([Buffer.from(`${folder}/r`), Buffer.of(0xe9)]);
    mkdirSync(Buffer.concat([root, Buffer.from('/etc')]), { recursive: true });
    writeFileSync(Buffer.concat([root, Buffer.from('/etc/motd')]), 'welcome\n');
    writeFileSync(`${folder}/list`, 'etc/motd\n');
    // What such names are taken for where their bytes are lost.
    writeFileSync(`${folder}/r\ufffd.bin`, 'another');
  });
  after(() => sandbox.remove());
  const env = sandbox.env();
  const refused = /^error: the argument .* is not UTF-8\nhint: ./;

  test('a root is named by its bytes: from its own folder, too, and in a list', async () => {
    const text = `trace import --root "${ODD}" --list list
      cd "${ODD}"; trace import --root . --list ../list; pwd | tee /dev/stderr | sed 's:$:/etc/motd:' >../absolute
      trace import --root "../${ODD}/" --list ../absolute; trace show session-3 >/dev/null`;
    const { text: said } = await sandbox.script(folder, text, { env });
    assert.equal(said.match(/paths that are there: 1, that are not: 0/g)?.length, 3, said);
  });

  for (const line of [
    `nbic -d "${ODD}" --list list -o "${ODD}.bin"`,
    `nbic -d "${ODD}" --list "${ODD}" -o plain.cpio`,
    `trace export session-1 -o "${ODD}.bin"`,
    `trace export session-1 -o plain.cpio --include "/etc" --exclude "/${ODD}"`,
    `trace run --root . -- "${ODD}"`,
    `trace image extract list -C "${ODD}.bin"`,
  ])
    test(`refused: ${line}`, async () => {
      const before = readdirSync(folder).sort();
      const { code, stderr } = await sandbox.tryScript(folder, line, { env });
      assert.match(stderr, refused);
      assert.equal(code, 64);
      assert.deepEqual(readdirSync(folder).sort(), before);
      assert.equal(readFileSync(`${folder}/r\ufffd.bin`, 'utf8'), 'another');
      assert.ok(!existsSync(`${folder}/plain.cpio`));
    });
});
