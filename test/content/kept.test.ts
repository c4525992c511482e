/** The contents that are kept of a root: what each file is named by, and that it is whole. */
import assert from 'node:assert/strict';
import {
  appendFileSync,
  chmodSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { operationBit } from '../../src/common/words.ts';
import { Blobs } from '../../src/content/blobs.ts';
import { ContentFolder } from '../../src/content/content-folder.ts';
import { Snapshots } from '../../src/content/snapshots.ts';
import { checkContent, pruneBlobs } from '../../src/content/tidy.ts';
import { makeTree, put, run, sha256, temporaryFolder } from '../image/support.ts';
import { lacks } from '../capabilities.ts';
import { EXPRESSION, filesOf, imageOf, keep } from './support.ts';

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) =>
    lstatSync(join(folder, name)).isFile(),
  );
/** Where a content lies, by the documented layout. */
const blobOf = (content: Buffer): string => {
  const hash = sha256(content);
  return join('blobs', hash.slice(0, 2), hash);
};
const blobsIn = (folder: string): string[] => filesBelow(join(folder, 'blobs'));

/** A signal that never aborts: it is asked between the look at a file and its copy. */
function beforeEachCopy(work: () => void): AbortSignal {
  const { signal } = new AbortController();
  signal.throwIfAborted = work;
  return signal;
}

