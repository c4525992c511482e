/**
 * fanotify and the index together: the handles of events are found, and the index follows what is
 * done to the tree by events alone.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  closeSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type { FileEvent } from '../../src/common/batches.ts';
import {
  FAN_ACCESS,
  FAN_CREATE,
  FAN_DELETE,
  FAN_MOVED_FROM,
  FAN_MOVED_TO,
  FAN_ONDIR,
  FAN_OPEN,
  FanotifyGroup,
} from '../../src/fanotify-ts/index.ts';
import type { HandleIndex } from '../../src/fanotify-ts/handle-index.ts';
import { lacks } from '../capabilities.ts';
import {
  cannotMake,
  idOf,
  indexOf,
  liveTree,
  makeFileSystem,
  type MountedFileSystem,
} from './file-systems.ts';

const KINDS = ['ext4', 'xfs', 'tmpfs', 'btrfs'] as const;

/** One event into the index; the directories whose listing now decides are added to `doubtful`. */
function apply(index: HandleIndex, event: FileEvent, doubtful: FileEvent['parent'][]): void {
  const { mask, parent, name, object } = event;
  if (parent === null || name === null) return;
  if ((mask & (FAN_DELETE | FAN_MOVED_FROM)) !== 0) {
    index.forget({ parent, name });
    doubtful.push(parent);
  }
  if ((mask & (FAN_CREATE | FAN_MOVED_TO)) !== 0 && object !== null) {
    index.learn({ parent, name, object, directory: (mask & FAN_ONDIR) !== 0 });
    doubtful.push(parent);
  }
}

function found(root: string): string[] {
  return ['', ...readdirSync(root, { recursive: true, encoding: 'utf8' })].sort();
}

/** A small generator of its own, so that a failing run can be had again. */
function random(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** One random change of the tree; refused ones (not empty, into itself) are as good. */
function change(root: string, pick: (below: number) => number, serial: number): void {
  const all = found(root);
  const any = (): string => `${root}/${all[pick(all.length)] ?? ''}`;
  const directories = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => `${entry.parentPath}/${entry.name}`);
  const directory = directories[pick(directories.length + 1)] ?? root;
  const fresh = `${directory}/n${serial}`;
  try {
    switch (pick(9)) {
      case 0:
      case 1: {
        writeFileSync(fresh, '');
        return;
      }
      case 2: {
        mkdirSync(fresh);
        return;
      }
      case 3: {
        linkSync(any(), fresh);
        return;
      }
      case 4: {
        symlinkSync('x', fresh);
        return;
      }
      case 5:
      case 6: {
        renameSync(any(), pick(2) === 0 ? fresh : any());
        return;
      }
      case 7: {
        unlinkSync(any());
        return;
      }
      case 8: {
        rmdirSync(any());
        return;
      }
    }
  } catch {
    return;
  }
}

