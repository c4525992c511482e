/** Kernel modules packed with xz: unpacked by the server's program, within bounds, or told. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { makeElf } from './make-elf.ts';
import { added, messages, plan } from './needs-support.ts';

const MODULE = makeElf({ modinfo: ['firmware=acme/fw.bin'] });
const AT = 'lib/modules/6.1';
const FIRMWARE = 'lib/firmware/acme/fw.bin';

/** As a byte string. */
function xz(content: Buffer, ...args: string[]): string {
  const { stdout } = spawnSync('xz', ['-c', ...args], { input: content, maxBuffer: 1 << 28 });
  return stdout.toString('latin1');
}

const hasXz = spawnSync('xz', ['--version']).status === 0;
const small = hasXz ? xz(Buffer.from(MODULE, 'latin1')) : '';

async function withPath<T>(path: string, work: () => Promise<T>): Promise<T> {
  const before = process.env['PATH'];
  process.env['PATH'] = path;
  try {
    return await work();
  } finally {
    process.env['PATH'] = before;
  }
}

describe('kernel modules packed with xz', { skip: !hasXz && 'no xz' }, () => {
  const folder = mkdtempSync(join(tmpdir(), 'nfsroot-trace-xz-'));
  after(() => rmSync(folder, { recursive: true }));

  it('bring their firmware', async () => {
    const path = `${AT}/a.ko.xz`;
    const made = await plan({ [path]: small, [FIRMWARE]: 'f' }, [path]);
    assert.deepEqual(added(made), { [FIRMWARE]: `firmware-of ${path}` });
    assert.deepEqual(messages(made), []);
  });

  it('are told of if they are damaged, cut off, too large or want too much memory', async () => {
    const zeros = xz(Buffer.alloc(130 * 1024 * 1024), '-0');
    const huge = xz(Buffer.from(MODULE, 'latin1'), '--lzma2=dict=1GiB,mode=fast,mf=hc3');
    const large = 'x'.repeat(1_000_000);
    const nodes = {
      [`${AT}/bad.ko.xz`]: large,
      [`${AT}/cut.ko.xz`]: small.slice(0, -30),
      [`${AT}/bomb.ko.xz`]: zeros,
      [`${AT}/huge.ko.xz`]: huge,
      [`${AT}/good.ko.xz`]: small,
      [FIRMWARE]: 'f',
    };
    const made = await plan(nodes, Object.keys(nodes).slice(0, -1));
    assert.deepEqual(added(made), { [FIRMWARE]: `firmware-of ${AT}/good.ko.xz` });
    const told = messages(made).join();
    assert.match(told, /^not-looked-into: 4 /);
    assert.match(told, /cannot be unpacked: xz ended with status 1: [^,]* \(for \/.*bad\.ko\.xz\)/);
    assert.match(told, /Unexpected end of input \(for \/.*cut\.ko\.xz\)/);
    assert.match(told, /over 134217728 bytes \(for \/.*bomb\.ko\.xz\)/);
    assert.match(told, /[Mm]emory[^,]* \(for \/.*huge\.ko\.xz\)/);
  });

  it('end, and it is told: any number of them', async () => {
    // A program that is quicker than xz is enough to count by.
    writeFileSync(join(folder, 'xz'), '#!/bin/sh\n', { mode: 0o755 });
    const nothing = 'x'.repeat(50 * 1024 * 1024);
    const nodes = Object.fromEntries(
      Array.from({ length: 30 }, (_, at) => [`${AT}/${at}.ko.xz`, nothing]),
    );
    const made = await withPath(folder, () => plan(nodes, Object.keys(nodes)));
    assert.match(messages(made).join(), /one of too many packed modules \(for .* 8 more\)/);
  });

  it('are told of together where the server has no xz, with what to install', async () => {
    const paths = [`${AT}/a.ko.xz`, `${AT}/b.ko.xz`];
    const nodes = {
      [FIRMWARE]: 'f',
      'bin/xz': 'x',
      ...Object.fromEntries(paths.map((p) => [p, small])),
    };
    const made = await withPath('/nonexistent', () => plan(nodes, paths));
    assert.deepEqual(added(made), {});
    assert.deepEqual(messages(made), [
      'missing-unpacker: 1 programs that unpack kernel modules are not on this server: ' +
        `xz (for /${AT}/a.ko.xz and 1 more)`,
    ]);
    assert.match(made.problems[0]?.hint ?? '', /install xz-utils/);
  });
});