describe('what is kept', () => {
  it('is once there for each content, named by its SHA-256, and for nobody else to read', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'a/one'), 'same');
    put(join(root, 'a/two'), 'same');
    put(join(root, 'a/other'), 'other');
    linkSync(join(root, 'a/other'), join(root, 'a/linked'));
    const { head, added } = await keep({ root, folder });
    assert.deepEqual([added.blobs, added.bytes, head.files, head.bytes], [2, 9, 4, 9]);
    for (const name of blobsIn(folder)) {
      const path = join(folder, 'blobs', name);
      assert.equal(sha256(readFileSync(path)), name.slice(3));
      assert.equal(name.slice(0, 2), name.slice(3, 5));
      assert.equal(lstatSync(path).mode & 0o777, 0o400);
    }
    for (const name of ['', 'blobs', 'snapshots', 'tmp'])
      assert.equal(statSync(join(folder, name)).mode & 0o777, 0o700);
    assert.equal((await keep({ root, folder, expression: 'session-2' })).added.blobs, 0);
    assert.equal(blobsIn(folder).length, 2);
    chmodSync(folder, 0o750);
    await assert.rejects(keep({ root, folder }), { code: 'content-unsafe' });
  });

  it('is read again if it was written to just before, whatever its times say', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    const path = join(root, 'file');
    put(path, 'old!');
    utimesSync(path, 5, 5);
    await keep({ root, folder });
    // A blob of another content under the name of the first: only who reads the file notices.
    const [name = ''] = blobsIn(folder);
    const blob = join(folder, 'blobs', name);
    chmodSync(blob, 0o600);
    writeFileSync(blob, 'BAD!');
    await keep({ root, folder });
    assert.equal(readFileSync(blob, 'utf8'), 'old!');
  });

  it(
    'is not read again where the file has been the same for long, on the same mount',
    { skip: lacks('mounts', 'mount') },
    async (t) => {
      const folder = join(temporaryFolder(t), 'content');
      const root = join(temporaryFolder(t), 'root');
      put(join(root, 'file'), 'old!');
      await delay(2100);
      const again = () => keep({ root, folder, settledSeconds: 1, replace: true });
      await again();
      // A blob of another content under its name: only who reads the file notices.
      const blob = join(folder, blobOf(Buffer.from('old!')));
      const spoil = () => {
        chmodSync(blob, 0o600);
        writeFileSync(blob, 'BAD!');
      };
      spoil();
      await again();
      assert.equal(readFileSync(blob, 'utf8'), 'BAD!');
      // Another ctime.
      utimesSync(join(root, 'file'), 5, 5);
      await again();
      assert.equal(readFileSync(blob, 'utf8'), 'old!');
      await delay(2100);
      await again();
      run('mount', ['--bind', root, root]);
      try {
        spoil();
        await again();
        assert.equal(readFileSync(blob, 'utf8'), 'old!');
      } finally {
        run('umount', [root]);
      }
    },
  );

  it('is never more than its bound: then nothing of the snapshot stays', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'first'), Buffer.alloc(1000, 'a'));
    await keep({ root, folder, maxBytes: 3000 });
    put(join(root, 'second'), Buffer.alloc(1500, 'b'));
    put(join(root, 'third'), Buffer.alloc(1500, 'c'));
    const before = filesBelow(folder);
    await assert.rejects(keep({ root, folder, maxBytes: 3000 }), {
      code: 'content-full',
      exit: 'io',
    });
    assert.deepEqual(filesBelow(folder), before);
    assert.equal((await keep({ root, folder, maxBytes: 4000 })).added.bytes, 3000);
  });

  it('is told when it is damaged, before a byte is written, and can be kept anew', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    makeTree(root);
    const files = filesOf(root);
    await keep({ root, folder });
    const image = await imageOf(t, files, { folder });
    const blob = join(folder, blobOf(readFileSync(join(root, 'etc/abc'))));
    chmodSync(blob, 0o600);
    writeFileSync(blob, 'abd');
    await assert.rejects(imageOf(t, files, { folder }), {
      code: 'content-damaged',
      message: 'the kept content of /etc/abc is not what was kept',
    });
    const checked = await checkContent(ContentFolder.claim(folder));
    assert.equal(checked.damaged, 1);
    assert.deepEqual(checked.snapshots, [{ expression: EXPRESSION, sound: true, missing: 1 }]);
    await assert.rejects(imageOf(t, files, { folder }), {
      message: 'the kept content of /etc/abc is not there',
    });
    assert.equal((await keep({ root, folder })).added.blobs, 1);
    assert.ok((await imageOf(t, files, { folder })).equals(image));
  });

  it('goes when no snapshot needs it, and not while a damaged one may', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'both'), 'both');
    put(join(root, 'one'), 'first');
    await keep({ root, folder });
    rmSync(join(root, 'one'));
    put(join(root, 'two'), 'second one');
    await keep({ root, folder, expression: 'session-2' });
    const claimed = ContentFolder.claim(folder);
    const snapshots = new Snapshots(claimed);
    assert.deepEqual(await pruneBlobs(claimed), { blobs: 0, bytes: 0 });
    const path = join(folder, 'snapshots', EXPRESSION);
    chmodSync(path, 0o600);
    truncateSync(path, lstatSync(path).size - 40);
    await assert.rejects(snapshots.read(EXPRESSION), { code: 'snapshot-damaged' });
    await assert.rejects(pruneBlobs(claimed), { code: 'snapshot-damaged' });
    assert.equal(blobsIn(folder).length, 3);
    await snapshots.remove(EXPRESSION);
    assert.deepEqual(await pruneBlobs(claimed), { blobs: 1, bytes: 5 });
    await assert.rejects(snapshots.read(EXPRESSION), { code: 'no-snapshot' });
  });

  it('of a file that is written to, or replaced, is what it was at one moment', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'init'), 'exec x\n');
    put(join(root, 'log'), 'line 0\n');
    put(join(root, 'gone'), 'gone');
    put(join(root, 'old/name'), 'version 0');
    linkSync(join(root, 'old/name'), join(root, 'old/other'));
    const files = filesOf(root);
    let times = 0;
    const signal = beforeEachCopy(() => {
      if (++times > 6) return;
      appendFileSync(join(root, 'log'), `line ${times}\n`);
      writeFileSync(join(root, 'new'), `version ${times}`);
      renameSync(join(root, 'new'), join(root, 'old/name'));
      rmSync(join(root, 'gone'), { force: true });
    });
    await keep({ root, folder, files, signal });
    assert.ok(times > 6);
    // Directories have the times that they had before.
    const timeless = { mtimeMax: 1 };
    const image = await imageOf(t, files, { folder }, timeless);
    assert.ok(image.equals(await imageOf(t, files, { root }, timeless)));
  });

  it('of a file with several names is one, though it was written to between two of them', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'init'), 'exec x\n');
    put(join(root, 'a/name'), 'old');
    // The walk comes by this one first, then gives way, and the copy is made by the other.
    linkSync(join(root, 'a/name'), join(root, 'a-name'));
    for (let number = 0; number < 300; number++) put(join(root, 'a/other', `${number}`), '');
    let times = 0;
    const signal = beforeEachCopy(() => {
      if (++times === 1) appendFileSync(join(root, 'a/name'), ' and new');
    });
    await keep({ root, folder, signal });
    const { record } = await new Snapshots(ContentFolder.claim(folder)).read(EXPRESSION);
    const one = record.get('a/name');
    assert.equal(one?.blob, sha256(readFileSync(join(root, 'a/name'))));
    assert.deepEqual(record.get('a-name'), one);
  });

  it('of a file that gets another name meanwhile is there for both', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'a-name'), 'content');
    mkdirSync(join(root, 'a/name'), { recursive: true });
    for (let number = 0; number < 300; number++) put(join(root, 'a/other', `${number}`), '');
    const another = Buffer.from('a/name/another');
    const files = [...filesOf(root), { path: another, operations: operationBit('read') }];
    let times = 0;
    const signal = beforeEachCopy(() => {
      if (++times === 1) linkSync(join(root, 'a-name'), join(root, another.toString()));
    });
    await keep({ root, folder, files, signal });
    const { record } = await new Snapshots(ContentFolder.claim(folder)).read(EXPRESSION);
    assert.equal(record.get('a-name')?.blob, sha256(Buffer.from('content')));
    assert.deepEqual(record.get('a-name'), record.get(another.toString()));
  });

  it('has the attributes of the file whose content it is', { skip: lacks('root') }, async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    for (const name of ['gains', 'loses']) put(join(root, name), `old ${name}`);
    const gain = (name: string) => run('setcap', ['cap_net_raw+ep', join(root, name)]);
    gain('loses');
    const files = filesOf(root);
    let times = 0;
    const signal = beforeEachCopy(() => {
      if (++times !== 2) return;
      gain('gains');
      writeFileSync(join(root, 'new'), 'new');
      renameSync(join(root, 'new'), join(root, 'loses'));
    });
    await keep({ root, folder, files, signal });
    assert.ok(times > 2);
    const { record } = await new Snapshots(ContentFolder.claim(folder)).read(EXPRESSION);
    const capable = ['gains', 'loses'].map((name) => record.get(name)?.attributes?.size);
    assert.deepEqual(capable, [1, 0]);
  });

  it('is refused where a file changes whenever it is read, and nothing is left', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'init'), 'exec x\n');
    put(join(root, 'log'), '');
    const signal = beforeEachCopy(() => appendFileSync(join(root, 'log'), 'line\n'));
    await assert.rejects(keep({ root, folder, signal }), {
      code: 'root-changing',
      exit: 'failed',
    });
    assert.deepEqual(filesBelow(folder), []);
    await keep({ root, folder });
  });

  it('is nothing in a folder that was made by hand', async (t) => {
    const path = join(temporaryFolder(t), 'content');
    mkdirSync(path, { mode: 0o700 });
    const folder = ContentFolder.find(path);
    assert.ok(folder !== null);
    assert.deepEqual(await new Blobs(folder).count(), { blobs: 0, bytes: 0 });
    assert.deepEqual(await new Snapshots(folder).list(), []);
    await assert.rejects(new Snapshots(folder).read(EXPRESSION), { code: 'no-snapshot' });
  });

  it('stays when its snapshot is in place, though that cannot be made to last', async (t) => {
    const folder = join(temporaryFolder(t), 'content');
    const root = join(temporaryFolder(t), 'root');
    put(join(root, 'init'), 'exec x\n');
    const files = filesOf(root);
    t.mock.method(Snapshots.prototype, 'sync', () => Promise.reject(new Error('EIO')));
    await assert.rejects(keep({ root, folder }), { message: 'EIO' });
    assert.ok((await imageOf(t, files, { folder })).equals(await imageOf(t, files, { root })));
  });

  it('what a killed writer left is removed by the next one', (t) => {
    const folder = join(temporaryFolder(t), 'content');
    ContentFolder.claim(folder);
    writeFileSync(join(folder, 'tmp/half'), 'half');
    ContentFolder.claim(folder);
    assert.deepEqual(filesBelow(folder), []);
  });
});