for (const kind of KINDS) {
  const skip = cannotMake(kind) || lacks('fanotify');
  describe(`fanotify and the index on ${kind}`, { skip }, () => {
    let fs: MountedFileSystem;
    before(() => (fs = makeFileSystem(kind)));
    after(() => fs.remove());

    async function watched(root: string): Promise<FanotifyGroup> {
      mkdirSync(root);
      const group = new FanotifyGroup({
        paths: [Buffer.from(fs.path)],
        keep: ['nfsd', 'server', 'traced', 'self', 'other'],
      });
      group.start();
      await group.sync();
      group.drain();
      return group;
    }

    it('finds the object and the parent of every event', async () => {
      const root = `${fs.path}/seen`;
      const group = await watched(root);
      mkdirSync(`${root}/d`);
      writeFileSync(`${root}/d/f`, 'x');
      symlinkSync('d', `${root}/l`);
      execFileSync('mkfifo', [`${root}/p`]);
      const index = await indexOf(root);
      await group.sync();
      group.drain();
      readFileSync(`${root}/d/f`);
      readdirSync(`${root}/d`);
      closeSync(openSync(`${root}/p`, 'r+'));
      await group.sync();
      const { events } = group.drain();
      const seen = new Set<string>();
      for (const { object, parent, name, mask } of events) {
        assert.ok(object !== null && parent !== null && name !== null);
        const id = index.idOfHandle(object);
        const inside = index.idOfHandle(parent);
        if (id === -1) continue;
        const path = index.pathsOf(id)[0]?.toString() ?? '';
        if ((mask & (FAN_ACCESS | FAN_OPEN)) !== 0) seen.add(path);
        const directory = index.pathsOf(inside)[0]?.toString() ?? '';
        if (name.toString() !== '.')
          assert.equal(
            path,
            directory === '' ? name.toString() : `${directory}/${name.toString()}`,
          );
      }
      assert.deepEqual([...seen].sort(), ['d', 'd/f', 'p']);
      index.close();
      await group.stop();
    });

    it('follows a tree by events, read one by one', async () => {
      const root = `${fs.path}/followed`;
      const group = await watched(root);
      const index = await indexOf(root);
      const pick = random(1);
      for (let step = 0; step < 250; step++) {
        change(root, pick, step);
        await group.sync();
        for (const event of group.drain().events) apply(index, event, []);
        assert.deepEqual([...liveTree(index).keys()].sort(), found(root), `step ${step}`);
      }
      const ids = liveTree(index);
      await index.walk();
      assert.deepEqual(liveTree(index), ids);
      index.close();
      await group.stop();
    });

    it('is right again after a refresh when events come in heaps', async () => {
      const root = `${fs.path}/heaps`;
      const group = await watched(root);
      const index = await indexOf(root);
      const pick = random(2);
      let walks = 0;
      for (let step = 0; step < 500; step++) {
        change(root, pick, step);
        if (step % 25 !== 24) continue;
        await group.sync();
        const doubtful: FileEvent['parent'][] = [];
        for (const event of group.drain().events) apply(index, event, doubtful);
        for (const parent of doubtful) if (parent !== null) index.refreshDirectory(parent);
        const expected = found(root);
        if (JSON.stringify([...liveTree(index).keys()].sort()) !== JSON.stringify(expected)) {
          // A directory whose every link was cut by events out of order is found by a walk only.
          walks++;
          await index.walk();
        }
        assert.deepEqual([...liveTree(index).keys()].sort(), expected, `step ${step}`);
      }
      console.log(`# ${kind}: ${walks} of 20 heaps needed a walk`);
      index.close();
      await group.stop();
    });
  });
}

describe('events that cannot be true', { skip: cannotMake('tmpfs') }, () => {
  it('never hang the index, and a walk puts it right', async () => {
    const fs = makeFileSystem('tmpfs');
    const directories = ['a', 'a/b', 'a/b/c', 'a/d', 'e', 'e/f'];
    for (const path of directories) mkdirSync(`${fs.path}/${path}`);
    const index = await indexOf(fs.path);
    const right = liveTree(index);
    const handles = ['', ...directories].map((path) => index.handleOf(idOf(index, path)));
    const pick = random(3);
    for (let round = 0; round < 20; round++) {
      for (let i = 0; i < 500; i++) {
        const [parent, object] = [handles[pick(7)], handles[pick(7)]];
        assert.ok(parent !== undefined && object !== undefined);
        const name = Buffer.from(String(pick(4)));
        if (pick(3) === 0) index.forget({ parent, name });
        else index.learn({ parent, name, object });
        for (let id = 0; id < index.objects; id++) {
          assert.ok(index.pathsOf(id).length <= 1);
          index.isGone(id);
        }
        if (pick(20) === 0) index.refreshDirectory(object);
      }
      await index.walk();
      assert.deepEqual(liveTree(index), right);
    }
    index.close();
    fs.remove();
  });
});
