/** Rules in a plan: what they add, take out and keep. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { operationBit, type Operation } from '../../../src/common/words.ts';
import { type ImagePlan, planImage, type PlanOptions } from '../../../src/image/plan.ts';
import { MOUNT_POINTS } from '../../../src/image/tables.ts';
import { MemoryTree, type Node } from '../memory-tree.ts';
import { openTree, put, temporaryFolder } from '../support.ts';

const INIT: Node = { type: 'file', mode: 0o755, size: 3 };

interface Scene extends Partial<PlanOptions> {
  readonly nodes: Readonly<Record<string, Node>>;
  /** Read unless it says otherwise. */
  readonly used?: Readonly<Record<string, readonly Operation[]>> | readonly string[];
  readonly created?: readonly string[];
  /** As a file of rules has them. */
  readonly ruled?: readonly string[];
}

function plan({ nodes, used = [], created = [], ruled = [], ...more }: Scene): Promise<ImagePlan> {
  const list: readonly (readonly [string, readonly Operation[]])[] = Array.isArray(used)
    ? (used as string[]).map((path) => [path, ['read']])
    : Object.entries(used as Record<string, readonly Operation[]>);
  return planImage({
    tree: new MemoryTree({ init: INIT, ...nodes }),
    files: [...list, ...created.map((path) => [path, ['create']] as const)].map(([path, ops]) => ({
      path: Buffer.from(path, 'latin1'),
      operations: ops.reduce((bits, op) => bits | operationBit(op), 0),
      created: created.includes(path),
    })),
    mountPoints: [],
    devices: [],
    rules: ruled.map((rule) => ({ include: rule.startsWith('+'), glob: rule.slice(2) })),
    ...more,
  });
}

const paths = ({ entries }: ImagePlan): string[] =>
  entries
    .map((entry) => entry.path.toString('latin1'))
    .filter((path) => path !== '' && path !== 'init');

const reasons = ({ entries }: ImagePlan, path: string): string[] =>
  (entries.find((entry) => entry.path.toString('latin1') === path)?.reasons ?? []).map(
    ({ kind, about }) => (about === null ? kind : `${kind} ${about.toString('latin1')}`),
  );

const left = ({ leftOut }: ImagePlan): string[] =>
  leftOut.map(({ path, why }) => `${path.toString('latin1')} ${why}`);

const effects = ({ rules }: ImagePlan): string[] =>
  rules.map(
    ({ include, glob, files, bytes, kept }) =>
      `${include ? '+' : '-'} ${glob.toString('latin1')}: ${files} ${bytes} ${kept.join()}`,
  );

const codes = ({ problems }: ImagePlan): string[] => problems.map(({ code }) => code);

