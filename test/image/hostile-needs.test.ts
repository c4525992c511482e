/** Roots whose configuration, libraries and modules multiply: the rules end, and tell where. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { gzipSync } from 'node:zlib';
import { makeElf } from './make-elf.ts';
import type { Node } from './memory-tree.ts';
import { messages, plan, program, script } from './needs-support.ts';

describe('hostile files', () => {
  it('keep the reader neither busy nor in the dark', async () => {
    const bomb = gzipSync(Buffer.alloc(200 * 1024 * 1024)).toString('latin1');
    const nodes: Readonly<Record<string, Node>> = {
      p: program([]),
      'etc/nsswitch.conf': `a: ${'['.repeat(60_000)}`,
      'etc/pam.d/a': `auth ${'['.repeat(60_000)}\nauth include a\n@include a\n`,
      'etc/pam.d/b': ' '.repeat(1_000_000),
      'etc/ld.so.conf': 'include /*/*/*/*\n'.repeat(1000),
      'lib/modules/1/bomb.ko.gz': bomb,
      'lib/modules/1/modules.dep': 'bomb.ko.gz: ../../../etc/shadow /etc/shadow bomb.ko.gz\n',
      'bin/s': script(`#!/usr/bin/env -S ${'"'.repeat(200)}`),
    };
    const start = performance.now();
    const made = await plan(nodes, Object.keys(nodes));
    assert.ok(performance.now() - start < 5000, `${performance.now() - start} ms`);
    const told = messages(made).join();
    assert.match(told, /bomb\.ko\.gz/);
    assert.match(told, /too large: 1000000 bytes \(for \/etc\/pam\.d\/b\)/);
  });

  const counted = <T>(count: number, name: (at: number) => T): T[] =>
    Array.from({ length: count }, (_, at) => name(at));
  const MULTIPLYING: Readonly<Record<string, Readonly<Record<string, Node>>>> = {
    'a pattern that goes down and up': {
      p: program(['a.so']),
      ...Object.fromEntries(counted(50, (at) => `d/${at}/x`).map((path) => [path, ''])),
      'etc/ld.so.conf': `include /d/${'*/../'.repeat(1200)}x\n`,
    },
    'libraries in directories': {
      ...Object.fromEntries(
        counted(20, String).map((one) => [
          `p${one}`,
          program(counted(1000, (at) => `l${one}-${at}.so`)),
        ]),
      ),
      ...Object.fromEntries(counted(900, (at) => `d/${at}/x`).map((path) => [path, ''])),
      'etc/ld.so.conf': counted(900, (at) => `/d/${at}\n`).join(''),
    },
  };
  for (const [what, nodes] of Object.entries(MULTIPLYING))
    it(`end, and it is told: ${what}`, async () => {
      const programs = Object.keys(nodes).filter((path) => path.startsWith('p'));
      const start = performance.now();
      const made = await plan(nodes, programs);
      assert.ok(performance.now() - start < 20_000, `${performance.now() - start} ms`);
      const told = messages(made).join();
      assert.match(told, /too much to look for \(for \//);
      // What was not looked for is not called missing.
      assert.doesNotMatch(told, /missing-library: (?:1|20000) /);
    });

  it('end, and it is told: an index of many kernels', async () => {
    const alias = 'alias a b\n'.repeat(1_600_000);
    const kernels = counted(8, (at) => `lib/modules/${at}`);
    const nodes: Readonly<Record<string, Node>> = Object.fromEntries(
      kernels.flatMap((kernel): [string, Node][] => [
        [`${kernel}/a.ko`, { content: makeElf({ modinfo: [] }) }],
        [`${kernel}/modules.softdep`, alias],
      ]),
    );
    const start = performance.now();
    const made = await plan(
      nodes,
      kernels.map((kernel) => `${kernel}/a.ko`),
    );
    assert.ok(performance.now() - start < 20_000, `${performance.now() - start} ms`);
    assert.match(messages(made).join(), /too much to look for \(for \/lib/);
  });

  it('what the bound or the size of an index kept from being read is not called missing', async () => {
    const preboot: Readonly<Record<string, Node>> = {
      config: 'MODULES="a b"\n',
      'bin/sh': program([]),
    };
    const softdep = 'softdep a b\n'.repeat(1_300_000);
    const many = Object.fromEntries(
      counted(8, (at) => `lib/modules/${at}/modules.softdep`).map((path) => [path, softdep]),
    );
    const large = { 'lib/modules/9/modules.alias': { content: '', size: 17 * 1024 * 1024 } };
    for (const [nodes, why] of [
      [many, /not-looked-into: .*too much to look for \(for \/lib\/modules/],
      [large, /not-looked-into: .*too large: 17825792 bytes \(for \/lib\/modules\/9/],
    ] as const) {
      const told = messages(await plan({ ...preboot, ...nodes }, [], { init: 'preboot' }));
      assert.doesNotMatch(told.join('\n'), /init-module-missing/);
      assert.match(told.join('\n'), why);
      assert.equal(told.filter((one) => one.startsWith('not-looked-into')).length, 1);
    }
  });

  it('more names of modules than kernels can be asked for end, and it is told', async () => {
    const kernels = counted(2000, (at) => [`lib/modules/${at}/modules.dep`, 'a.ko:\n'] as const);
    const config = `MODULES="${counted(10_000, String).join(' ')}"\n`;
    const nodes = { config, 'bin/sh': program([]), ...Object.fromEntries(kernels) };
    const told = messages(await plan(nodes, [], { init: 'preboot' })).join('\n');
    assert.match(told, /too much to look for \(for \/lib\/modules\)/);
  });

  it('spellings of one alias that stands for many modules give each its reason once', async () => {
    const modules = counted(1000, (at) => `m${at}`);
    const spellings = counted(100, (at) =>
      at.toString(2).padStart(7, '0').replaceAll('0', '-').replaceAll('1', '_'),
    );
    const nodes: Readonly<Record<string, Node>> = {
      config: `MODULES="${spellings.map((one) => `a${one}b`).join(' ')} m1 m-none m_none"\n`,
      'bin/sh': program([]),
      'lib/modules/1/modules.dep': modules.map((one) => `${one}.ko:\n`).join(''),
      'lib/modules/1/modules.alias': modules
        .map((one) => `alias a${'_'.repeat(7)}b ${one}\n`)
        .join(''),
      ...Object.fromEntries(modules.map((one) => [`lib/modules/1/${one}.ko`, ''])),
      'lib/modules/2': { to: '1' },
    };
    const made = await plan(nodes, [], { init: 'preboot' });
    // A number, since the difference of two lists of 100,000 takes minutes to be told.
    const reasonsOf = (wanted: string): number | undefined =>
      made.entries
        .find(({ path }) => path.toString() === wanted)
        ?.reasons.filter(({ kind }) => kind === 'init').length;
    for (const path of ['lib/modules/2', ...modules.map((one) => `lib/modules/1/${one}.ko`)])
      assert.equal(reasonsOf(path), 1, path);
    const missing = messages(made).filter((one) => one.startsWith('init-module-missing'));
    assert.match(missing.join(), /^init-module-missing: [^,]* m-none,[^,]*$/);
  });

  it('microcode among more files than can be looked at is not called missing', async () => {
    const junk = counted(13_000, (at) => `lib/firmware/intel-ucode/${at}${'-'.repeat(3900)}`);
    const nodes = Object.fromEntries(junk.map((path) => [path, 'x']));
    const told = messages(await plan(nodes, [], { earlyMicrocode: true })).join('\n');
    assert.match(told, /not-microcode: .*; there are more files than are looked at/);
    assert.doesNotMatch(told, /no-microcode/);
  });

  it('end, and it is told: one module with all others before it', async () => {
    const nodes: Readonly<Record<string, Node>> = {
      'lib/modules/1/a.ko': { content: makeElf({ modinfo: [] }) },
      'lib/modules/1/modules.dep': 'a.ko:\n',
      'lib/modules/1/modules.softdep': 'softdep a x\n'.repeat(300_000),
    };
    const start = performance.now();
    const made = await plan(nodes, ['lib/modules/1/a.ko']);
    assert.ok(performance.now() - start < 5000, `${performance.now() - start} ms`);
    assert.match(messages(made).join(), /over 1000 names for one module/);
  });
});
