/** `trace export --if-changed` as a person has it, on a root whose files have been at rest. */
import assert from 'node:assert/strict';
import { appendFileSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { lacks } from '../capabilities.ts';
import { run } from '../image/support.ts';
import { makeFileSystem } from '../index/file-systems.ts';
import { recordedPlace, SESSIONS } from '../support/recorded-place.ts';

interface Report {
  readonly unchanged: boolean;
  readonly output: string;
}

describe('trace export --if-changed', { skip: lacks('root', 'loop', 'mounts') }, () => {
  test('leaves the image alone until something changes', async () => {
    const { sandbox, root } = recordedPlace();
    const disk = makeFileSystem('ext4');
    try {
      const [image, tree] = [join(disk.path, '../image'), join(disk.path, 'root')];
      run('cp', ['-a', root, tree]);
      const database = join(disk.path, 'trace.db');
      run('cp', [sandbox.database, database]);
      const inodes = run('find', [tree, database, '-printf', '%i\n']).toString().trim().split('\n');
      run('umount', [disk.path]);
      // Nobody can set the time of a change, but for who has the disk.
      const input = inodes.map((inode) => `sif <${inode}> ctime 20200101\n`).join('');
      run('debugfs', ['-w', '-f', '-', image], { input });
      run('mount', ['-o', 'loop', image, disk.path]);
      const output = sandbox.at('out.cpio');
      const words = [
        ...['export', SESSIONS.whole, '--db', database, '--tree', tree],
        ...['-o', output, '--if-changed'],
      ];
      const first = await sandbox.json<Report>(words);
      assert.equal(first.unchanged, false);
      const before = statSync(output, { bigint: true });
      const asked = readFileSync(sandbox.at('.out.cpio.nfsroot-trace-asked'), 'latin1');
      assert.ok(asked.endsWith('\0') && asked.includes('\0bin/tool\0'));
      assert.deepEqual(await sandbox.json(words), { ...first, unchanged: true });
      const { text } = await sandbox.ok(words);
      assert.match(text, /out\.cpio: unchanged, \d+ entries/);
      const { ino, ctimeNs } = statSync(output, { bigint: true });
      assert.deepEqual([ino, ctimeNs], [before.ino, before.ctimeNs]);
      appendFileSync(join(tree, 'bin/tool'), 'more');
      assert.equal((await sandbox.json<Report>(words)).unchanged, false);
      assert.ok(readFileSync(output).includes('toolmore'));
    } finally {
      disk.remove();
      await sandbox.remove();
    }
  });
});