describe('a rule that adds', () => {
  it('adds what no session touched, with what that needs', async () => {
    const made = await plan({
      nodes: {
        'etc/ssl/a.pem': 'aaa',
        'etc/ssl/deep/b.pem': 'bb',
        'etc/ssl/deep/link': { to: '/usr/far' },
        'usr/far': 'f',
        'etc/other': 'o',
      },
      used: ['etc/ssl/a.pem'],
      ruled: ['+ /etc/ssl/**'],
    });
    assert.deepEqual(paths(made), [
      'etc',
      'etc/ssl',
      'etc/ssl/a.pem',
      'etc/ssl/deep',
      'etc/ssl/deep/b.pem',
      'etc/ssl/deep/link',
      'usr',
      'usr/far',
    ]);
    assert.deepEqual(reasons(made, 'etc/ssl/deep/b.pem'), ['rule /etc/ssl/**']);
    assert.deepEqual(reasons(made, 'etc/ssl/a.pem'), ['read', 'rule /etc/ssl/**']);
    // Not what was in already, and not what followed.
    assert.deepEqual(effects(made), ['+ /etc/ssl/**: 4 2 ']);
    assert.equal(made.countsByReason.rule, 4);
  });

  it('looks only where it can match', async () => {
    const nodes: Record<string, Node> = { 'etc/ssl/certs/a': 'x', 'etc/ssl/b': 'x', init: INIT };
    for (let i = 0; i < 1000; i++) nodes[`usr/d${i}/f`] = 'x';
    const looks = async (glob: string) => {
      const tree = new MemoryTree(nodes);
      const made = await planImage({
        tree,
        files: [],
        mountPoints: [],
        devices: [],
        rules: [{ include: true, glob }],
      });
      return { looks: tree.looks, paths: paths(made).length };
    };
    const fixed = await looks('/etc/ssl/*/a');
    assert.deepEqual(fixed.paths, 4);
    assert.ok(fixed.looks < 20, `${fixed.looks} looks`);
    assert.equal((await looks('f')).paths, 2001);
  });

  it('goes to what a link before the first wildcard leads to, as the client would', async () => {
    const nodes: Scene['nodes'] = {
      lib: { to: 'usr/lib' },
      'usr/lib/modules/6.1/a.ko': 'x',
      'var/run': { to: '/run' },
      'run/x': 'x',
    };
    const made = await plan({ nodes, ruled: ['+ /lib/modules/*/*.ko', '+ /var/run/'] });
    assert.deepEqual(paths(made), [
      'lib',
      'run',
      'run/x',
      'usr',
      'usr/lib',
      'usr/lib/modules',
      'usr/lib/modules/6.1',
      'usr/lib/modules/6.1/a.ko',
      'var',
      'var/run',
    ]);
    // A name at the end is meant itself; a link in a walk is never entered.
    const link = await plan({ nodes, ruled: ['+ /var/*/x', '+ /lib'] });
    assert.deepEqual(codes(link), ['rule-without-effect']);
    assert.deepEqual(reasons(link, 'lib'), ['rule /lib', 'symlink-to usr/lib']);
  });

  it('brings back what would be left out', async () => {
    const nodes = { 'var/lib/made': 'm', 'opt/b': 'b', 'opt/c': 'c' };
    const scene = {
      nodes,
      used: { opt: ['readdir'], 'opt/b': ['lookup'], 'opt/c': ['lookup'] },
      created: ['var/lib/made'],
    } as const;
    assert.deepEqual(left(await plan(scene)), [
      'opt/b listing',
      'opt/c listing',
      'var/lib/made created',
    ]);
    const made = await plan({ ...scene, ruled: ['+ /var/lib/made', '+ /opt/b'] });
    assert.deepEqual(left(made), ['opt/c listing']);
    assert.deepEqual(paths(made), ['opt', 'opt/b', 'var', 'var/lib', 'var/lib/made']);
    assert.deepEqual(effects(made), ['+ /var/lib/made: 0 0 ', '+ /opt/b: 1 1 ']);
    assert.deepEqual(codes(made), []);
  });

  it('does not enter what is mounted over the root, nor take sockets', async () => {
    const made = await plan({
      nodes: {
        proc: { type: 'directory', foreign: true },
        'proc/1': { type: 'directory' },
        'run/socket': { type: 'socket' },
        'run/bound': { size: 1, foreign: true },
      },
      ruled: ['+ **'],
    });
    assert.deepEqual(paths(made), ['proc', 'run']);
    assert.deepEqual(
      made.notCarried.map(({ path, what }) => `${path.toString()} ${what}`),
      ['run/socket socket'],
    );
  });
});

describe('a rule that takes out', () => {
  const nodes: Scene['nodes'] = {
    'usr/share/man/a.1': 'aa',
    'usr/share/man/b.1': 'bbb',
    'usr/share/man/keep/c.1': 'c',
    'usr/bin/x': 'x',
    'etc/alternatives/x.1': { to: '/usr/share/man/b.1' },
    'usr/bin/link': { to: 'x' },
  };

  it('takes what the session used, and what links would bring back', async () => {
    const made = await plan({
      nodes,
      used: ['usr/share/man', 'usr/share/man/a.1', 'etc/alternatives/x.1', 'usr/bin/x'],
      ruled: ['- /usr/share/man/**', '- link'],
    });
    assert.deepEqual(paths(made), [
      'etc',
      'etc/alternatives',
      'etc/alternatives/x.1',
      'usr',
      'usr/bin',
      'usr/bin/x',
    ]);
    assert.deepEqual(left(made), [
      'usr/bin/link rule',
      'usr/share/man rule',
      'usr/share/man/a.1 rule',
      'usr/share/man/b.1 rule',
    ]);
    assert.deepEqual(effects(made), ['- /usr/share/man/**: 3 5 ', '- link: 1 0 ']);
    assert.deepEqual(codes(made), []);
  });

  it('never takes the directory of something that is in, and says so', async () => {
    const made = await plan({
      nodes,
      used: ['usr/share/man', 'usr/share/man/a.1', 'usr/share/man/keep/c.1'],
      ruled: ['+ /usr/share/man/keep/**', '- /usr/share/man/**'],
    });
    assert.deepEqual(paths(made), [
      'usr',
      'usr/share',
      'usr/share/man',
      'usr/share/man/keep',
      'usr/share/man/keep/c.1',
    ]);
    assert.deepEqual(left(made), ['usr/share/man/a.1 rule']);
    assert.deepEqual(effects(made), [
      '+ /usr/share/man/keep/**: 1 0 ',
      '- /usr/share/man/**: 1 2 usr/share/man',
    ]);
  });

  it('leaves alone what every boot needs', async () => {
    const made = await plan({
      nodes: { 'tmp/x': 'x' },
      used: ['tmp/x'],
      ruled: ['- **'],
      mountPoints: [{ path: 'tmp', type: 'directory', mode: 0o1777 }],
      devices: [{ path: 'dev/null', type: 'character', mode: 0o666, major: 1, minor: 3 }],
    });
    assert.deepEqual(paths(made), ['dev', 'dev/null', 'tmp']);
    assert.ok(made.entries.some(({ path }) => path.toString() === 'init'));
    assert.deepEqual(left(made), ['tmp/x rule']);
  });

  it('is no drift when what it takes out has gone or changed', async () => {
    const tree = new MemoryTree({ init: INIT, a: { size: 2 } });
    const seen = { type: 'file', size: 1, mtime: 1 } as const;
    const made = await planImage({
      tree,
      files: ['a', 'gone'].map((name) => ({ path: Buffer.from(name), operations: 1, seen })),
      rules: [
        { include: false, glob: 'a' },
        { include: false, glob: 'gone' },
      ],
    });
    assert.deepEqual(made.drift, []);
    assert.deepEqual(left(made), ['a rule']);
    assert.deepEqual(codes(made), ['rule-without-effect']);
  });

  it('is one file under several names only by its names', async () => {
    const file: Node = { type: 'file', nlink: 2, ino: 77n, size: 5 };
    const made = await plan({ nodes: { a: file, b: file }, used: ['a', 'b'], ruled: ['- b'] });
    assert.deepEqual(paths(made), ['a']);
    assert.equal(made.entries.find(({ path }) => path.toString() === 'a')?.nlink, 1);
  });
});

