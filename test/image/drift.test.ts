/** Roots that are not as they were recorded: what is told, taken, left out and refused. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { operationBit } from '../../src/common/words.ts';
import { type ImagePlan, planImage, type PlanOptions } from '../../src/image/plan.ts';
import type { SeenFile } from '../../src/image/plan-types.ts';
import { refusePlan } from '../../src/image/refusal.ts';
import { MemoryTree, type Node } from './memory-tree.ts';

const READ = operationBit('read');
const SEEN = { type: 'file', size: 2, mtime: 5, mode: 0o644, uid: 0, gid: 0 } as const;
const NOW: Node = { size: 2, mtime: 5 };
const LINK: SeenFile = { ...SEEN, type: 'symlink', mode: 0o777 };
/** What tells one object from another. */
const HERE = { ino: 77n, ctime: 8, ctimeNsec: 9 };
const IT: SeenFile = { ...SEEN, inode: 77n, ctimeNs: 8_000_000_009n };
const TO_SAME: SeenFile = { ...LINK, target: Buffer.from('same') };

const NODES: Readonly<Record<string, Node>> = {
  init: { type: 'file', mode: 0o755, size: 3 },
  'd/content': { ...NOW, size: 3 },
  'd/mode': { ...NOW, mode: 0o600 },
  'd/owner': { ...NOW, uid: 7 },
  'd/group': { ...NOW, gid: 7, mtime: 6 },
  'd/set': { ...NOW, mode: 0o600 },
  'd/same': NOW,
  'd/type': { type: 'directory' },
  'd/inside': { type: 'directory', mode: 0o700 },
  'd/inside/file': NOW,
  'd/mounted': { type: 'directory', mode: 0o700, foreign: true },
  'l/same': { type: 'symlink', size: 2, mtime: 5, mode: 0o777 },
  'l/new': { type: 'symlink', size: 2, mtime: 9, mode: 0o777 },
  'l/leads': { to: '../d/content' },
  'n/again': { to: 'same' },
  'n/elsewhere': { to: 'changed' },
  'n/changed': { ...NOW, ...HERE, size: 3, ctime: 9 },
  'n/replaced': { ...NOW, ...HERE, ino: 78n, mtime: 6, mode: 0o600 },
  'n/same': { ...NOW, ...HERE },
  'n/copied': { ...NOW, ...HERE, ino: 78n, ctime: 9 },
  'n/touched': { ...NOW, ...HERE, ctimeNsec: 10 },
  'n/mode': { ...NOW, ...HERE, mode: 0o600, ctime: 9 },
};

const FILES: PlanOptions['files'] = (
  [
    ['d/content', SEEN],
    ['d/mode', SEEN],
    ['d/owner', SEEN],
    ['d/group', SEEN],
    ['d/set', SEEN, operationBit('setattr')],
    ['d/same', SEEN],
    ['d/type', SEEN],
    ['d/inside', { ...SEEN, type: 'directory', mode: 0o755 }],
    ['d/inside/file', SEEN],
    ['d/mounted', { ...SEEN, type: 'directory' }],
    ['d/gone', SEEN],
    ['l/same', LINK],
    ['l/new', LINK],
    ['l/leads', undefined],
    ['n/again', TO_SAME],
    ['n/elsewhere', TO_SAME],
    ['n/changed', IT],
    ['n/replaced', IT],
    ['n/same', IT],
    ['n/copied', IT],
    ['n/touched', IT],
    ['n/mode', IT],
  ] as const
).map(([path, seen, operations = READ]) => ({
  path: Buffer.from(path),
  operations,
  ...(seen && { seen }),
}));

const plan = (more: Partial<PlanOptions> = {}): Promise<ImagePlan> =>
  planImage({ tree: new MemoryTree(NODES), files: FILES, mountPoints: [], devices: [], ...more });

const paths = ({ entries }: ImagePlan): string[] => entries.map(({ path }) => path.toString());

