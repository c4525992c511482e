/** Trees that change, hide, or go very deep while they are indexed. */
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { HandleIndex } from '../../src/fanotify-ts/handle-index.ts';
import {
  cannotMake,
  idOf,
  indexOf,
  liveTree,
  makeFileSystem,
  type MountedFileSystem,
} from './file-systems.ts';

const MODULE = join(import.meta.dirname, '../../src/fanotify-ts/handle-index.ts');

/** Shell commands again and again in `folder`; all their processes are gone when `end` resolves. */
function loop(folder: string, commands: string): { end(): Promise<void> } {
  const script = `cd "$0"; while [ -e go ]; do ${commands}; done`;
  writeFileSync(`${folder}/go`, '');
  const child = spawn('bash', ['-c', script, folder]);
  const exit = once(child, 'exit');
  return {
    end: async () => {
      unlinkSync(`${folder}/go`);
      await exit;
    },
  };
}

describe('hostile trees', { skip: cannotMake('ext4') || cannotMake('tmpfs') }, () => {
  let ext4: MountedFileSystem;
  let tmpfs: MountedFileSystem;
  before(() => {
    ext4 = makeFileSystem('ext4');
    tmpfs = makeFileSystem('tmpfs');
  });
  after(() => {
    ext4.remove();
    tmpfs.remove();
  });

  it('lists 10,000 levels with few descriptors', async () => {
    const root = `${tmpfs.path}/deep`;
    // From the bottom up, so that no path here is long; siblings so that each level is come back to.
    mkdirSync(root);
    writeFileSync(`${root}/bottom`, '');
    const shallow = await indexOf(root);
    const handle = shallow.handleOf(idOf(shallow, 'bottom'));
    shallow.close();
    const next = `${tmpfs.path}/next`;
    for (let level = 0; level < 10_000; level++) {
      mkdirSync(next);
      renameSync(root, `${next}/d`);
      mkdirSync(`${next}/a`);
      mkdirSync(`${next}/z`);
      renameSync(next, root);
    }
    const index = new HandleIndex({ root: Buffer.from(root) });
    index.open();
    const before = readdirSync('/proc/self/fd').length;
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, readdirSync('/proc/self/fd').length - before);
    }, 1);
    const summary = await index.walk();
    clearInterval(watch);
    assert.equal(summary.directories, 30_001);
    assert.equal(summary.names, 30_001);
    assert.equal(summary.unreadable + summary.vanished, 0);
    assert.ok(most < 80, `${most} descriptors`);
    const path = 'd/'.repeat(10_000) + 'bottom';
    const id = index.idOfHandle(handle);
    assert.equal(index.pathsOf(id)[0]?.toString(), path);
    assert.equal(index.statOf(id)?.size, 0);
    assert.equal((await index.walk()).names, 30_001);

    // The top of it moves: everything below has the new name, and can still be reached.
    renameSync(`${root}/d`, `${root}/renamed`);
    index.refreshDirectory(index.handleOf(0));
    assert.equal(index.pathsOf(id)[0]?.toString(), `renamed/${path.slice(2)}`);
    assert.equal(index.statOf(id)?.size, 0);
    index.close();
    execFileSync('rm', ['-rf', root]);
  });

  it('does not enter a mount below the root, but knows the directory under it', async () => {
    const root = `${ext4.path}/mounts`;
    mkdirSync(`${root}/proc`, { recursive: true });
    mkdirSync(`${root}/a b`);
    writeFileSync(`${root}/proc/hidden`, '');
    execFileSync('mount', ['-t', 'tmpfs', 'none', `${root}/proc`]);
    execFileSync('mount', ['-t', 'tmpfs', 'none', `${root}/a b`]);
    writeFileSync(`${root}/proc/mounted`, '');
    const index = new HandleIndex({ root: Buffer.from(root) });
    index.open();
    const summary = await index.walk();
    execFileSync('umount', [`${root}/proc`, `${root}/a b`]);
    assert.equal(summary.otherFileSystems, 2);
    assert.deepEqual([...liveTree(index).keys()].sort(), ['', 'a b', 'proc', 'proc/hidden']);
    index.close();
  });

  it('works without privileges: stops at mounts, counts what it cannot read', () => {
    const root = `${ext4.path}/plain`;
    mkdirSync(`${root}/mnt`, { recursive: true });
    mkdirSync(`${root}/secret`);
    mkdirSync(`${root}/no-search`);
    writeFileSync(`${root}/secret/f`, '');
    writeFileSync(`${root}/no-search/f`, '');
    chmodSync(`${root}/secret`, 0o700);
    chmodSync(`${root}/no-search`, 0o744);
    chmodSync(join(ext4.path, '..'), 0o755);
    execFileSync('mount', ['-t', 'tmpfs', 'none', `${root}/mnt`]);
    const script = `
      const { HandleIndex } = await import(${JSON.stringify(MODULE)});
      process.setegid(65534); process.seteuid(65534);
      const index = new HandleIndex({ root: Buffer.from(process.argv[1]) });
      index.open();
      const summary = await index.walk();
      const names = [...Array(index.objects).keys()].map((id) => String(index.pathsOf(id)[0]));
      console.log(JSON.stringify({ summary, names }));`;
    const child = spawnSync(process.execPath, ['--input-type=module', '-e', script, root]);
    execFileSync('umount', [`${root}/mnt`]);
    assert.equal(child.stderr.toString(), '');
    const { summary, names } = JSON.parse(child.stdout.toString()) as {
      summary: Record<string, number>;
      names: string[];
    };
    assert.equal(summary['unreadable'], 2);
    assert.equal(summary['otherFileSystems'], 1);
    assert.equal(summary['directories'], 1);
    assert.deepEqual(names.sort(), ['', 'no-search', 'secret']);
  });

  it('never follows a directory that turns into a symbolic link', async () => {
    const root = `${tmpfs.path}/swap`;
    mkdirSync(`${root}/many`, { recursive: true });
    for (let i = 0; i < 2000; i++) mkdirSync(`${root}/many/${i}`);
    mkdirSync(`${root}/victim`);
    mkdirSync(`${root}/target`);
    writeFileSync(`${root}/target/bait`, '');
    const swapper = loop(root, 'mv -T victim v; ln -s target victim; rm victim; mv -T v victim');
    try {
      const index = new HandleIndex({ root: Buffer.from(root) });
      index.open();
      for (let i = 0; i < 40; i++) {
        await index.walk();
        for (const path of liveTree(index).keys()) {
          assert.ok(!/^(victim|v)\/./.test(path), path);
        }
        assert.equal(index.pathsOf(idOf(index, 'target/bait')).length, 1);
      }
      index.close();
    } finally {
      await swapper.end();
    }
  });

  it('keeps what is learned while a walk is under way', async () => {
    const root = `${tmpfs.path}/meanwhile`;
    mkdirSync(root);
    for (let i = 0; i < 3000; i++) mkdirSync(`${root}/${i}`);
    const index = await indexOf(root);
    const parent = index.handleOf(0);
    let creations = 0;
    for (let round = 0; round < 5; round++) {
      const made: { name: Buffer; id: number }[] = [];
      const walking = index.walk();
      const state = { done: false };
      void walking.then(() => (state.done = true));
      while (!state.done) {
        const name = Buffer.from(`new-${creations++}`);
        // An object of its own, as fanotify would report it; gone from the tree again at once.
        const object = { type: 1, bytes: Buffer.alloc(12, creations) };
        object.bytes.writeUInt32LE(creations);
        assert.ok(index.learn({ parent, name, object }));
        made.push({ name, id: index.idOfHandle(object) });
        index.forget({ parent: index.handleOf(0), name: Buffer.from('0') });
        await new Promise((resolve) => setImmediate(resolve));
      }
      assert.ok(made.length > 0);
      for (const { name, id } of made) {
        assert.deepEqual(index.pathsOf(id), [name]);
        assert.equal(index.isGone(id), false);
      }
      assert.equal(liveTree(index).has('0'), false);
      await index.walk();
      for (const { id } of made) assert.equal(index.isGone(id), true);
      assert.equal(liveTree(index).has('0'), true);
    }
    index.close();
  });

  it('ends up right after files came and went during the walk', async () => {
    const root = `${ext4.path}/churn`;
    mkdirSync(`${root}/a/b`, { recursive: true });
    for (let i = 0; i < 500; i++) writeFileSync(`${root}/a/keep${i}`, '');
    const churn = loop(root, 'mkdir -p a/x/y; : > a/x/y/f; mv a/x a/b/x; rm -r a/b/x');
    const index = new HandleIndex({ root: Buffer.from(root) });
    index.open();
    let vanished = 0;
    try {
      for (let i = 0; i < 60; i++) vanished += (await index.walk()).vanished;
    } finally {
      await churn.end();
    }
    console.log(`# ${vanished} entries vanished under 60 walks`);
    await index.walk();
    const found = execFileSync('find', [root, '-printf', '%P\\0'])
      .toString()
      .split('\0')
      .slice(0, -1);
    assert.deepEqual([...liveTree(index).keys()].sort(), found.sort());
    index.close();
  });

  it('follows a symbolic link as root once, at open', async () => {
    mkdirSync(`${tmpfs.path}/one`);
    mkdirSync(`${tmpfs.path}/two`);
    writeFileSync(`${tmpfs.path}/one/f`, '');
    symlinkSync('one', `${tmpfs.path}/link`);
    const index = await indexOf(`${tmpfs.path}/link`);
    execFileSync('ln', ['-sfn', 'two', `${tmpfs.path}/link`]);
    await index.walk();
    assert.deepEqual([...liveTree(index).keys()].sort(), ['', 'f']);
    index.close();
  });

  it('says that everything is gone once the root is deleted', async () => {
    const root = `${ext4.path}/doomed`;
    mkdirSync(`${root}/d`, { recursive: true });
    const index = await indexOf(root);
    const d = idOf(index, 'd');
    rmdirSync(`${root}/d`);
    rmdirSync(root);
    assert.equal(index.statOf(0), null);
    assert.equal(index.refreshDirectory(index.handleOf(0)), false);
    assert.equal(index.isGone(0), true);
    const summary = await index.walk();
    assert.equal(summary.objects, 0);
    assert.equal(index.isGone(d), true);
    assert.deepEqual(index.pathsOf(d), [Buffer.from('d')]);
    index.close();
  });

  it('leaves access times alone', async () => {
    const root = `${ext4.path}/atime`;
    mkdirSync(`${root}/d`, { recursive: true });
    writeFileSync(`${root}/d/f`, '');
    execFileSync('touch', ['-a', '-d', '2001-01-01', root, `${root}/d`, `${root}/d/f`]);
    const index = await indexOf(root);
    index.refreshDirectory(index.handleOf(idOf(index, 'd')));
    for (const path of [root, `${root}/d`, `${root}/d/f`]) {
      assert.equal(statSync(path).atime.getFullYear(), 2001);
    }
    index.close();
  });
});