describe('rules', () => {
  it('are asked in their order: the first that matches decides', async () => {
    const nodes = { 'd/a.x': '1', 'd/b.x': '1', 'd/c.y': '1' };
    const one = await plan({ nodes, ruled: ['- /d/a.*', '+ /d/*.x'] });
    assert.deepEqual(paths(one), ['d', 'd/b.x']);
    assert.deepEqual(effects(one), ['- /d/a.*: 1 1 ', '+ /d/*.x: 1 1 ']);
    // Nothing that was used is left out.
    assert.deepEqual(left(one), []);
    const used = await plan({ nodes, used: ['d/a.x'], ruled: ['- /d/a.*', '+ /d/*.x', '+ a.*'] });
    assert.deepEqual(effects(used), ['- /d/a.*: 1 1 ', '+ /d/*.x: 1 1 ', '+ a.*: 0 0 ']);
    assert.deepEqual(left(used), ['d/a.x rule']);
    const kept = await plan({ nodes, ruled: ['+ /d/a.x', '- /d/**', '+ /d/**'] });
    assert.deepEqual(paths(kept), ['d', 'd/a.x']);
    assert.deepEqual(effects(kept), ['+ /d/a.x: 1 1 ', '- /d/**: 2 2 d', '+ /d/**: 0 0 ']);
    const other = await plan({ nodes, ruled: ['+ /d/*.x', '- /d/a.*', '+ *.x'] });
    assert.deepEqual(paths(other), ['d', 'd/a.x', 'd/b.x']);
    assert.deepEqual(codes(other), ['rule-without-effect', 'rule-without-effect']);
    assert.match(other.problems[0]?.message ?? '', /'- \/d\/a\.\*' decides nothing/);
    assert.match(other.problems[1]?.message ?? '', /'\+ \*\.x' decides nothing/);
  });

  it('say so where what they take out is needed by the generated /init, or by every boot', async () => {
    const program = { type: 'file', mode: 0o755, size: 3 } as const;
    const links = Object.fromEntries(
      ['sh', 'mount', 'mkdir'].map((name) => [`bin/${name}`, { to: 'busybox' }]),
    );
    const nodes = { ...links, 'bin/busybox': program, 'sbin/init': program };
    // Whatever the session did with it.
    for (const used of [[], ['bin/busybox']]) {
      const hints = async (ruled: string, init: 'exec' | 'own'): Promise<string[]> =>
        (await plan({ nodes, used, init, ruled: [ruled], mountPoints: MOUNT_POINTS })).problems.map(
          ({ code, hint }) => `${code}: ${hint}`,
        );
      for (const name of ['/bin/busybox', '/bin/sh'])
        assert.deepEqual(await hints(`- ${name}`, 'exec'), [
          `rule-without-effect: ${name} is in the image all the same, as the generated /init needs it; --init own frees it`,
        ]);
      for (const name of ['/init', '/proc'])
        assert.deepEqual(await hints(`- ${name}`, 'exec'), [
          `rule-without-effect: ${name} is in the image all the same, as every boot needs it`,
        ]);
      assert.match((await hints('- /init', 'own')).join(), /\/init is in .* every boot needs it$/);
      assert.equal((await hints('- /bin/busybox', 'own')).length, used.length === 0 ? 1 : 0);
    }
    // What else it takes out is an effect.
    const some = {
      nodes: { ...nodes, 'bin/no': program },
      used: ['bin/no'],
      init: 'exec',
    } as const;
    assert.deepEqual(codes(await plan({ ...some, ruled: ['- /bin/*'] })), []);
  });

  it('work on names that are not UTF-8', async () => {
    const made = await plan({
      nodes: { 'caf\xe9/\xff': 'x', 'caf\xc3\xa9': 'x', 'd/\xff\n': 'x' },
      used: ['caf\xc3\xa9'],
      ruled: ['+ /caf\xe9/', '- caf?\xa9', '+ [\x80-\xff]?'],
    });
    assert.deepEqual(paths(made), ['caf\xe9', 'caf\xe9/\xff', 'd', 'd/\xff\n']);
    assert.deepEqual(left(made), ['caf\xc3\xa9 rule']);
  });

  it('that are none are refused also here', async () => {
    await assert.rejects(plan({ nodes: {}, ruled: ['+ ../x'] }), { code: 'bad-glob' });
  });

  it('do the same on a real root, whose order of names is the disk’s', async (t) => {
    const root = temporaryFolder(t);
    for (let i = 0; i < 300; i++) put(`${root}/d${i % 7}/f${i * 7919}`, `${i}`);
    put(`${root}/init`, 'x');
    const tree = openTree(t, root);
    const rules = [
      { include: false, glob: '/d3/**' },
      { include: true, glob: 'f*1' },
    ];
    const made = await planImage({ tree, files: [], rules, mountPoints: [], devices: [] });
    const expected = Array.from({ length: 300 }, (_, i) => `d${i % 7}/f${i * 7919}`)
      .filter((path) => path.endsWith('1') && !path.startsWith('d3/'))
      .sort();
    assert.deepEqual(
      paths(made).filter((path) => path.includes('/')),
      expected,
    );
    assert.equal(made.rules[1]?.files, expected.length);
  });
});

