/** Which init an image has, what comes along with it, and what is said when something is missing. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { operationBit } from '../../src/common/words.ts';
import type { InitKind } from '../../src/image/choices.ts';
import { initScript } from '../../src/image/init-scripts.ts';
import { type ImagePlan, planImage, type PlanOptions } from '../../src/image/plan.ts';
import { MemoryTree, type Node } from './memory-tree.ts';

const PROGRAM: Node = { type: 'file', mode: 0o755, size: 3 };

/** A busybox root. */
function root(more: Readonly<Record<string, Node>> = {}): Record<string, Node> {
  const nodes: Record<string, Node> = { 'bin/busybox': PROGRAM, 'sbin/init': PROGRAM };
  for (const applet of ['sh', 'mount', 'mkdir', 'ln', 'sleep', 'readlink', 'modprobe', 'ip'])
    nodes[`bin/${applet}`] = { to: 'busybox' };
  return { ...nodes, 'sbin/switch_root': { to: '../bin/busybox' }, ...more };
}

function plan(
  nodes: Readonly<Record<string, Node>>,
  init?: InitKind,
  files: readonly string[] = [],
  more: Partial<PlanOptions> = {},
): Promise<ImagePlan> {
  const rows = files.map((path) => ({
    path: Buffer.from(path, 'latin1'),
    operations: operationBit('read'),
  }));
  return planImage({
    tree: new MemoryTree(nodes),
    files: rows,
    mountPoints: [],
    devices: [],
    init,
    ...more,
  });
}

const paths = ({ entries }: ImagePlan) => entries.map(({ path }) => path.toString('latin1'));
const entry = (made: ImagePlan, path: string) =>
  made.entries.find((one) => one.path.toString('latin1') === path);
const told = ({ problems }: ImagePlan) =>
  problems.map(({ code, message }) => `${code}: ${message}`);
const without = (nodes: Record<string, Node>, ...names: string[]) =>
  Object.fromEntries(Object.entries(nodes).filter(([path]) => !names.includes(path)));

describe('which init', () => {
  it('is the root’s own if it can be used, without any record of ours', async () => {
    const made = await plan(root({ init: PROGRAM }));
    assert.equal(entry(made, 'init')?.content, null);
    assert.ok(!paths(made).some((path) => path.startsWith('.nfsroot-trace')));
    assert.deepEqual(told(made), []);
  });

  it('is exec if the root has none, but a shell', async () => {
    const made = await plan(root());
    const init = entry(made, 'init');
    assert.deepEqual(init?.content, initScript('exec'));
    assert.deepEqual(
      [init.mode, init.uid, init.gid, init.mtime, init.nlink, init.size],
      [0o755, 0, 0, 0, 1, init.content.length],
    );
    assert.deepEqual(told(made), []);
    assert.deepEqual(paths(made), [
      ...['', '.nfsroot-trace', 'bin', 'bin/busybox', 'bin/ip', 'bin/ln', 'bin/mkdir'],
      ...['bin/modprobe', 'bin/mount', 'bin/readlink', 'bin/sh', 'bin/sleep', 'init'],
      ...['sbin', 'sbin/init', 'sbin/switch_root', '.nfsroot-trace/complete'],
    ]);
    assert.equal(made.countsByReason.record, 2);
    const why = entry(made, 'bin/busybox')?.reasons.map(({ kind }) => kind);
    assert.equal(why?.filter((kind) => kind === 'init').length, 1);
  });

  it('is none if there is no shell either, and it is said why', async () => {
    for (const [sh, is] of [
      [{ to: 'busybox' }, 'is a link that leads nowhere'],
      ['text', 'is no executable file'],
      [null, 'is not there'],
    ] as const) {
      const nodes = root({
        'bin/busybox': { to: 'busybox' },
        ...(sh !== null && { 'bin/sh': sh }),
      });
      const made = await plan(sh === null ? without(nodes, 'bin/sh') : nodes);
      assert.deepEqual(told(made), [
        'no-init: the root has no /init, so the kernel will not use the image as its root, ' +
          `and none is generated, as /bin/sh of the root ${is}`,
      ]);
      assert.match(made.problems[0]?.hint ?? '', /; or mend \/bin\/sh/);
    }
  });

  it('is exec, and says why, if the root’s own cannot be used', async () => {
    assert.match(
      told(await plan(root({ init: { to: 'nowhere' } })))[0] ?? '',
      /^init-dangling: \/init of the root is a link/,
    );
    const made = await plan(root({ init: 'not executable' }), undefined, ['init']);
    assert.match(told(made)[0] ?? '', /^init-not-executable/);
    assert.deepEqual(entry(made, 'init')?.content, initScript('exec'));
  });

  it('is what was asked for, instead of the root’s own, be that a link or a file that was read', async () => {
    for (const own of [PROGRAM, { to: 'usr/lib/other' }]) {
      const nodes = root({ init: own, 'usr/lib/other': PROGRAM });
      const made = await plan(nodes, 'rambox', ['init']);
      assert.deepEqual(entry(made, 'init')?.content, initScript('rambox'));
      assert.equal(entry(made, 'init')?.type, 'file');
      assert.deepEqual(told(made), []);
    }
  });

  it('own: the root’s problems stay', async () => {
    assert.match(told(await plan(root(), 'own'))[0] ?? '', /^no-init/);
  });
});