const DRIFT = [
  'd/content changed',
  'd/gone vanished',
  'd/group changed',
  'd/group changed-mode',
  'd/inside changed-mode',
  'd/mode changed-mode',
  'd/owner changed-mode',
  'd/type changed-type',
  'l/new changed',
  'n/changed changed',
  'n/elsewhere changed-target',
  'n/mode changed-mode',
  'n/replaced replaced',
  'n/replaced changed-mode',
  'n/touched touched',
];
const told = ({ drift }: ImagePlan): string[] =>
  drift.map(({ path, what }) => `${path.toString()} ${what}`);

describe('drift', () => {
  it('is told with what it is: content, mode and owner, type, a link, another object', async () => {
    assert.deepEqual(told(await plan()), DRIFT);
  });

  it('is taken as it is now, unless it is to be skipped', async () => {
    const made = await plan();
    assert.deepEqual(await plan({ onDrift: 'warn' }), made);
    assert.ok(paths(made).includes('d/content'));
    assert.deepEqual(made.leftOut, []);
  });

  it('skipped stays out, also where a link leads to it; directories stay in', async () => {
    const made = await plan({ onDrift: 'skip' });
    assert.deepEqual(told(made), DRIFT);
    assert.deepEqual(
      made.leftOut.map(({ path, why }) => `${path.toString()} ${why}`),
      [
        'd/content drift',
        'd/group drift',
        'd/mode drift',
        'd/owner drift',
        'l/new drift',
        'n/changed drift',
        'n/elsewhere drift',
        'n/mode drift',
        'n/replaced drift',
      ],
    );
    assert.deepEqual(paths(made), [
      '',
      'd',
      'd/inside',
      'd/inside/file',
      'd/mounted',
      'd/same',
      'd/set',
      'd/type',
      'init',
      'l',
      'l/leads',
      'l/same',
      'n',
      'n/again',
      'n/copied',
      'n/same',
      'n/touched',
    ]);
  });

  it('refuses the image if that is asked for, whatever it is', async () => {
    const made = await plan();
    const expected = {
      code: 'drift',
      exit: 'failed',
      message: '15 objects are not as they were recorded, the first is d/content: changed',
    };
    assert.throws(() => refusePlan(made, { onDrift: 'fail' }), expected);
    for (const onDrift of ['warn', 'skip', undefined] as const) refusePlan(made, { onDrift });
    refusePlan({ ...made, drift: [] }, { onDrift: 'fail' });
  });
});

describe('a strict image', () => {
  const clean = { drift: [], notCarried: [], problems: [], attributes: null };
  const path = Buffer.from('bin/ping');

  const carried = { count: 3, entries: 2, file: Buffer.from('attributes') };

  it('is made if there is nothing to say', () => {
    refusePlan(clean, { strict: true });
    refusePlan({ ...clean, attributes: { ...carried, restored: true } }, { strict: true });
  });

  for (const [what, rows, message] of [
    [
      'a problem',
      { problems: [{ code: 'no-init', message: 'no /init', hint: 'h' }] },
      /^--strict: no \/init$/,
    ],
    ['drift', { drift: [{ path, what: 'changed' as const }] }, /recorded, the first is bin\/ping/],
    [
      'attributes that nothing sets',
      { attributes: { ...carried, restored: false } },
      /^--strict: nothing sets 3 attributes/,
    ],
    [
      'what newc cannot carry',
      { notCarried: [{ path, what: 'security.capability' }] },
      /1 things that newc can't carry, the first is bin\/ping: security.capability/,
    ],
  ] as const)
    it(`is refused for ${what}, and only then`, () => {
      const made = { ...clean, ...rows };
      refusePlan(made, { strict: false });
      assert.throws(() => refusePlan(made, { strict: true }), {
        code: 'not-strict',
        exit: 'failed',
        message,
      });
    });

  it('is refused for a rule without effect', async () => {
    const options = { files: [], rules: [{ include: true, glob: '/no/such' }] };
    const made = await plan(options);
    assert.throws(() => refusePlan(made, { strict: true }), /'\+ \/no\/such' decides nothing/);
    refusePlan(await plan({ files: [] }), { strict: true });
  });
});