describe('the whole skeleton', () => {
  const nodes: Scene['nodes'] = {
    'usr/lib/x.so.1': 'x',
    'usr/lib/x.so': { to: 'x.so.1' },
    lib: { to: 'usr/lib' },
    'srv/empty': { type: 'directory' },
    'usr/share/doc/a/b': 'b',
    'usr/share/doc/a/link': { to: 'b' },
    'var/made/by': { type: 'directory' },
    proc: { type: 'directory', foreign: true },
    'proc/self': { type: 'directory' },
    dangling: { to: 'no/where' },
  };

  it('has every directory and every link, and nothing that these lead to', async () => {
    const made = await plan({ nodes, skeleton: true });
    assert.deepEqual(paths(made), [
      'dangling',
      'lib',
      'proc',
      'srv',
      'srv/empty',
      'usr',
      'usr/lib',
      'usr/lib/x.so',
      'usr/share',
      'usr/share/doc',
      'usr/share/doc/a',
      'usr/share/doc/a/link',
      'var',
      'var/made',
      'var/made/by',
    ]);
    assert.deepEqual(reasons(made, 'usr/lib/x.so'), ['skeleton']);
    assert.equal(made.contentBytes, 3);
  });

  it('leaves what a session used as it was', async () => {
    const used = { 'usr/lib/x.so': ['readlink'] } as const;
    const bare = await plan({ nodes, used });
    const made = await plan({ nodes, used, skeleton: true });
    const before = new Set(paths(bare));
    assert.deepEqual(reasons(made, 'usr/lib/x.so.1'), ['target-of usr/lib/x.so']);
    for (const path of before) assert.deepEqual(reasons(made, path), reasons(bare, path));
    const added = made.entries.filter(
      ({ path }) => !bare.entries.some((one) => one.path.equals(path)),
    );
    assert.equal(added.length, 11);
    for (const { path, type } of added) assert.notEqual(type, 'file', path.toString());
  });

  it('obeys rules, and has nothing that the session made', async () => {
    const made = await plan({
      nodes,
      skeleton: true,
      created: ['var/made/by'],
      ruled: ['- /usr/share/**', '- lib'],
    });
    assert.deepEqual(paths(made), [
      'dangling',
      'proc',
      'srv',
      'srv/empty',
      'usr',
      'var',
      'var/made',
    ]);
    assert.deepEqual(left(made), ['var/made/by created']);
    assert.deepEqual(effects(made), ['- /usr/share/**: 4 0 ', '- lib: 3 0 ']);
  });
});