describe('what a generated init needs', () => {
  it('is missing by name, with a hint', async () => {
    const bare = without(root(), 'bin/mkdir', 'sbin/switch_root', 'bin/ln');
    const made = await plan(bare, 'rambox');
    assert.deepEqual(told(made), [
      'init-program-missing: the generated /init runs mkdir, which the root does not have',
      'init-program-missing: the generated /init runs switch_root, which the root does not have',
    ]);
    assert.match(made.problems[1]?.hint ?? '', /util-linux or busybox/);
    const none = await plan({ 'bin/tool': PROGRAM }, 'exec');
    assert.match(told(none)[0] ?? '', /script for \/bin\/sh, which the root does not have/);
    assert.match(told(none).at(-1) ?? '', /^init-target-missing/);
  });

  it('does not count what is no program, or leads out of what the root has', async () => {
    const nodes = root({
      'bin/mount': 'not executable',
      'bin/mkdir': { to: '/nowhere/mkdir' },
      'bin/sh': { to: 'sh' },
    });
    assert.equal((await plan(nodes, 'exec')).problems.length, 3);
  });

  it('is found as a shell would: the first of the PATH, through links of the root', async () => {
    const nodes = {
      bin: { to: 'usr/bin' },
      sbin: { to: 'usr/sbin' },
      'usr/bin/sh': { to: '/etc/alternatives/sh' },
      'etc/alternatives/sh': { to: '/usr/bin/dash' },
      'usr/bin/dash': PROGRAM,
      'usr/bin/mkdir': PROGRAM,
      'usr/bin/mount': PROGRAM,
      'usr/local/sbin/mount': PROGRAM,
      'usr/sbin/init': { to: '../lib/systemd' },
      'usr/lib/systemd': PROGRAM,
    };
    const made = await plan(nodes, 'exec');
    assert.deepEqual(told(made), []);
    const found = paths(made);
    for (const path of ['usr/local/sbin/mount', 'usr/bin/dash', 'etc/alternatives/sh'])
      assert.ok(found.includes(path), path);
    for (const path of ['sbin', 'usr/sbin/init', 'usr/lib/systemd'])
      assert.ok(found.includes(path), path);
    assert.ok(!found.includes('usr/bin/mount'));
  });
});

describe('the sentinel', () => {
  it('is last whatever the names, after its directory, and not a root’s own', async () => {
    const odd = ['\xff', '~', '.nfsroot-trace/complete', '.nfsroot-trace/zz', '.nfsroot-trace.'];
    const nodes = root(Object.fromEntries(odd.map((path) => [path, 'x'])));
    const made = await plan(nodes, 'exec', odd);
    const found = paths(made);
    assert.equal(found.filter((path) => path === '.nfsroot-trace/complete').length, 1);
    assert.equal(found.at(-1), '.nfsroot-trace/complete');
    assert.equal(found.at(-2), '\xff');
    assert.equal(made.entries.at(-1)?.content?.toString(), 'complete\n');
    assert.deepEqual(found.slice(0, -1), found.slice(0, -1).sort());
  });

  it('says when its directory is something else in the root', async () => {
    const made = await plan(root({ '.nfsroot-trace': { to: 'etc' }, 'etc/x': 'x' }), 'exec', [
      '.nfsroot-trace',
    ]);
    assert.match(told(made)[0] ?? '', /^reserved-name/);
    assert.equal(entry(made, '.nfsroot-trace')?.type, 'directory');
  });
});

