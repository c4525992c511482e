/** What is at many paths of a root, told as bytes: that they show every change, and nothing else does. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { isDeepStrictEqual } from 'node:util';

import type { NativeTree } from '../../src/fanotify-ts/tree.ts';
import { lacks } from '../capabilities.ts';
import { allPaths, openTree, put, run, temporaryFolder } from './support.ts';

/** As native/archive/object_states.h has them: the inode is the first field, the error the last. */
const STATE_BYTES = 80;
const [INODE, ERROR] = [0, 76];
/** Several shares for each thread, the last of them not a whole one. */
const FILES = 1500;

interface Scene {
  readonly root: string;
  readonly tree: NativeTree;
  readonly names: readonly string[];
  readonly states: () => Promise<Buffer[]>;
}

function scene(t: TestContext): Scene {
  const folder = temporaryFolder(t);
  const root = join(folder, 'root');
  put(join(folder, 'outside/f7'), 'not of the root');
  for (let i = 0; i < FILES; i++) put(join(root, `d${i % 7}/e/f${i}`), 'content');
  symlinkSync('f0', join(root, 'd0/e/link'));
  const tree = openTree(t, root);
  const names = [...allPaths(root).map(String), 'd1/gone', 'd0/e/link/x', '..', 'd1//e'].sort();
  return { root, tree, names, states: async () => split((await look(tree, names)).states) };
}

const flat = (names: readonly string[]) => Buffer.from(names.map((name) => `${name}\0`).join(''));
const look = (tree: NativeTree, names: readonly string[]) => tree.states(flat(names));

function split(states: ArrayBuffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < states.byteLength; at += STATE_BYTES)
    found.push(Buffer.from(states, at, STATE_BYTES));
  return found;
}

describe('the states of many paths', () => {
  it('come in the order of the paths, and are what lstat tells', async (t) => {
    const { tree, names, states } = scene(t);
    const found = await states();
    assert.equal(found.length, names.length);
    for (const [place, name] of names.entries()) {
      if (name === '..' || name === 'd1//e') continue;
      const stat = tree.lstat(Buffer.from(name));
      const inode = found[place]?.readBigUInt64LE(INODE);
      assert.equal(inode, stat?.ino ?? 0n, name);
    }
    const errors = new Map(names.map((name, place) => [name, found[place]?.readInt32LE(ERROR)]));
    const { ENOENT, ELOOP, ENOTDIR, EINVAL } = constants.errno;
    assert.equal(errors.get('d1/gone'), ENOENT);
    assert.ok([ELOOP, ENOTDIR].includes(errors.get('d0/e/link/x') ?? 0));
    assert.deepEqual([errors.get('..'), errors.get('d1//e')], [EINVAL, EINVAL]);
    const ctimes = names.map((name, place) =>
      found[place]?.readInt32LE(ERROR) === 0 ? tree.lstat(Buffer.from(name))?.ctime : undefined,
    );
    const { newest, foreign } = await look(tree, names);
    assert.equal(newest, Math.max(...ctimes.map((ctime) => ctime ?? 0)));
    assert.equal(foreign, false);
  });

  const changes: Readonly<Record<string, (root: string) => readonly string[]>> = {
    'nothing, as a file is read': (root) => {
      readFileSync(join(root, 'd0/e/f7'));
      return [];
    },
    'a mode': (root) => {
      chmodSync(join(root, 'd0/e/f7'), 0o700);
      return ['d0/e/f7'];
    },
    'other bytes, as many and with the old time': (root) => {
      const path = join(root, 'd0/e/f7');
      const { mtime } = statSync(path);
      writeFileSync(path, 'CONTENT');
      utimesSync(path, mtime, mtime);
      return ['d0/e/f7'];
    },
    'a length': (root) => {
      appendFileSync(join(root, 'd6/e/f1497'), 'more');
      return ['d6/e/f1497'];
    },
    'a second name elsewhere': (root) => {
      linkSync(join(root, 'd2/e/f2'), join(root, 'd3/name'));
      return ['d2/e/f2', 'd3'];
    },
    'a file that goes': (root) => {
      rmSync(join(root, 'd2/e/f9'));
      return ['d2/e', 'd2/e/f9'];
    },
    'a file that comes': (root) => {
      put(join(root, 'd1/gone'), 'here');
      return ['d1', 'd1/gone'];
    },
    'a file in the place of one like it': (root) => {
      const path = join(root, 'd3/e/f3');
      put(`${path}.new`, 'content');
      renameSync(`${path}.new`, path);
      return ['d3/e', 'd3/e/f3'];
    },
  };
  for (const [what, change] of Object.entries(changes))
    it(`show ${what}`, async (t) => {
      const { root, names, states } = scene(t);
      const before = await states();
      assert.deepEqual(await states(), before);
      const expected = change(root);
      const after = await states();
      const different = names.filter((_, place) => !isDeepStrictEqual(before[place], after[place]));
      assert.deepEqual(different, [...expected].sort());
    });

  it('are those of nothing behind a directory that became a link out of the root', async (t) => {
    const { root, names, states } = scene(t);
    renameSync(join(root, 'd0/e'), join(root, 'd0/was'));
    symlinkSync('../../outside', join(root, 'd0/e'));
    const found = await states();
    for (const [place, name] of names.entries())
      if (name.startsWith('d0/e/')) {
        const state = found[place] ?? Buffer.alloc(STATE_BYTES);
        assert.ok(
          state.subarray(0, ERROR).every((byte) => byte === 0),
          name,
        );
        assert.notEqual(state.readInt32LE(ERROR), 0);
      }
  });

  it('tell of what is mounted', { skip: lacks('root', 'mount') }, async (t) => {
    const { root, tree, names } = scene(t);
    run('mount', ['-t', 'tmpfs', 'tmpfs', join(root, 'd4')]);
    try {
      assert.equal((await look(tree, names)).foreign, true);
    } finally {
      run('umount', [join(root, 'd4')]);
    }
    assert.equal((await look(tree, names)).foreign, false);
  });

  it('are none of no paths, and refused of a last one without an end', async (t) => {
    const { tree } = scene(t);
    assert.equal((await look(tree, [])).states.byteLength, 0);
    assert.throws(() => void tree.states(Buffer.from('d1\0d2')), { errno: constants.errno.EINVAL });
  });
});