describe('preboot', () => {
  const config = (text: string): Node => ({ type: 'file', size: text.length, content: text });

  it('wants /config', async () => {
    assert.match(told(await plan(root(), 'preboot'))[0] ?? '', /^no-config/);
  });

  it('says which lines of /config the script passes over, as it reads them', async () => {
    const problems = async (text: string): Promise<string[]> =>
      told(await plan(root({ config: config(text) }), 'preboot'));
    const sound = '# for aoe\n\nMODULES=""\nAOE_IFACES=\nLINK_SETTLE="10"\nDISCOVER_SETTLE=0';
    assert.deepEqual(await problems(sound), []);
    for (const line of [
      ...['FOO=1', 'modules=x', ' # no comment', 'MODULES', 'MODULES =x'],
      ...['LINK_SETTLE=x', 'LINK_SETTLE=', 'DISCOVER_SETTLE=-1', 'LINK_SETTLE="4'],
    ])
      assert.deepEqual(await problems(`${sound}\n${line}\nBAR=\n`), [
        `config-not-understood: the generated /init passes over 2 lines of /config, the first is line 7: ${line}`,
      ]);
    assert.match((await problems(`${'x'.repeat(500)}\n`)).join(), /: x{80}$/);
  });

  it('brings the modules of /config for every kernel, and says which there are not', async () => {
    const nodes = root({
      config: config('MODULES=ignored\nMODULES="e1000 aoe\tloop crypto-sum nvme"\n'),
      'usr/lib/modules/6.1/modules.dep': config('kernel/e1000.ko: kernel/mii.ko\nkernel/mii.ko:\n'),
      'usr/lib/modules/6.1/modules.builtin': config('kernel/drivers/loop.ko\n'),
      'usr/lib/modules/6.1/kernel/e1000.ko': 'x',
      'usr/lib/modules/6.1/kernel/mii.ko': 'x',
      'usr/lib/modules/5.10/modules.dep': config('extra/aoe.ko:\nsum_1.ko:\nunused.ko:\n'),
      'usr/lib/modules/5.10/modules.alias': config('alias crypto-sum sum-1\n'),
      'usr/lib/modules/5.10/extra/aoe.ko': 'x',
      'usr/lib/modules/5.10/sum_1.ko': 'x',
      'usr/lib/modules/5.10/unused.ko': 'x',
      lib: { to: 'usr/lib' },
    });
    const made = await plan(nodes, 'preboot');
    const problems = told(made).filter((one) => !one.startsWith('not-looked-into'));
    assert.deepEqual(problems, [
      'init-module-missing: the generated /init loads the module nvme, which no kernel of the root has',
    ]);
    assert.deepEqual(
      paths(made).filter((path) => path.endsWith('.ko')),
      ['5.10/extra/aoe.ko', '5.10/sum_1.ko', '6.1/kernel/e1000.ko', '6.1/kernel/mii.ko'].map(
        (path) => `usr/lib/modules/${path}`,
      ),
    );
  });

  it('says so if modprobe does not find the modules that came for it', async () => {
    const at = 'lib/modules/6.1';
    const nodes = root({
      config: config('MODULES=aoe\n'),
      [`${at}/modules.dep`]: config('aoe.ko:\n'),
      [`${at}/aoe.ko`]: 'x',
    });
    const problems = async (more: Partial<PlanOptions>, files: string[] = []) =>
      told(await plan(nodes, 'preboot', files, { without: ['firmware'], ...more }));
    const lacking = [
      `init-modules-unlisted: the generated /init loads modules of /${at}, whose modules.dep is not in the image: modprobe does not find them`,
    ];
    assert.deepEqual(await problems({}), []);
    const without = { without: ['modules', 'firmware'] } as const;
    assert.deepEqual(await problems(without), lacking);
    assert.deepEqual(await problems(without, [`${at}/modules.dep`]), []);
  });

  it('brings what /config and mdadm.conf ask for', async () => {
    const nodes = without(root({ config: config('AOE_IFACES=eth1\nMODULES=""\n') }), 'bin/ip');
    assert.match(told(await plan(nodes, 'preboot')).join(), /runs ip, /);
    const all = root({ config: config("MODULES='e1000 aoe'\n"), 'etc/mdadm/mdadm.conf': 'x' });
    const made = await plan(all, 'preboot');
    assert.match(told(made).join(), /init-program-missing: the generated \/init runs mdadm/);
    for (const path of ['config', 'etc/mdadm/mdadm.conf', 'bin/modprobe', 'sbin/switch_root'])
      assert.ok(paths(made).includes(path), path);
  });
});
